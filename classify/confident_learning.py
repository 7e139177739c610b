"""Which labels contradict what a classifier that never saw them believes: confident learning, as functions of arrays.

Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 70, 2021,
arXiv:1911.00068). Its count of wrong labels takes whatever a weak classifier confuses for one, so how many there are,
and how probably a label is one of them, is found otherwise here: see `share_of_errors`.

Everywhere `labels` are int64 (N,), `probabilities` float (N, C) with rows that sum to 1, out of fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLAINEST = (0.25, 0.2, 0.15, 0.1, 0.05, 0.02)
"""Shares of the planted mistakes, the plainest, by which real ones may be counted: right labels hardly get among them."""


@dataclass(frozen=True)
class Share:
    """An estimated share, 0..1, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Findings:
    """What there is to say of each label, arrays (N,), and of all.

    `suggested` int64: the most probable class but the label. `margin` float64: probability of the label less that of
    `suggested`, -1..1. `chance` float64: estimated probability that the label is wrong, 0..1. `suspect` bool: confident
    learning names it. `share`: of the labels that are wrong. `joint` float64 (C, C): confident learning's estimated
    number of pictures by label (row) and true class (column). `planted` float64 (M,): margins of planted mistakes, ascending.
    """

    suggested: NDArray[np.int64]
    margin: NDArray[np.float64]
    chance: NDArray[np.float64]
    suspect: NDArray[np.bool_]
    share: Share
    joint: NDArray[np.float64]
    planted: NDArray[np.float64]

    def found(self, margin: float) -> float:
        """Share of planted mistakes whose margin is no higher, 0..1: how many of the real ones a cut there finds."""
        return float(np.searchsorted(self.planted, margin, side="right") / len(self.planted))


def find(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> Findings:
    """Judge every label. Raises ValueError for no rows, or a label that is no column."""
    belief = np.asarray(probabilities, np.float64)
    if not len(labels) or labels.min() < 0 or labels.max() >= belief.shape[1]:
        raise ValueError("labels: none, or one that is no column of the probabilities")
    every = margins(belief)
    rows = np.arange(len(labels))
    own = every[rows, labels]
    planted = np.sort(every[np.arange(every.shape[1]) != labels[:, None]])
    share = share_of_errors(own, planted)
    others = belief.copy()
    others[rows, labels] = -1
    joint = confident_joint(labels, belief)
    return Findings(
        others.argmax(1).astype(np.int64),
        own,
        chances(own, planted, share.value),
        by_noise_rate(labels, belief, joint) & by_class(labels, belief, joint) & (own < 0),
        share,
        joint,
        planted,
    )


def margins(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each class the normalised margin, were it the label: its probability less the highest other, (N, C), -1..1."""
    ordered = np.sort(probabilities, axis=1)
    is_best = np.arange(probabilities.shape[1]) == probabilities.argmax(1)[:, None]
    return probabilities - np.where(is_best, ordered[:, -2:-1], ordered[:, -1:])


def thresholds(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean probability of each class over the pictures that bear its label, (C,); 1 for a class without pictures."""
    sums = np.bincount(labels, probabilities[np.arange(len(labels)), labels], probabilities.shape[1])
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    return np.divide(sums, counts, out=np.ones(len(counts)), where=counts > 0)


def confident_joint(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimated number of pictures by label (row) and true class (column), (C, C); rows sum to the labels' counts.

    A picture counts for the most probable of the classes that it reaches the threshold of (equations 1 and 2 of the paper),
    and the rows are scaled to the labels' counts (equation 3).
    """
    count = probabilities.shape[1]
    reached = probabilities >= thresholds(labels, probabilities) - 1e-6
    sure = reached.any(1)
    guess = np.where(reached, probabilities, -1).argmax(1)
    counts = np.zeros((count, count))
    np.add.at(counts, (labels[sure], guess[sure]), 1)
    np.fill_diagonal(counts, np.maximum(np.diagonal(counts), 1))
    scaled: NDArray[np.float64] = (
        counts / counts.sum(1, keepdims=True) * np.bincount(labels, minlength=count)[:, None]
    )
    return scaled


def by_noise_rate(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], joint: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Prune by noise rate, bool (N,): of each label i and other class j, as many as `joint` says, of the largest p_j - p_i."""
    found = np.zeros(len(labels), bool)
    wanted = np.rint(joint).astype(int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        for other in np.flatnonzero(wanted[label]):
            if other != label:
                gap = probabilities[rows, label] - probabilities[rows, other]
                found[rows[np.argsort(gap, kind="stable")[: wanted[label, other]]]] = True
    return found


def by_class(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], joint: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Prune by class, bool (N,): of each label as many as `joint` says are wrong, of the lowest probability of the label."""
    found = np.zeros(len(labels), bool)
    wanted = np.rint(joint.sum(1) - np.diagonal(joint)).astype(int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        order = np.argsort(probabilities[rows, label], kind="stable")
        found[rows[order[: wanted[label]]]] = True
    return found


def share_of_errors(own: NDArray[np.float64], planted: NDArray[np.float64]) -> Share:
    """Share of wrong labels from the margins `own` of the labels (N,), and of `planted` mistakes (M,), ascending.

    A picture took no part in the training for its own fold, so any other class may be put in the place of its label,
    and the margin is that of a mistake known to be one. Labels are a mixture of mistakes and right ones, and of the right
    ones hardly any has a margin as low as the plainest mistakes: the labels below such a line, over the share of planted
    mistakes below it, are the share of mistakes, or more (the proportion of a mixture is the least ratio of the two
    distribution functions: Blanchard, Lee & Scott, "Semi-supervised novelty detection", JMLR 11, 2010). A quarter of them
    is counted by, or fewer where the whole interval that they give is below: a weak classifier is often sure of the wrong
    class. It rests on mistakes that name any other class alike; of those between classes that resemble each other it
    counts too few. The interval is Wilson's.
    """
    from scipy.stats import binomtest

    chosen = Share(1.0, 1.0, 1.0)
    for part, line in zip(_PLAINEST, np.quantile(planted, _PLAINEST), strict=True):
        below = int((own <= line).sum())
        interval = binomtest(below, len(own)).proportion_ci(method="wilson")
        value, low, high = (min(1.0, x / part) for x in (below / len(own), interval.low, interval.high))
        if part == _PLAINEST[0] or high < chosen.value:
            chosen = Share(value, low, high)
    return chosen


def chances(own: NDArray[np.float64], planted: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Estimated probability that each label is wrong, (N,): falls with the margin; 0 where the label is the most probable.

    Bayes' rule, with the ratio of the two densities from an isotonic regression that tells planted mistakes from labels.
    """
    from sklearn.isotonic import IsotonicRegression

    kind = np.concatenate([np.ones(len(planted)), np.zeros(len(own))])
    weight = np.concatenate([np.full(len(planted), 1 / len(planted)), np.full(len(own), 1 / len(own))])
    model = IsotonicRegression(increasing=False, out_of_bounds="clip")
    belief = model.fit(np.concatenate([planted, own]), kind, weight).predict(own)
    ratio = belief / np.maximum(1 - belief, 1e-9)
    return np.where(own < 0, np.minimum(1.0, share * ratio), 0.0)
