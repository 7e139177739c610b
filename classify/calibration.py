"""Whether a belief of 80 % is right in 80 of 100 cases, and how it is made so: temperature scaling.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
"""Bins of confidence, equally wide, as in the paper."""

LEAST, MOST = 0.1, 10.0
"""Ends of the temperatures that are looked at."""


def calibrated(belief: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """softmax(log(belief) / temperature), float32 (N, C), of probabilities float32 (N, C) whose rows sum to 1.

    The most probable class stays the most probable one, even where rounding would make it equal to another.
    """
    if temperature == 1 or not len(belief):
        return belief
    scaled = np.log(np.maximum(belief.astype(np.float64), np.finfo(np.float32).tiny)) / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: NDArray[np.float32] = (scaled / scaled.sum(axis=1, keepdims=True)).astype(np.float32)
    rows, leader = np.arange(len(belief)), belief.argmax(axis=1)
    lost = found.argmax(axis=1) != leader
    found[rows[lost], leader[lost]] = np.nextafter(found[lost].max(axis=1), np.float32(2))
    return found


def fit_temperature(belief: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature at which `labels` int (N,) are most likely, of probabilities float32 (N, C); 4 decimals.

    1.0 where there are no pictures. Between 0.1 and 10: a network that is never wrong on few pictures has no best one.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    if not len(labels):
        return 1.0
    logits = np.log(np.maximum(belief.astype(np.float64), np.finfo(np.float32).tiny))
    own = logits[np.arange(len(labels)), labels]

    def surprise(place: float) -> float:
        inverse = math.exp(-place)
        return float((logsumexp(logits * inverse, axis=1) - own * inverse).mean())

    found = minimize_scalar(surprise, bounds=(math.log(LEAST), math.log(MOST)), method="bounded")
    return round(math.exp(float(found.x)), 4)


def fit_file(path: Path, pictures: NDArray[np.uint8], labels: NDArray[np.int64], device: str = "cpu") -> None:
    """Store in the weights file `path` the temperature that fits pictures uint8 (N, size, size, 3) and their labels (N,).

    Raises UserError where the file cannot be read or written.
    """
    from classify import weights

    found = weights.load(path, device)
    temperature = fit_temperature(found.beliefs(pictures), labels)
    model = found.metadata["model"]
    weights.save(
        path,
        found.model.state_dict(),
        model=model["name"],
        model_options=model["options"],
        classes=found.classes,
        preprocessing=found.preprocessing,
        settings=found.settings,
        extra={name: value for name, value in found.metadata.items() if name != "model"}
        | {"temperature": temperature},
    )


@dataclass(frozen=True)
class Reliability:
    """Pictures by confidence: a bin a row, `edges` float (BINS + 1,), `counts` int (BINS,), and the mean `confidence` and
    `accuracy` of each, float (BINS,), NaN for an empty one. `ece` is the expected calibration error, 0..1.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    ece: float


def reliability(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> Reliability:
    """Confidence float (N,), 0..1, against being `right` bool (N,), in 15 equally wide bins (closed on the right).

    The expected calibration error is the mean over the pictures of their bin's distance between confidence and accuracy.
    """
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    sums = np.maximum(counts, 1)
    mean = np.bincount(place, confidence.astype(np.float64), BINS) / sums
    share = np.bincount(place, right.astype(np.float64), BINS) / sums
    error = float((np.abs(mean - share) * counts).sum() / max(1, counts.sum()))
    empty = counts == 0
    mean[empty] = share[empty] = np.nan
    return Reliability(edges, counts, mean, share, error)
