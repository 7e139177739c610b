"""How far chance moves a macro-F1: the bootstrap over test pictures, and its spread joined with that over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from classify.evaluation.intervals import f1, group_weights
from classify.sweep_results import LEVEL, Difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 2_000
"""Bootstrap samples: the standard deviation of as many is itself known to 1.6 %."""


def resampled_macro_f1(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    groups: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Macro-F1 of each classifier on bootstrap samples of the test pictures: float64 (draws, K).

    `labels` (N,) and `predicted` (K, N) are class numbers (-1: none that is tested), `groups` (N,) numbers from 0 without
    gaps. Drawn as for the intervals of `classify evaluate`: within each class, whole groups of copies, and the same
    samples for all classifiers.
    """
    classes = np.unique(labels)
    truth = (labels[:, None] == classes).astype(float)
    guesses = [(row[:, None] == classes).astype(float) for row in predicted]
    scores = []
    for drawn in group_weights(labels, groups, draws, seed):
        weights = drawn[:, groups]
        support = weights @ truth
        scores.append(
            np.stack(
                [f1(weights @ (truth * guess), support, weights @ guess).mean(1) for guess in guesses], 1
            )
        )
    return np.concatenate(scores)


def joined(differences: Sequence[float], pictures: float) -> Difference:
    """The mean of the differences (one a seed), with an interval for chance in training and in the test pictures.

    `pictures` is the standard deviation of that mean over bootstrap samples of the test pictures. Variances of both sources
    add up: s^2 / n + pictures^2, with Student's t at Satterthwaite's degrees of freedom ("An approximate distribution of
    estimates of variance components", 1946), those of the bootstrap being many. What both sources share counts twice, so
    the interval is rather too wide. No interval with fewer than two seeds.
    """
    values = np.asarray(differences, np.float64)
    count, mean = len(values), float(np.mean(differences))
    if count < 2:
        return Difference(mean, None, None, count)
    from scipy.stats import norm, t

    training = float(values.var(ddof=1)) / count
    both = training + pictures**2
    share = training / both if both else 1.0
    freedom = (count - 1) / share**2 if share else math.inf
    quantile = (1 + LEVEL) / 2
    half = float(t.ppf(quantile, freedom) if freedom < 1e6 else norm.ppf(quantile)) * math.sqrt(both)
    return Difference(mean, mean - half, mean + half, count)
