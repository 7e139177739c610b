"""What a run tells of its epochs, and which epoch's weights are kept."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from classify.checkpoints import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMOOTH = 5
"""Evaluations whose mean decides about `best`: one alone is noise where the validation part is small."""


@dataclass(frozen=True)
class Epoch:
    """One epoch: `loss` mean over its steps, `macro_f1` and `accuracy` on the validation part, `seconds` in all of
    which `evaluation_seconds` went to it, `rate` pictures a second in training, `waiting` share of the steps' time (0..1)
    until a batch was ready, `side` of the pictures that were judged, pixels, `used` share of the budget (0..1), `left`
    seconds to the end as it looks now.
    """

    epoch: int
    loss: float
    macro_f1: float
    accuracy: float
    learning_rate: float
    seconds: float
    evaluation_seconds: float
    rate: float
    waiting: float
    side: int
    used: float
    left: float

    def __str__(self) -> str:
        """One line for the terminal."""
        return (
            f"epoch {self.epoch:>4}   loss {self.loss:6.3f}   macro-F1 {self.macro_f1:.3f}   {self.seconds:6.1f} s   "
            f"{self.rate:7.0f} pictures/s   {100 * self.used:3.0f} % done, {self.left / 60:5.1f} min left"
        )


def enter(state: Progress, epoch: Epoch, pictures: int, patience: int) -> bool:
    """Add an epoch to the history, see whether the run is over; True where this epoch's weights are to be kept.

    `pictures` are those of the validation part; `patience` counts epochs without a better macro-F1, 0: for ever. Epochs
    that saw the pictures at another size are not compared: where pictures have grown, all begins anew.
    """
    if state.history and state.history[-1]["side"] != epoch.side:
        state.highest, state.highest_epoch = -1.0, epoch.epoch
    state.history.append(asdict(epoch))
    recent = [row["macro_f1"] for row in state.history[-_SMOOTH:] if row["side"] == epoch.side]
    smoothed = float(np.mean(recent))
    if smoothed > state.highest:
        state.highest, state.highest_epoch = smoothed, epoch.epoch
    keep = not smoothed < state.highest - standard_error(state.highest, pictures)
    if keep:
        state.best_epoch = epoch.epoch
    state.finished = epoch.used >= 1 or (patience > 0 and epoch.epoch - state.highest_epoch >= patience)
    return keep


def standard_error(score: float, pictures: int) -> float:
    """How far chance alone moves a score: that of a share `score` among so many pictures (binomial).

    `best` is the latest epoch whose smoothed macro-F1 is within one standard error of the highest (the rule of
    Breiman et al., 1984): with a falling learning rate the later weights are the better ones in doubt.
    """
    share = min(max(score, 0.0), 1.0)
    return math.sqrt(share * (1 - share) / max(pictures, 1))


def scores(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> tuple[float, float]:
    """Macro-F1 over the classes that occur in `labels`, and accuracy: 0..1; NaN where there are no pictures."""
    if not len(labels):
        return math.nan, math.nan
    from sklearn.metrics import f1_score

    present = np.unique(labels)
    macro = float(f1_score(labels, predicted, labels=present, average="macro", zero_division=0))
    return macro, float(np.mean(labels == predicted))


def waited(history: list[dict[str, float]]) -> float:
    """Share of the steps' time over all epochs that passed until a batch was ready, 0..1."""
    seconds = [row["seconds"] - row["evaluation_seconds"] for row in history]
    waiting = sum(row["waiting"] * each for row, each in zip(history, seconds, strict=True))
    return waiting / max(sum(seconds), 1e-9)


def as_csv(history: list[dict[str, float]]) -> str:
    """The history as CSV, a row an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
        for row in history
    )
    return text.getvalue()
