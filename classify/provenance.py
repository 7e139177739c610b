"""What a run was made from: enough to repeat it, and to look which weights it started from.

`provenance.json` is written when a run starts and again with each of its checkpoints, so that it always covers what
the checkpoint rests on; `files.csv` beside it names every file that was read.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classify.data.dataset import Dataset, ReadFile
from classify.settings import Settings
from classify.weights import write_whole

if TYPE_CHECKING:
    import torch

    from classify.watching import Watch

NAME = "provenance.json"
FILES = "files.csv"
RANDOM_START = "random weights, drawn from training.seed"
"""Value of `start` of a run that no earlier network went into."""

WEIGHTS = ("best.safetensors", "last.safetensors")

_COLUMNS = ("path", "sha256", "bytes", "class", "part")
_PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "imagehash",
    "scipy",
    "scikit-learn",
    "timm",
    "transformers",
    "safetensors",
    "curate-classify",
)


def digest(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and numbers of a network's state, hexadecimal."""
    sha = hashlib.sha256()
    for name, value in sorted(state.items()):
        array = value.detach().cpu().contiguous().numpy()
        sha.update(f"{name} {array.dtype} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def file_digest(path: Path) -> str | None:
    """SHA-256 of a file's bytes, hexadecimal; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the result; those not installed are left out."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def computed_on(device: torch.device) -> dict[str, Any]:
    """What the numbers depend on beside versions: device, the processor's instructions, threads, processes where several."""
    import torch

    found = {
        "device": device.type,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        found["processes"] = torch.distributed.get_world_size()
    return found


def table(files: Iterable[ReadFile]) -> bytes:
    """The content of `files.csv`: a row a file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((file.path, file.sha256, file.size, file.label, file.part) for file in files)
    return text.getvalue().encode()


def read_table(data: bytes) -> list[ReadFile]:
    """What `table` wrote. Raises ValueError for anything else."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if not rows or tuple(rows[0]) != _COLUMNS:
        raise ValueError(f"the first line is not {','.join(_COLUMNS)}")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(_COLUMNS):
            raise ValueError(f"row {number} has {len(row)} columns, not {len(_COLUMNS)}")
    return [ReadFile(path, sha256, int(size), label, part) for path, sha256, size, label, part in rows[1:]]


def counts(files: Iterable[ReadFile]) -> dict[str, dict[str, int]]:
    """Class -> part -> number of files; sorted."""
    found: dict[str, Counter[str]] = {}
    for file in files:
        found.setdefault(file.label, Counter())[file.part] += 1
    return {label: dict(sorted(parts.items())) for label, parts in sorted(found.items())}


class Session:
    """One session of a run, from `classify train` to its end: what the record says of it.

    Parameters
    ----------
    run : folder of the run.
    source : what was given to learn from.
    watch : what the process reaches for meanwhile.
    """

    def __init__(self, run: Path, source: Path, watch: Watch) -> None:
        self.run = run
        self.source = source.absolute()
        self.watch = watch
        self.started = _now()
        self.record = _stored(run)
        self.earlier = list(self.record.get("sessions", []))
        self.first = 0
        """The epoch that this session went on after."""

    def begin(
        self,
        initial: Mapping[str, torch.Tensor],
        options: Mapping[str, Any],
        settings: Settings,
        data: Dataset,
        plan: str,
        device: torch.device,
        start: str = RANDOM_START,
    ) -> None:
        """Write the record of a run that starts: `initial` are its weights before the first step, `start` where they came from."""
        listed = table(data.files)
        write_whole(self.run / FILES, listed)
        self.earlier = []
        self.record = {
            "start": start,
            "initial_weights_sha256": digest(initial),
            "seed": settings.training.seed,
            "model": {
                "name": settings.model.name,
                "classes": data.classes,
                "options": dict(options),
            },
            "data_sha256": data.fingerprint,
            "data": {"source": str(self.source), "pictures": counts(data.files)},
            "files": {
                "name": FILES,
                "rows": len(data.files),
                "sha256": hashlib.sha256(listed).hexdigest(),
            },
            "arithmetic": plan,
            "computed_on": computed_on(device),
            "versions": versions(),
            "settings": settings.to_dict(),
        }
        self._write(0)

    def save(self, epoch: int, finished: bool) -> None:
        """Record what was reached for up to `epoch`, and at the end of the run the hashes of its weights files.

        To be called before the checkpoint of that epoch is written: no checkpoint is ahead of the record.
        """
        if finished:
            hashes = {name: file_digest(self.run / name) for name in WEIGHTS}
            self.record["finish"] = {"ended": _now(), "epochs": epoch, "sha256": hashes}
        self._write(epoch)

    def _write(self, epoch: int) -> None:
        own = {
            "command": shlex.join(sys.orig_argv),
            "started": self.started,
            "after_epoch": self.first,
            "to_epoch": epoch,
            "network": dict(self.watch.network),
            "weight_files": dict(self.watch.weight_files),
            "versions": versions(),
        }
        self.record["sessions"] = [*self.earlier, own]
        write_whole(self.run / NAME, json.dumps(self.record, indent=1).encode())


def _stored(run: Path) -> dict[str, Any]:
    """The record of a run that goes on; empty where it is not there or was damaged, which `classify verify` shows."""
    try:
        record = json.loads((run / NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
