"""What a run has written about itself, as far as it is there: the ground of its model card."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classify.provenance import NAME as PROVENANCE
from classify.provenance import file_digest

if TYPE_CHECKING:
    from classify.weights import Classifier

HISTORY = "history.csv"
METRICS = "evaluation/metrics.json"

_ROUNDED = 1e-6
"""The history has six decimals."""


@dataclass(frozen=True)
class Records:
    """What is known of the weights file `path`.

    `parameters` counts the network's weights. `provenance` and `metrics` are the contents of the files of their names,
    `epoch` the row of the history for the epoch that was kept; each is empty where its file is not there, cannot be read,
    or is not about these weights. `notes` are sentences about those that were left out.
    """

    path: Path
    sha256: str
    classifier: Classifier
    parameters: int
    provenance: dict[str, Any]
    epoch: dict[str, float]
    metrics: dict[str, Any]
    notes: list[str]

    @property
    def training_pictures(self) -> dict[str, int]:
        """Pictures of each class in the training part; empty where that is not recorded."""
        return {name: int(parts.get("train", 0)) for name, parts in self._parts.items()}

    @property
    def validation_pictures(self) -> int:
        """Pictures of the validation part; 0 where there were none or that is not recorded."""
        return sum(int(parts.get("val", 0)) for parts in self._parts.values())

    @property
    def _parts(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = self.provenance.get("data", {}).get("pictures", {})
        return found


def read_records(weights: str | Path) -> Records:
    """The records around a weights file, in its folder. Raises UserError where it is no weights file."""
    from classify import weights as weights_file

    path = Path(weights)
    classifier = weights_file.load(path)
    sha256 = file_digest(path) or ""
    notes: list[str] = []
    provenance = _json(path.parent / PROVENANCE, notes)
    known = provenance.get("finish", {}).get("sha256", {})
    if known and sha256 not in known.values():
        provenance = {}
        notes.append(f"{PROVENANCE} beside the weights is about others, and was left out.")
    metrics = _json(path.parent / METRICS, notes)
    if metrics and metrics.get("weights_sha256") != sha256:
        metrics = {}
        notes.append(f"{METRICS} is about other weights, and was left out. Evaluate again for its figures.")
    return Records(
        path=path,
        sha256=sha256,
        classifier=classifier,
        parameters=sum(value.numel() for value in classifier.model.parameters()),
        provenance=provenance,
        epoch=_epoch(path.parent / HISTORY, classifier, notes),
        metrics=metrics,
        notes=notes,
    )


def _json(path: Path, notes: list[str]) -> dict[str, Any]:
    """The object in a JSON file without what is null; empty where there is none."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        content = None
    if isinstance(content, dict):
        return {name: value for name, value in content.items() if value is not None}
    notes.append(f"{path.name} cannot be read, and was left out.")
    return {}


def _epoch(path: Path, classifier: Classifier, notes: list[str]) -> dict[str, float]:
    """The history's row of the weights' epoch; empty where there is none, or where it tells of another run."""
    epoch, score = classifier.metadata.get("epoch"), classifier.metadata.get("val_macro_f1")
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
        row = next(({k: float(v) for k, v in row.items()} for row in rows if int(row["epoch"]) == epoch), {})
        if score is not None and row and abs(row["macro_f1"] - score) > _ROUNDED:
            notes.append(f"{path.name} beside the weights is about others, and was left out.")
            return {}
        return row
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError):
        notes.append(f"{path.name} cannot be read, and was left out.")
        return {}
