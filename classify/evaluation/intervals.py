"""How far scores may be from those of endless test pictures of the same kind: bootstrap intervals.

Test pictures are resampled within their class (stratified), and copies of a picture together: ten copies say no more
than one. In a class of n pictures n - 1 are drawn and counted n / (n - 1) times (Rao & Wu, 1988), without which the
spread of small classes is underestimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

LEVEL = 0.95
"""Confidence of the intervals."""

RESAMPLES = 1_000
"""Resamples drawn: the ends of an interval are then known to about a twentieth of its width."""

_CHUNK = 4_000_000
"""Numbers in memory at once, 32 MB: resamples times groups, or kinds of them."""

_HALF = 0.5
"""Pictures added to a class's right, missed and false ones: Jeffreys' prior."""


@dataclass(frozen=True)
class Intervals:
    """Ends of the intervals, 0..1: of the overall scores as pairs, of the classes float64 (P, 2) in the classes' order.

    `groups` is how many groups of copies there are, which is what counts as independent.
    """

    accuracy: tuple[float, float]
    macro_f1: tuple[float, float]
    balanced_accuracy: tuple[float, float]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    groups: int


def intervals(
    labels: NDArray[np.int64],
    guesses: NDArray[np.int64],
    groups: NDArray[np.int64] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """Intervals of the scores of `labels` int (N,) of classes 0..P-1, each with a picture, against `guesses` int (N,).

    A guess of P or more is a class without test pictures: wrong. `groups` int (N,) numbers the copies of a picture
    alike; None: there are none. The overall scores' intervals are the normal ones on the logit scale, with the
    resamples' standard deviation. Those of a class are the resamples' quantiles, after half a picture more of each
    kind (right, missed, false), drawn anew each time: without it, ten right of ten would leave no doubt at all. Raises
    ValueError where a class below the highest label has no picture.
    """
    count = int(labels.max()) + 1
    if (np.bincount(labels, minlength=count) == 0).any():
        raise ValueError("labels: a class has no picture")
    kinds = group_kinds(labels, guesses, groups)
    generator = np.random.default_rng(seed)
    parts = list(resampled(kinds, count, resamples, generator))
    right, support, guessed = (np.concatenate(column) for column in zip(*parts, strict=True))
    scale = kinds.mean_size(count)
    more = [scale * generator.poisson(_HALF, right.shape) for _ in range(3)]
    hit, missed, false = right + more[0], support - right + more[1], guessed - right + more[2]
    ends = (1 - LEVEL) / 2
    precision, recall, score = (
        np.quantile(_share(top, bottom), [ends, 1 - ends], axis=0).T
        for top, bottom in ((hit, hit + false), (hit, hit + missed), (2 * hit, 2 * hit + missed + false))
    )
    sure = np.quantile(_share(hit.sum(1), (hit + missed).sum(1)), [ends, 1 - ends])
    own_right, own_support, own_guessed = _counts(labels, guesses, count)
    overall: dict[str, tuple[float, float]] = {}
    for name, values, own in (
        ("accuracy", right.sum(1) / support.sum(1), own_right.sum() / own_support.sum()),
        ("macro_f1", f1(right, support, guessed).mean(1), f1(own_right, own_support, own_guessed).mean()),
        ("balanced_accuracy", _share(right, support).mean(1), _share(own_right, own_support).mean()),
    ):
        overall[name] = _on_logits(values, float(own), (float(sure[0]), float(sure[1])))
    return Intervals(**overall, precision=precision, recall=recall, f1=score, groups=kinds.groups)


@dataclass(frozen=True)
class GroupKinds:
    """Groups of copies, those that count alike taken together.

    `stratum` int (T,) is the class of each kind, `groups_of` int (T,) how many groups are of it, `parts` sparse float
    (T, 3P): what a group of it adds to the right, true and predicted pictures of each class.
    """

    stratum: NDArray[np.int64]
    groups_of: NDArray[np.int64]
    parts: csr_array

    @property
    def groups(self) -> int:
        """Groups in all."""
        return int(self.groups_of.sum())

    def mean_size(self, count: int) -> NDArray[np.float64]:
        """Pictures of a class by groups of it, float (P,): how much one observation of it weighs."""
        pictures: NDArray[np.float64] = self.groups_of @ self.parts.tocsc()[:, count : 2 * count].toarray()
        groups = np.bincount(self.stratum, self.groups_of, minlength=count)
        return np.asarray(np.maximum(pictures / np.maximum(groups, 1), 1.0), float)


def group_kinds(
    labels: NDArray[np.int64], guesses: NDArray[np.int64], groups: NDArray[np.int64] | None
) -> GroupKinds:
    """Gather pictures to groups and groups to kinds: single pictures by label and guess, each larger group by itself.

    A group under several labels belongs to the class of its first picture.
    """
    from scipy.sparse import coo_array

    count = int(labels.max()) + 1
    if groups is None:
        groups = np.arange(len(labels))
    _, first, group, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    wide = int(max(guesses.max(), labels.max())) + 1
    code = np.where(sizes[group] == 1, labels * wide + guesses, wide * wide + group)
    _, one, kind, pictures = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    alone = sizes[group[one]] == 1
    groups_of = np.where(alone, pictures, 1)
    share = 1 / np.where(alone, pictures, 1)[kind]
    right, known = labels == guesses, guesses < count
    rows = np.concatenate([kind[right], kind, kind[known]])
    columns = np.concatenate([labels[right], count + labels, 2 * count + guesses[known]])
    values = np.concatenate([share[right], share, share[known]])
    parts = coo_array((values, (rows, columns)), (len(one), 3 * count)).tocsr()
    return GroupKinds(labels[first[group[one]]], groups_of, parts)


def resampled(
    kinds: GroupKinds, count: int, resamples: int, generator: np.random.Generator
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Right, true and predicted pictures of each class in each resample, float (B, P) each, in chunks of resamples."""
    for start in range(0, resamples, size := max(1, _CHUNK // len(kinds.stratum))):
        drawn = draw(kinds.stratum, kinds.groups_of, min(size, resamples - start), generator)
        sums = (kinds.parts.T @ drawn.T).T
        yield sums[:, :count], sums[:, count : 2 * count], sums[:, 2 * count :]


def draw(
    stratum: NDArray[np.int64], groups_of: NDArray[np.int64], resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """How often each kind of group counts in each resample, float (B, T): within each stratum one group fewer than there
    are is drawn, and weighed up to their number. A stratum of one group stays as it is.
    """
    weights = np.empty((resamples, len(stratum)))
    order = np.argsort(stratum, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
        total = int(groups_of[rows].sum())
        if total == 1:
            weights[:, rows] = 1.0
        else:
            drawn = generator.multinomial(total - 1, groups_of[rows] / total, resamples)
            weights[:, rows] = drawn * (total / (total - 1))
    return weights


def group_weights(
    labels: NDArray[np.int64], groups: NDArray[np.int64], n: int, seed: int = 0
) -> Iterator[NDArray[np.float64]]:
    """The weight of each group in each of `n` stratified resamples, in chunks: float64 (chunk, G).

    `labels` and `groups` are int64 (N,); the G groups are in ascending order, and one with pictures of several classes
    counts to that of its first. How they are drawn: `draw`. A chunk takes no more than 32 MB, or one row.
    """
    _, first = np.unique(groups, return_index=True)
    random = np.random.default_rng(seed)
    once = np.ones(len(first), dtype=np.int64)
    chunk = max(1, _CHUNK // len(first))
    for start in range(0, n, chunk):
        yield draw(labels[first], once, min(chunk, n - start), random)


def f1(
    right: NDArray[np.float64], support: NDArray[np.float64], guessed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """F1 from counts, 0 where there is neither a picture nor a guess: as scikit-learn with `zero_division=0`."""
    return _share(2 * right, support + guessed)


def _counts(
    labels: NDArray[np.int64], guesses: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    right = np.bincount(labels[labels == guesses], minlength=count).astype(float)
    guessed = np.bincount(guesses, minlength=count)[:count].astype(float)
    return right, np.bincount(labels, minlength=count).astype(float), guessed


def _share(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(top, bottom, out=np.zeros(np.shape(top)), where=bottom > 0)


def _on_logits(
    values: NDArray[np.float64], own: float, without_spread: tuple[float, float]
) -> tuple[float, float]:
    """Normal interval around `own` on the logit scale; `without_spread` where all resamples agree, or it is 0 or 1."""
    from scipy.special import expit, logit
    from scipy.stats import norm

    least = 1e-6
    spread = float(logit(np.clip(values, least, 1 - least)).std(ddof=1))
    if spread < 1e-9 or not least < own < 1 - least:
        return min(without_spread[0], own), max(without_spread[1], own)
    half = float(norm.ppf((1 + LEVEL) / 2)) * spread
    middle = math.log(own / (1 - own))
    return float(expit(middle - half)), float(expit(middle + half))
