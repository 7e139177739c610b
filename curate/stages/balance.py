"""Evening out the classes of the training part: weights of the loss, undersampling, augmented copies, caps."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from curate.errors import UserError
from curate.pipeline import Context
from curate.tables import BALANCE

VERSION = 1

METHODS = ("weights", "undersample", "oversample", "none")


@dataclass(frozen=True)
class BalanceSettings:
    """How the training part is evened out.

    `method`: `weights` (rare classes weigh more in the loss), `undersample` (each class is drawn as often as the
    smallest has pictures), `oversample` (as often as the largest has, by augmented copies) or `none`. `cap`: at most so
    many pictures of a class are drawn an epoch, whatever the method; 0: no cap. `beta`: of the effective number of
    pictures, 0 <= beta < 1; 0: taken from the class sizes (see `class_weights`). `seed` says which pictures are left
    out, or drawn once more than others of their class.
    """

    method: str = "weights"
    cap: int = 0
    beta: float = 0.0
    seed: int = 0


def run(context: Context, settings: BalanceSettings) -> dict[str, pd.DataFrame]:
    """The stage: splits -> balance."""
    return {"balance": balance_files(context.read("splits"), settings)}


def balance_files(splits: pd.DataFrame, settings: BalanceSettings) -> pd.DataFrame:
    """One row a picture of the training part, with the columns of `curate.tables.BALANCE`, sorted by path.

    The weights' mean over what is drawn is 1. Raises UserError for impossible settings.
    """
    _check(settings)
    train = splits[splits["split"] == "train"].sort_values("path", kind="stable").reset_index(drop=True)
    sizes = {str(label): int(count) for label, count in train["label"].value_counts().sort_index().items()}
    drawn = _drawn(sizes, settings)
    weights = (
        class_weights(drawn, settings.beta) if settings.method == "weights" else dict.fromkeys(sizes, 1.0)
    )
    copies = np.zeros(len(train), dtype=np.int32)
    order = np.array(
        [_order(settings.seed, *row) for row in zip(train["content"], train["path"], strict=True)],
        dtype=object,
    )
    for label, count in drawn.items():
        rows = np.flatnonzero(train["label"].to_numpy() == label)
        rows = rows[np.argsort(order[rows], kind="stable")]
        each, more = divmod(count, len(rows))
        copies[rows] = each
        copies[rows[:more]] += 1
    return pd.DataFrame(
        {
            "path": train["path"],
            "label": train["label"],
            "weight": train["label"].map(weights).astype("float32"),
            "copies": copies,
            "reason": train["label"].map(
                {label: _reason(label, sizes[label], drawn[label], weights[label]) for label in sizes}
            ),
        },
        columns=list(BALANCE.columns),
    )


def class_weights(sizes: dict[str, int], beta: float = 0.0) -> dict[str, float]:
    """Weight of each class in the loss, from its number of pictures; the mean over all pictures is 1.

    A class weighs the inverse of its effective number of pictures E = (1 - beta^n) / (1 - beta): Cui et al.,
    "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equations 2 and 6. beta = 0 takes
    beta = 1 - 1/N with N the median class size: classes well below the median then weigh about 1/n, and those above
    it come to weigh the same, so that no rare class outweighs the rest by the whole imbalance.
    """
    if not sizes:
        return {}
    if beta == 0:
        beta = 1 - 1 / max(float(np.median(list(sizes.values()))), 1.0)
    effective = {label: (1 - beta**count) / (1 - beta) for label, count in sizes.items()}
    scale = sum(sizes.values()) / sum(count / effective[label] for label, count in sizes.items())
    return {label: scale / number for label, number in effective.items()}


def _check(settings: BalanceSettings) -> None:
    """Raise UserError for a method that is not known, or a number out of its range."""
    if settings.method not in METHODS:
        close = difflib.get_close_matches(settings.method, METHODS, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise UserError(
            f"balance: there is no method '{settings.method}'.", f"{hint}Methods: {', '.join(METHODS)}."
        )
    if settings.cap < 0:
        raise UserError(
            f"balance: cap = {settings.cap} is negative.",
            "Give the most pictures of a class, or 0 for no cap.",
        )
    if not 0 <= settings.beta < 1:
        raise UserError(
            f"balance: beta = {settings.beta:g} is not in 0 <= beta < 1.",
            "Give 0 to take it from the class sizes.",
        )


def _drawn(sizes: dict[str, int], settings: BalanceSettings) -> dict[str, int]:
    """How many pictures of each class are drawn an epoch."""
    if not sizes:
        return {}
    if settings.method == "undersample":
        drawn = dict.fromkeys(sizes, min(sizes.values()))
    elif settings.method == "oversample":
        drawn = dict.fromkeys(sizes, max(sizes.values()))
    else:
        drawn = dict(sizes)
    return {label: min(count, settings.cap) if settings.cap else count for label, count in drawn.items()}


def _reason(label: str, size: int, drawn: int, weight: float) -> str:
    """In words, with the numbers, what was done to a class."""
    name = f"class {label}" if label else "the only class"
    many = f"{size:,} training picture{'' if size == 1 else 's'}"
    if drawn == size:
        return f"{name} has {many}, all drawn; weight {weight:.3g}"
    return f"{name} has {many}, {drawn:,} drawn an epoch; weight {weight:.3g}"


def _order(seed: int, content: str, path: str) -> str:
    """A pseudorandom place that depends on the seed and the content; files of the same content go by their path."""
    return f"{hashlib.sha256(f'{seed} {content}'.encode()).hexdigest()} {path}"
