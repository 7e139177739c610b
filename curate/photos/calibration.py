"""The head's log-odds brought to the folder's own scale.

On pictures unlike those it was trained on the head still ranks well, but what it calls even odds is not: in one folder
all drawings lie far below, in another all paintings a little above. Where there are photographs, the log-odds of the
folder are two heaps; two normal distributions of one spread, found by expectation maximisation from the head's own
probabilities, say where the border lies here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curate.photos.contamination import Contamination

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXPECTED = {"photo": 3.0, "other": -4.0, "variance": 4.0}
"""Log-odds that the head gives on pictures like its own: middle of each heap, variance in them."""

_WORTH = 2.0
"""Pictures that what is expected counts as, so that a handful of pictures cannot pull a heap away."""

_LARGEST = 12.0
"""Log-odds are cut at this size: beyond it they are no proof of more."""


def log_odds(evidence: NDArray[np.float32], made_of: Contamination) -> NDArray[np.float64]:
    """Log-odds float64 (N,) of a photograph against the folder's own blend of drawings and paintings, from evidence (N, 3)."""
    others = max(made_of.drawing + made_of.painting, 1e-9)
    drawing = evidence[:, 1] + np.log(made_of.drawing / others + 1e-6)
    painting = evidence[:, 2] + np.log(made_of.painting / others + 1e-6)
    found: NDArray[np.float64] = (evidence[:, 0] - np.logaddexp(drawing, painting)).astype(np.float64)
    return found


def recalibrate(
    evidence: NDArray[np.float32], made_of: Contamination, probability: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probabilities float64 (N,) of a photograph on the folder's scale, from the head's own `probability` (N,).

    They rise with the log-odds, so the order of pictures is that of the head.
    """
    odds = np.clip(log_odds(evidence, made_of), -_LARGEST, _LARGEST)
    found = _heaps(odds, probability, one_spread=True)
    return probability if found is None else found


OVERLAP = 0.005
"""Share of pictures that two heaps may leave undecided for the border between them to be trusted."""

PAINTED = 0.02
"""Share of paintings among the drawings from which on heaps are not trusted: paintings fall into that of the photographs."""

_SLACK = 1.5
"""How far beyond the ends of the interval, as a factor, the share may lie that the heaps tell."""


def settle(probability: NDArray[np.float64], made_of: Contamination) -> NDArray[np.float64]:
    """Probabilities float64 (N,) with the border put between two heaps of their log-odds, where those stand apart.

    As in `recalibrate`, but each heap has a spread of its own: photographs spread more than sketches. That goes astray
    where the heaps run into each other and where paintings lie between, so it counts only where there are next to no
    paintings, where the heaps leave next to nothing undecided, and tell a share near the estimated one; else the
    probabilities come back as they are.
    """
    if not len(probability) or made_of.painting >= PAINTED * (1 - made_of.photo):
        return probability
    safe = np.clip(probability, 1e-6, 1 - 1e-6)
    odds = np.clip(np.log(safe / (1 - safe)), -_LARGEST, _LARGEST)
    found = _heaps(odds, probability, one_spread=False)
    if found is None:
        return probability
    undecided, share = float(np.minimum(found, 1 - found).mean()), float(found.mean())
    expected = made_of.low / _SLACK <= share <= min(1.0, made_of.high * _SLACK)
    return found if undecided < OVERLAP and expected else probability


def _heaps(
    odds: NDArray[np.float64], start: NDArray[np.float64], one_spread: bool
) -> NDArray[np.float64] | None:
    """Probabilities (N,) that log-odds (N,) are of the upper of two normal distributions, by expectation maximisation.

    `start` (N,) is where it begins; the two share a spread or each has its own. None where they change places.
    """
    found = start
    for _ in range(200):
        photo, other = found.sum(), (1 - found).sum()
        high = (found @ odds + _WORTH * _EXPECTED["photo"]) / (photo + _WORTH)
        low = ((1 - found) @ odds + _WORTH * _EXPECTED["other"]) / (other + _WORTH)
        if high <= low:
            return None
        above, below = found @ (odds - high) ** 2, (1 - found) @ (odds - low) ** 2
        expected = _WORTH * _EXPECTED["variance"]
        wide, narrow = (above + expected) / (photo + _WORTH), (below + expected) / (other + _WORTH)
        if one_spread:
            wide = narrow = (above + below + expected) / (len(odds) + _WORTH)
        for_photo = ((odds - low) ** 2 / narrow - (odds - high) ** 2 / wide - np.log(wide / narrow)) / 2
        moved = 1 / (1 + np.exp(-(np.log((photo + 0.5) / (other + 0.5)) + for_photo)))
        if (
            not one_spread
        ):  # beyond their middles the wider one must not come back on the narrower one's far side
            moved = np.where(odds > high, np.maximum(moved, 0.5), moved)
            moved = np.where(odds < low, np.minimum(moved, 0.5), moved)
        if np.abs(moved - found).max() < 1e-5:
            break
        found = moved
    return found
