"""How many of a folder's pictures are photographs, estimated before any one of them is judged.

The head says of each picture how likely it would be as a photograph, as a drawing and as a painting. Expectation
maximisation finds the shares of the three that explain the folder best (prior shift: Saerens, Latinne & Decaestecker,
Neural Computation 14, 2002); the likelihood along the share of photographs gives its interval and the test for none.
A head errs on pictures of a kind that it has not seen, so some drawings and more of the paintings count as able to
look like photographs, however sure the head is: `CONFUSION`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("photo", "drawing", "painting")
"""The columns of evidence and of shares, in this order."""

CONFUSION = (0.0, 0.002, 0.07)
"""Share of each kind that can look like any photograph. It caps what one picture proves: 500 to 1 against a drawing, 14 to 1
against a painting. Set from the packages that were left out of training (docs/photo-head.md)."""

MISSED = 0.01
"""Share of photographs that can look like any drawing; it counts where drawings among photographs are looked for."""

_ENOUGH = 5_000
"""Pictures that the shares are estimated from; of more, evenly chosen ones."""

_DROP = 1.92
"""Fall of the log-likelihood at the ends of a 95 % interval (half of chi-square's quantile, one degree of freedom)."""

_DROP_NONE = 2.71
"""Fall from which "no photographs" is ruled out at 99 %, because a wrong "there are some" costs drawings. A share of none lies
at the edge of what is possible, where half the falls are zero and the others half of chi-square's: the quantile of 98 %, halved
(Self & Liang, JASA 82, 1987)."""

_TINY = 1e-9
"""Likelihood that no kind falls below, so that no share of it is ever impossible."""

_LEAST = 1e-3
"""Share of photographs that probabilities are computed with where the estimate is lower: they still rank."""


@dataclasses.dataclass(frozen=True)
class Contamination:
    """Estimated make-up of a folder, as shares 0..1 of its pictures.

    `photo` with its 95 % interval `low`..`high`, `drawing`, `painting`; `present` says whether the folder cannot be
    explained without what is `wanted`: photos, or illustrations (drawings and paintings).
    """

    photo: float
    low: float
    high: float
    drawing: float
    painting: float
    present: bool
    wanted: str = "photos"

    def interval(self) -> tuple[float, float, float]:
        """Share of what is wanted, and the ends of its interval."""
        if self.wanted == "photos":
            return self.photo, self.low, self.high
        return 1 - self.photo, 1 - self.high, 1 - self.low

    def sentence(self) -> str:
        """The estimate in words."""
        name = "photographs" if self.wanted == "photos" else "illustrations"
        value, low, high = self.interval()
        share = f"Estimated share of {name}: {value:.1%} (95 % interval {low:.1%} to {high:.1%})"
        tail = "." if self.present else "; the folder can be explained without any, so nothing is removed."
        painterly = (
            f" About {self.painting:.0%} look painted: there the filter is less sure."
            if self.painting > 0.25
            else ""
        )
        return share + tail + painterly


def revised(made_of: Contamination, probability: NDArray[np.float64]) -> Contamination:
    """The estimate after the pictures were judged on the folder's own scale: the mean of their probabilities (N,).

    The interval is widened to hold it, and on either side as many pictures as are in doubt, one at the least.
    """
    photo = float(probability.mean())
    doubt = (float(np.minimum(probability, 1 - probability).sum()) + 1) / len(probability)
    scale = (1 - photo) / max(made_of.drawing + made_of.painting, 1e-12)
    return dataclasses.replace(
        made_of,
        photo=photo,
        low=max(0.0, min(made_of.low, photo - doubt)),
        high=min(1.0, max(made_of.high, photo + doubt)),
        drawing=made_of.drawing * scale,
        painting=made_of.painting * scale,
    )


def likelihoods(evidence: NDArray[np.float32], wanted: str = "photos") -> NDArray[np.float64]:
    """Relative likelihoods float64 (N, 3) from the head's log-likelihoods (N, 3), with the head's own errors allowed for."""
    shifted = evidence.astype(np.float64) - evidence.max(axis=1, keepdims=True, initial=-np.inf)
    raw = np.exp(shifted) + _TINY
    error = np.array(CONFUSION)
    found: NDArray[np.float64] = (1 - error) * raw + error * raw[:, :1]
    if wanted != "photos":
        found[:, 0] = (1 - MISSED) * raw[:, 0] + MISSED * raw.max(axis=1)
    return found


def estimate(evidence: NDArray[np.float32], wanted: str = "photos") -> Contamination:
    """The make-up of a folder from the evidence (N, 3) of its pictures, and whether it holds what is `wanted`.

    No pictures hold nothing.
    """
    if not len(evidence):
        empty = 0.0 if wanted == "photos" else 1.0
        return Contamination(empty, 0.0, 1.0, 1.0 - empty, 0.0, False, wanted)
    chosen = np.linspace(0, len(evidence) - 1, min(len(evidence), _ENOUGH)).astype(int)
    given = likelihoods(evidence[chosen], wanted)
    grid = np.concatenate([[0.0], np.geomspace(5e-4, 0.05, 25), np.linspace(0.06, 1.0, 95)])
    grid = grid if wanted == "photos" else 1 - grid[::-1]
    fits = [_profile(given, share) for share in grid]
    heights = np.array([height for height, _ in fits])
    best = int(heights.argmax())
    inside = grid[heights >= heights[best] - _DROP]
    none = 0 if wanted == "photos" else -1
    present = bool(heights[best] - heights[none] > _DROP_NONE)
    if not present:  # what the stricter test does not rule out stands in the interval
        inside = np.append(inside, grid[none])
    painting = fits[best][1] * (1 - grid[best])
    return Contamination(
        photo=float(grid[best]),
        low=float(inside.min()),
        high=float(inside.max()),
        drawing=float(1 - grid[best] - painting),
        painting=float(painting),
        present=present,
        wanted=wanted,
    )


def _profile(given: NDArray[np.float64], share: float) -> tuple[float, float]:
    """Greatest log-likelihood with this share of photographs, and the share of paintings among the rest there."""
    painting = 0.5
    for _ in range(200):
        rest = given[:, 1] * (1 - painting) + given[:, 2] * painting
        total = share * given[:, 0] + (1 - share) * rest
        weight = (1 - share) * given[:, 2] * painting / total
        mass = (1 - share) * rest / total
        # One picture of each kind is granted, so that a share never sticks at zero.
        moved = (weight.sum() + 0.5) / (mass.sum() + 1)
        if abs(moved - painting) < 1e-5:
            break
        painting = float(moved)
    return float(np.log(total).sum()), painting


def posteriors(evidence: NDArray[np.float32], made_of: Contamination) -> NDArray[np.float64]:
    """Probability float64 (N,) that each picture is a photograph, in a folder of that make-up."""
    photo = float(np.clip(made_of.photo, _LEAST, 1 - _LEAST))
    drawn = np.array([made_of.drawing, made_of.painting])
    rest = drawn / drawn.sum() if drawn.sum() > 1e-9 else np.full(2, 0.5)
    shares = np.array([photo, *((1 - photo) * rest)])
    joint = likelihoods(evidence, made_of.wanted) * shares
    found: NDArray[np.float64] = joint[:, 0] / joint.sum(axis=1)
    return found
