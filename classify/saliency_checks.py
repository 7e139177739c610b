"""Do saliency maps show what the network has learnt, and what its answer hangs on? Two checks with numbers.

Whether a map changes when the weights are random is the check of Adebayo et al., "Sanity Checks for Saliency Maps"
(arXiv:1810.03292); deleting what it marks is that of Petsiuk et al., "RISE" (arXiv:1806.07421), here with blurred
places, as in Fong & Vedaldi (arXiv:1704.03296), since a flat patch is itself something to see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from classify import models
from classify.saliency import find_layer, saliency
from classify.views import ALONE
from curate.engine import Progress, silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from classify.weights import Classifier

    Method = Callable[[Classifier, NDArray[np.uint8], int], NDArray[np.float32]]

LEVEL = 0.95
"""Confidence of the intervals."""

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the picture that are deleted."""

NETWORKS = 3
"""Networks with random weights that each picture is shown to."""

_BLUR = 8
"""A deleted place shows the mean of its surroundings: a Gaussian with this part of the side as standard deviation."""


@dataclass(frozen=True)
class Figure:
    """Mean over pictures, standard deviation, and the ends of Student's interval of the mean."""

    mean: float
    spread: float
    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Figure:
        """From one value a picture, float64 (N,), two or more."""
        from scipy.stats import t

        mean, spread = float(values.mean()), float(values.std(ddof=1))
        half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * spread / len(values) ** 0.5
        return cls(mean, spread, mean - half, mean + half)


@dataclass(frozen=True)
class Sanity:
    """What `sanity` found.

    Rank correlations (Spearman) of a picture's map with: `same`, the map of its mirror image, mirrored back; `other`,
    the map of another picture; `random`, the maps by networks with random weights. `closer` is `random` less the
    middle of the other two, picture by picture. A map without any order correlates 0.

    `kept_by_map`, `kept_by_other` and `kept_by_pixels`: the mean probability of the predicted class after deleting
    each of `FRACTIONS` of the picture, where its map is highest, where the map of another picture is, and at random
    pixels. `over_other` and `over_pixels`: how much more the deletion by its own map takes than those, mean over the
    fractions. `whole` is the probability before.

    Of the two the other map is the fair comparison: it is as compact, and as much in the middle, as pictures of the set
    are. Single pixels harm the whole picture at once, with a noise that no network has learnt from, so they may take more
    than any one place, however well chosen.
    """

    pictures: int
    same: Figure
    other: Figure
    random: Figure
    closer: Figure
    whole: Figure
    kept_by_map: list[float]
    kept_by_other: list[float]
    kept_by_pixels: list[float]
    over_other: Figure
    over_pixels: Figure

    @property
    def learnt(self) -> bool:
        """Whether the maps hang on what was learnt: random weights bring them nearer to another picture's map than to their own."""
        return self.closer.high < 0

    @property
    def needed(self) -> bool:
        """Whether the answer hangs on what a picture's own map marks more than on what another picture's does."""
        return self.over_other.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {**asdict(self), "fractions": list(FRACTIONS), "learnt": self.learnt, "needed": self.needed}


def sanity(
    classifier: Classifier,
    images: NDArray[np.uint8],
    *,
    method: Method | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Sanity:
    """Check maps of pictures uint8 (N, S, S, 3), each for its predicted class; `method` makes them, by default Grad-CAM.

    Raises ValueError for fewer than three pictures.
    """
    if len(images) < 3:
        raise ValueError(f"images: {len(images)}, too few to check anything with")
    random = np.random.default_rng(seed)
    belief = classifier.probabilities(images, ALONE)
    guesses = belief.argmax(axis=1)
    make = method or _grad_cam(classifier)
    untaught = [_untaught(classifier, seed + number) for number in range(NETWORKS)]
    makes = [method or _grad_cam(network) for network in untaught]
    maps, alike = [], []
    progress(0, 2 * len(images))
    for image, guess in zip(images, guesses.tolist(), strict=True):
        own = make(classifier, image, guess)
        mirrored = make(classifier, np.ascontiguousarray(image[:, ::-1]), guess)[:, ::-1]
        theirs = [one(network, image, guess) for one, network in zip(makes, untaught, strict=True)]
        alike.append([_alike(own, mirrored), float(np.mean([_alike(own, one) for one in theirs]))])
        maps.append(own)
        progress(len(maps), 2 * len(images))
    parts = []
    for i, (image, guess) in enumerate(zip(images, guesses.tolist(), strict=True)):
        marks = (maps[i], maps[i - 1], np.zeros_like(maps[i]))
        parts.append(_kept(classifier, image, guess, marks, random))
        progress(len(images) + i + 1, 2 * len(images))
    same, untrained = np.array(alike).T
    other = np.array([_alike(maps[i], maps[i - 1]) for i in range(len(maps))])
    kept = np.stack(parts)
    left = kept.mean(axis=2)
    return Sanity(
        len(images),
        same=Figure.of(same),
        other=Figure.of(other),
        random=Figure.of(untrained),
        closer=Figure.of(untrained - (same + other) / 2),
        whole=Figure.of(belief.max(axis=1).astype(np.float64)),
        kept_by_map=kept[:, 0].mean(axis=0).tolist(),
        kept_by_other=kept[:, 1].mean(axis=0).tolist(),
        kept_by_pixels=kept[:, 2].mean(axis=0).tolist(),
        over_other=Figure.of(left[:, 1] - left[:, 0]),
        over_pixels=Figure.of(left[:, 2] - left[:, 0]),
    )


def _grad_cam(classifier: Classifier) -> Method:
    """Grad-CAM with the layer found once."""
    layer = find_layer(classifier)
    return lambda network, image, class_index: saliency(network, image, class_index, layer)


def _untaught(classifier: Classifier, seed: int) -> Classifier:
    """The same architecture on the same device, its weights drawn anew."""
    import torch

    made = classifier.metadata["model"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.create(made["name"], len(classifier.classes), made["options"])
    network.to(next(classifier.model.parameters()).device).eval().requires_grad_(False)
    return replace(classifier, model=network)


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Spearman's rank correlation of two maps (S, S); 0 where one of them is the same everywhere."""
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def _kept(
    classifier: Classifier,
    image: NDArray[np.uint8],
    guess: int,
    marks: Sequence[NDArray[np.float32]],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Probability of the class after deleting each fraction where each of `marks` (S, S) is highest: (marks, fractions)."""
    import cv2

    side = len(image)
    blurred = cv2.GaussianBlur(image, (0, 0), side / _BLUR)
    noise = random.random(side * side)
    pictures = []
    for mark in marks:
        order = np.lexsort((noise, -mark.ravel()))  # of equal marks any, not the uppermost
        for fraction in FRACTIONS:
            gone = np.zeros(side * side, dtype=bool)
            gone[order[: round(fraction * side * side)]] = True
            pictures.append(np.where(gone.reshape(side, side, 1), blurred, image))
    belief = classifier.probabilities(np.stack(pictures), ALONE)[:, guess]
    return belief.reshape(len(marks), len(FRACTIONS)).astype(np.float64)
