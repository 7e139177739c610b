"""How far chance moves a macro-F1: the bootstrap over test pictures, and its spread joined with that over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from classify.sweep_results import LEVEL, Difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 2_000
"""Bootstrap samples: the standard deviation of as many is itself known to 1.6 %."""

_BLOCK = 1 << 22
"""Most counts that are held at once."""


def resampled_macro_f1(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    groups: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Macro-F1 of each classifier on bootstrap samples of the test pictures: float64 (draws, K).

    `labels` (N,) and `predicted` (K, N) are class numbers, `groups` (N,) numbers from 0. Whole groups are drawn, so copies
    of a picture count as one observation; all classifiers see the same samples. The mean is over the classes that a sample
    holds. Efron, "Bootstrap methods: another look at the jackknife", 1979; groups as in Field & Welsh, "Bootstrapping
    clustered data", 2007.
    """
    classes = np.unique(labels)
    truth = (labels[:, None] == classes).astype(np.float32)
    guesses = [(row[:, None] == classes).astype(np.float32) for row in predicted]
    count = int(groups.max()) + 1
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // len(labels))
    scores = []
    for start in range(0, draws, block):
        drawn = generator.multinomial(count, np.full(count, 1 / count), min(block, draws - start))
        weights = drawn[:, groups].astype(np.float32)
        support = weights @ truth
        met = support > 0
        found = []
        for guess in guesses:
            f1 = 2 * (weights @ (truth * guess)) / np.maximum(support + weights @ guess, 1)
            found.append(f1.sum(axis=1, where=met) / np.maximum(met.sum(axis=1), 1))
        scores.append(np.stack(found, 1))
    return np.concatenate(scores).astype(np.float64)


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
