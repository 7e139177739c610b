"""One cell of a sweep: a combination with a seed, trained in its own folder, usually by a process of its own.

The folder is an ordinary run, with `cell.json` (what is to be done), `result.json` once it is done, or `failure.json`.
`python -m classify.cells FOLDER` does the work of the cell in FOLDER and ends when its standard input does, so that
no cell outlives the sweep that began it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classify.data.items import Item, Source
from classify.plan import Combination, with_seed
from classify.settings import Settings
from classify.weights import write_whole
from curate.errors import UserError
from curate.paths import path_from_text, path_to_text

_NAMED = 60
"""Longest readable part of a folder's name, characters."""


@dataclass(frozen=True)
class Data:
    """A folder of pictures as the plan names it, and a digest of what is in it: no picture is opened for that."""

    folder: Path
    digest: str


@dataclass(frozen=True)
class Cell:
    """A combination, a seed, and the data: what decides the result. `tests`, by name, may be judged anew without training."""

    combination: Combination
    seed: int
    train: Data
    tests: Mapping[str, Data]

    @property
    def key(self) -> str:
        """Identity of the combination on its data, hexadecimal; the folder's place and name do not count."""
        content = [self.combination.settings.to_dict(), self.train.digest]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def folder(self, cells: Path) -> Path:
        """The cell's folder below `cells`: the one that is there already, whatever its readable part, or a new one."""
        mark = f"{self.key[:10]}-seed{self.seed}"
        for found in sorted(cells.glob(f"*-{mark}")):
            return found
        readable = re.sub(r"[^\w.=+-]+", "_", self.combination.name)[:_NAMED]
        return cells / f"{readable}-{mark}"

    def result(self, cells: Path) -> dict[str, Any] | None:
        """What the finished cell came to; None while it, or its test, is not done."""
        result = _read_json(self.folder(cells) / "result.json")
        if not result or result["key"] != self.key:
            return None
        judged = all(result.get(name, {}).get("digest") == test.digest for name, test in self.tests.items())
        if not judged:
            return None
        # What an earlier plan had it judged on is not this one's.
        return {name: value for name, value in result.items() if name in self.tests or not _is_test(value)}

    def prepare(self, cells: Path, workers: int | None) -> Path:
        """Write down in the cell's folder what is to be done; returns the folder."""
        folder = self.folder(cells)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "failure.json").unlink(missing_ok=True)
        job = {
            "key": self.key,
            "seed": self.seed,
            "train": path_to_text(str(self.train.folder)),
            "tests": {
                name: {"folder": path_to_text(str(test.folder)), "digest": test.digest}
                for name, test in self.tests.items()
            },
            "workers": workers,
            "settings": with_seed(self.combination.settings, self.seed).to_dict(),
        }
        write_whole(folder / "cell.json", json.dumps(job, indent=1).encode())
        return folder


def _is_test(value: Any) -> bool:
    """Whether a value of `result.json` is what a test came to (see `_judge`)."""
    return isinstance(value, dict) and "digest" in value


def source_digest(source: Source) -> str:
    """SHA-256 of the pictures to learn from: names, sizes, classes, parts and balance; not of what is in them."""
    sha = hashlib.sha256()
    for i, path in enumerate(source.paths):
        row = [path, source.labels[i], _size(source.items[i]), *source.drawn(i)]
        sha.update(json.dumps(row).encode())
    return sha.hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 of the names and sizes of all files below a folder. Raises UserError where there is no folder."""
    if folder.is_file():
        raise UserError(
            f"{folder}: is a file; the test of a plan is a folder of class folders.", "Give such a folder."
        )
    if not folder.is_dir():
        raise UserError(
            f"{folder}: there is no such folder.", "Paths in a plan are relative to the plan file."
        )
    sha = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(place, name)  # noqa: PTH118  bytes-safe text, see curate.tables
            sha.update(
                json.dumps([path_to_text(os.path.relpath(path, folder)), _size(path)]).encode()
            )  # relative: the folder may move
    return sha.hexdigest()


def _size(item: Item) -> int:
    """Bytes of a picture; -1 where it lies inside a larger file, whose own layout then tells pictures apart by name."""
    if isinstance(item, bytes):
        return len(item)
    if isinstance(item, np.ndarray):
        return item.nbytes
    try:
        return os.stat(item).st_size if isinstance(item, str | Path) else -1  # noqa: PTH116  bytes-safe text
    except OSError:
        return -1


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


# The work, in the sweep's process or in one of its own -----------------------------------------------------------


def work(folder: Path) -> None:
    """Train and judge the cell that is prepared in `folder`; writes `result.json`, or `failure.json` with the reason."""
    try:
        job = _read_json(folder / "cell.json") or {}
        result = _read_json(folder / "result.json")
        if not result or result["key"] != job["key"]:
            result = _train(folder, job)
            _write_json(folder / "result.json", result)
        for name, test in job["tests"].items():
            if result.get(name, {}).get("digest") != test["digest"]:
                result[name] = _judge(folder, name, test, job["workers"])
                _write_json(folder / "result.json", result)
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        _write_json(folder / "failure.json", {"reason": reason})


def _train(folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    from classify.training import train

    settings = Settings().replaced(job["settings"], str(folder / "cell.json"))
    begun = (folder / "settings.toml").exists()
    done = train(
        path_from_text(job["train"]),
        folder,
        settings,
        resume=begun,
        workers=job["workers"],
        say=lambda text: print(text, flush=True),
        on_epoch=lambda epoch: print(epoch, flush=True),
    )
    if done.macro_f1 is None:
        raise UserError("the validation part is empty, so cells cannot be compared.", "Split the data anew.")
    with (folder / "history.csv").open(encoding="utf-8") as file:
        kept = next(row for row in csv.DictReader(file) if int(row["epoch"]) == done.best_epoch)
    return {
        "key": job["key"],
        "seed": job["seed"],
        "val_macro_f1": done.macro_f1,
        "val_accuracy": float(kept["accuracy"]),
        "epochs": done.epochs,
        "seconds": done.seconds,
        "pictures": done.pictures,
        "notes": done.notes,
    }


def predictions_of(folder: Path, name: str) -> Path:
    """Where the cell in `folder` keeps its predictions on the test of that name."""
    return folder / ("evaluation" if name == "test" else f"evaluation-{name}") / "predictions.parquet"


def _judge(folder: Path, name: str, test: dict[str, Any], workers: int | None) -> dict[str, Any]:
    from classify.evaluation import evaluate

    found = evaluate(
        path_from_text(test["folder"]),
        folder / "best.safetensors",
        out=predictions_of(folder, name).parent,
        leaks=False,
        workers=workers,
    )
    return {
        "digest": test["digest"],
        "macro_f1": found.metrics["macro_f1"],
        "accuracy": found.metrics["accuracy"],
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, json.dumps(content, indent=1).encode())


# The process of a cell ------------------------------------------------------------------------------------------


def start(folder: Path, threads: int | None) -> subprocess.Popen[bytes]:
    """Begin the cell in `folder` in a process of its own, with so many threads; None leaves that as it is."""
    environment = dict(os.environ)
    # The process imports this package, wherever it is started from.
    paths = [str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if threads:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "classify.cells", str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # an interrupt is for the sweep, which ends its cells itself
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a cell's process: what it has saved stays, and it is resumed next time."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def reason_of(folder: Path, returncode: int | None) -> str:
    """Why a cell has no result."""
    failure = _read_json(folder / "failure.json")
    if failure:
        return str(failure["reason"])
    if returncode is not None and returncode < 0:
        killed = "; perhaps the memory was full" if returncode == -9 else ""
        return f"its process was ended by signal {-returncode}{killed}."
    return f"its process ended with code {returncode}; see {folder / 'log.txt'}."


def main() -> None:
    """Work on the cell whose folder is the argument, until it is done or standard input ends."""
    sweep = sys.stdin.fileno()

    def follow() -> None:
        while os.read(sweep, 1):  # not through `sys.stdin`, whose lock would be missing when Python ends
            pass
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    work(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
