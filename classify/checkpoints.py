"""Where a run stands: one safetensors file that a killed run goes on from. No pickle is written or read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classify.weights import pack, write_whole
from curate.errors import UserError

if TYPE_CHECKING:
    import torch

NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """What a run has done so far; plain data.

    `step` and `epoch` count finished ones; `elapsed` is in seconds over all sessions; `history` holds a row an epoch;
    `best_epoch` and `highest` belong to the kept weights and to the best smoothed macro-F1 (see `classify.training`).
    """

    step: int = 0
    epoch: int = 0
    elapsed: float = 0.0
    highest: float = -1.0
    highest_epoch: int = 0
    best_epoch: int = 0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def write(run: Path, tensors: dict[str, torch.Tensor], progress: Progress, about: dict[str, Any]) -> None:
    """Store the state of the run in the folder `run`, all or nothing. `about` is what must be the same on resuming."""
    metadata = {"progress": json.dumps(vars(progress)), "about": json.dumps(about)}
    write_whole(run / NAME, pack(tensors, metadata))


def read(run: Path) -> tuple[dict[str, torch.Tensor], Progress, dict[str, Any]] | None:
    """What `write` stored in the folder `run`; None where there is nothing. Raises UserError where it is damaged."""
    from safetensors import SafetensorError, safe_open

    path = run / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        return tensors, Progress(**json.loads(metadata["progress"])), json.loads(metadata["about"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: the checkpoint cannot be read ({error}).", "Remove the run's folder and train anew."
        ) from error
