"""From a weights file to an ONNX file that was checked, and a model card beside it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from classify.exporting.card import CARD, model_card
from classify.exporting.check import TOLERANCE, Check, compare, pictures_of, synthetic
from classify.outputs import write_all
from classify.provenance import file_digest, versions
from curate.engine import Progress, silent
from curate.errors import Refused, UserError

_NEEDED = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Exported:
    """What `export` wrote: the ONNX file `out` of `size` bytes, the model card `card`, and how the check went."""

    out: Path
    size: int
    card: Path
    check: Check

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"out": str(self.out), "bytes": self.size, "card": str(self.card), "check": asdict(self.check)}


def export(
    weights: str | Path,
    out: str | Path | None = None,
    *,
    check: str | Path | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] | None = None,
) -> Exported:
    """Write the classifier in the weights file `weights` as ONNX to `out`, and a model card beside it.

    `out` ends in .onnx; by default it has the name of the weights. The graph takes decoded pictures of any size and
    holds the whole preprocessing, the views and the temperature: see docs/export.md. Before anything is written,
    onnxruntime answers beside PyTorch, on pictures of the folder `check` or on made-up ones, and what they differ by is
    told to `say`. Raises Refused where that is more than rounding, UserError where the weights or `out` will not do,
    or a package is missing.
    """
    from classify import weights as weights_file

    weights = Path(weights)
    if weights.is_dir():
        weights_file.load(weights)  # says what to give instead
    out = Path(out) if out is not None else weights.with_suffix(".onnx")
    _check_place(out)
    _check_installed()
    classifier = weights_file.load(weights)
    items = pictures_of(check) if check is not None else synthetic()

    from classify.exporting.graph import graph

    trained = {
        key: value for key, value in classifier.metadata.items() if key not in ("model", "temperature")
    }
    about = {"weights_sha256": file_digest(weights), "versions": versions(), "trained": trained}
    model = graph(classifier, about).SerializeToString()
    found = compare(model, classifier, items, progress)
    if say is not None:
        say(f"{found}.")
        if found.unreadable:
            say(f"{found.unreadable:,} files could not be read and were left out.")
    if not found.passed:
        raise Refused(
            f"{out}: was not written: {found}; {TOLERANCE:.0e} and every class must agree.",
            "Please report it with the name of the network and the versions of torch and onnxruntime.",
        )
    card = model_card(weights)
    write_all(out.parent, {out.name: model, CARD: card.encode()})
    return Exported(out, len(model), out.parent / CARD, found)


def write_card(weights: str | Path, out: str | Path | None = None) -> Path:
    """Write the model card of `weights` alone into the folder `out`, by default theirs; its path.

    Raises UserError where the weights or the folder will not do.
    """
    folder = Path(out) if out is not None else Path(weights).parent
    _check_folder(folder)
    write_all(folder, {CARD: model_card(weights).encode()})
    return folder / CARD


def _check_place(out: Path) -> None:
    """Raise UserError where `out` cannot become an ONNX file, before minutes are spent on it."""
    if out.suffix != ".onnx":
        raise UserError(f"{out}: does not end in .onnx.", "Give such a name with --out.")
    if out.is_dir():
        raise UserError(f"{out}: is a folder.", "Give the name of a file with --out.")
    _check_folder(out.parent)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder.", "Make it, or give another place with --out.")
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: cannot be written.", "Give another place with --out.")


def _check_installed() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"export needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            "pip install 'curate-classify[export]' installs what it needs.",
        )
