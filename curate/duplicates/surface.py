"""What the surfaces of two registered pictures show: tones, colours, noise, halos, overlays.

All functions take pictures of one frame: `first`, `second` float32 (h, w, 3) or their luma, 0..255, and where they may
be compared, bool (h, w).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LEVELS = 64
"""Tones that are told apart where one picture's are fitted to the other's."""

MEAN = np.full(3, 1 / 3, np.float32)
"""Weights of the mean of three channels."""

_RESIDUAL, _RESIDUAL_RATIO = 16.0, 4.0
_OVERSHOOT = 6.0
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) * (1.2533 / 6)
"""Its mean absolute answer is the standard deviation of white noise (Immerkaer, CVIU 64, 1996)."""


def log_ratio(b: float, a: float, least: float) -> float:
    """Natural logarithm of b over a, both raised by `least`."""
    return float(np.log((b + least) / (a + least)))


def blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur; `sigma` in pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32, copy=False)


def threshold(slopes: Floats, share: float) -> float:
    """A whole number below which about `share` of the slopes lie (they are full of ties, which sorting is slow at)."""
    counts = np.bincount(np.minimum(slopes, 255).astype(np.uint8), minlength=256)
    return float(np.searchsorted(np.cumsum(counts), share * len(slopes)))


def level_of(grey: Floats) -> NDArray[np.int64]:
    """The number of each tone, 0 .. LEVELS - 1."""
    level: NDArray[np.int64] = np.clip(grey * (LEVELS / 256), 0, LEVELS - 1).astype(np.int64)
    return level


def crushed(x: Floats, y: Floats, mean: Floats) -> float:
    """Share of y's variance that is gone where x stands at an end of the scale: its tones were clipped."""
    level = level_of(x)
    ends = (level == 0) | (level == LEVELS - 1)
    return float(((y - mean[level])[ends] ** 2).sum() / (len(y) * (y.var() + 1)))


def curve(x: Floats, y: Floats) -> tuple[float, Floats, NDArray[np.bool_]]:
    """y's variance that x's tone does not explain, the mean y of each of 64 tones of x, and which tones occur."""
    level = level_of(x)
    number = np.bincount(level, minlength=LEVELS)
    mean = (np.bincount(level, y, LEVELS) / np.maximum(number, 1)).astype(np.float32)
    return float(((y - mean[level]) ** 2).mean()), mean, number > max(4, 0.002 * len(x))


def colours(
    first: Floats, second: Floats, mask: NDArray[np.bool_]
) -> tuple[tuple[float, float], float, tuple[float, float], Floats]:
    """Chroma of each, correlation of their colours, clipped share of each, and the linear map (4, 3) of a's to b's.

    All but the clipped share at a quarter of the scale, where noise has no colour.
    """
    size = (max(4, mask.shape[1] // 4), max(4, mask.shape[0] // 4))
    inside = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99
    inside = inside if inside.sum() >= 12 else np.ones_like(inside)
    a, b = (cv2.resize(p, size, interpolation=cv2.INTER_AREA)[inside] for p in (first, second))
    ours, theirs = (p - (p @ MEAN)[:, None] for p in (a, b))
    square_a, square_b = float(np.vdot(ours, ours)), float(np.vdot(theirs, theirs))
    chroma = (float(np.sqrt(square_a / len(a))), float(np.sqrt(square_b / len(a))))
    same = float(np.vdot(ours, theirs) / np.sqrt(square_a * square_b + 1e-6))
    ends = [float((np.abs(p[mask][::3] - 127.5) >= 125.5).any(axis=1).mean()) for p in (first, second)]
    x = np.concatenate([a, np.ones((len(a), 1), np.float32)], axis=1)
    least = np.diag([1.0, 1.0, 1.0, 0.0]) * len(
        x
    )  # ridge towards no change: grey pictures leave the colours open
    linear = np.linalg.solve((x.T @ x).astype(np.float64) + least, x.T @ b + least[:, :3])
    return chroma, same, (ends[0], ends[1]), linear.astype(np.float32)


def residual_of(
    first: Floats, second: Floats, mask: NDArray[np.bool_], linear: Floats
) -> tuple[Floats, float]:
    """What of b no change of colours explains, place by place (h, w), and its mean under `mask`."""
    residual = np.abs(second - first @ linear[:3] - linear[3]) @ MEAN
    if (
        residual[mask] > _RESIDUAL
    ).mean() > 0.002:  # a curve explains clipped and bent tones, a matrix turned hues
        curves = [curve(first[..., c][mask][::2], second[..., c][mask][::2])[1] for c in range(3)]
        bent = np.stack([curves[c][level_of(first[..., c])] for c in range(3)], axis=2)
        residual = np.minimum(residual, np.abs(second - bent) @ MEAN)
    residual = blur(residual.astype(np.float32), 1.2)
    residual[~mask] = 0
    return residual, float(residual[mask].mean())


def overlay(
    residual: Floats, mask: NDArray[np.bool_], slope_a: Floats, slope_b: Floats
) -> tuple[float, float, NDArray[np.bool_]]:
    """The largest place that differs: its share of the difference, the slopes along its outline (logarithm, b over
    a), and all places that differ."""
    none = np.zeros(mask.shape, np.bool_)
    typical = float(np.median(residual[mask][::5]))
    differs = ((residual > max(_RESIDUAL, _RESIDUAL_RATIO * typical)) & mask).astype(np.uint8)
    differs = cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.uint8)
    if differs.sum() <= 10:
        return 0.0, 0.0, none
    area = cv2.dilate(differs, np.ones((5, 5), np.uint8)) > 0
    count, label = cv2.connectedComponents(cv2.dilate(differs, np.ones((7, 7), np.uint8)))
    sums = np.bincount(label.ravel(), residual.ravel(), count)
    largest = 1 + int(np.argmax(sums[1:]))
    one = ((label == largest) & (differs > 0)).astype(np.uint8)
    if one.mean() < 0.008:
        return 0.0, 0.0, area
    square = np.ones((3, 3), np.uint8)
    ring = (cv2.dilate(one, square) > 0) & (cv2.erode(one, square) == 0) & mask
    outline = log_ratio(float(slope_b[ring].mean()), float(slope_a[ring].mean()), 2.0) if ring.any() else 0.0
    return float(sums[largest] / max(float(residual.sum()), 1e-6)), outline, area


def slope(grey: Floats) -> Floats:
    """Slope of each place, grey levels a pixel (half the Sobel operator's gradient)."""
    found = cv2.magnitude(
        cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25)
    )
    return found.astype(np.float32, copy=False)


def edges(slope_a: Floats, slope_b: Floats, fit_a: Floats, fit_b: Floats, clear: NDArray[np.bool_]) -> float:
    """Logarithm of the strongest edges' slope, b over a, tones fitted either way: the lesser of the two, 0 where they
    disagree in sign."""
    both = []
    for ours, theirs in ((slope(fit_b), slope_b), (slope_a, slope(fit_a))):
        strong = np.maximum(ours, theirs)[clear]
        chosen = strong >= max(1.0, threshold(strong, 0.9))
        if not chosen.any():
            return 0.0
        both.append(log_ratio(float(theirs[clear][chosen].mean()), float(ours[clear][chosen].mean()), 0.5))
    return min(both, key=abs) if both[0] * both[1] > 0 else 0.0


def halos(grey: Floats, fit: Floats, slope: Floats, clear: NDArray[np.bool_]) -> float:
    """Share of the other picture's edges where this one leaves the range that the other has within two pixels."""
    square = np.ones((5, 5), np.uint8)
    beyond = np.maximum(grey - cv2.dilate(fit, square), cv2.erode(fit, square) - grey)
    chosen = slope[clear]
    at_edges = beyond[clear][chosen >= max(1.0, threshold(chosen, 0.8))]
    return float((at_edges > _OVERSHOOT).mean()) if at_edges.size else 0.0


def noise(
    grey_a: Floats, grey_b: Floats, fit_b: Floats, slope_a: Floats, clear: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Noise of a, of b and of what b has beyond a, in the flatter two fifths of the picture; standard deviations."""
    calm = cv2.blur(slope_a, (5, 5)).astype(np.float32, copy=False)
    flat = (calm <= threshold(calm[clear], 0.4) + 1) & clear
    noise = [
        float(np.abs(cv2.filter2D(image, cv2.CV_32F, _NOISE_KERNEL))[flat].mean())
        for image in (grey_a, grey_b, grey_b - fit_b)
    ]
    return noise[0], noise[1], noise[2]
