"""Registration of two pictures to a fraction of a pixel, whatever was done to their colours, in spite of overlays.

Gauss-Newton on six affine parameters (Lucas & Kanade, 1981), each place weighted by how well it fits so far (Cauchy
weights), between the one picture's grey values and those that a rule of colours predicts from the other.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 96
_STEPS = 8
_FARTHEST = 0.12
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def warp(
    image: NDArray[np.float32], transform: NDArray[np.float64], outside: float | None = None
) -> NDArray[np.float32]:
    """A square picture brought into the frame that `transform` (2, 3, unit coordinates) maps to its own.

    Places outside the picture take its nearest pixel, or the value `outside`.
    """
    import cv2

    side = image.shape[0]
    pixels = transform.copy()  # pixel i has its centre at (i + 0.5) / side
    pixels[:, 2] = side * transform[:, 2] + 0.5 * (transform[:, 0] + transform[:, 1]) - 0.5
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        image, pixels, (side, side), flags=flags, borderMode=border, borderValue=(outside or 0.0,)
    )
    return moved.astype(np.float32, copy=False)


def colour_terms(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a rule of colours is linear in, float32 (n, 5), from colours (n, 3), 0..1: red, green, blue, 1, luma squared."""
    luma = colours @ _LUMA
    ones = np.ones(len(colours), np.float32)
    return np.column_stack([colours, ones, luma * luma]).astype(np.float32, copy=False)


def robust_fit(
    terms: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Least squares (n, k) -> (n, c) by iterated Cauchy weights: coefficients (k, c), residual of each row (n,)."""
    weight = np.ones(len(terms), np.float32)
    ridge = 1e-5 * np.eye(terms.shape[1], dtype=np.float32)
    for _ in range(5):
        weighted = terms * weight[:, None]
        found = np.linalg.solve(
            weighted.T @ terms + ridge * max(float(weight.sum()), 1.0), weighted.T @ values
        )
        residual = np.sqrt(((terms @ found - values) ** 2).mean(axis=1))
        weight = 1 / (1 + (residual / max(0.03, 1.5 * float(np.median(residual)))) ** 2)
    return found.astype(np.float32), residual


@functools.cache
def _grid() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unit coordinates of all pixels, less one half."""
    y, x = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    return ((x + 0.5) / _SIDE - 0.5).ravel(), ((y + 0.5) / _SIDE - 0.5).ravel()


def refine(
    a: NDArray[np.float32], b: NDArray[np.float32], transform: NDArray[np.float64], box: tuple[float, ...]
) -> NDArray[np.float64]:
    """A better map than `transform` (2, 3) from unit coordinates of `a` to those of `b`, or that one again.

    `a`, `b` float32 (n, n, 3), 0..1; what lies outside `box` of `a` does not count.
    """
    import cv2

    ours, theirs = (cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for image in (a, b))
    terms = colour_terms(cv2.GaussianBlur(ours, (0, 0), 1.0).reshape(-1, 3).astype(np.float32, copy=False))
    grey = cv2.GaussianBlur(cv2.cvtColor(theirs, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    slopes = [cv2.Sobel(grey, cv2.CV_32F, *d, ksize=3, scale=_SIDE / 8) for d in ((1, 0), (0, 1))]
    layers = np.dstack([grey, *slopes, np.ones_like(grey)])
    left, top, right, bottom = np.round(np.array(box) * _SIDE).astype(int)
    inside = np.zeros((_SIDE, _SIDE), bool)
    inside[top:bottom, left:right] = True
    x, y = _grid()
    best, found, now = np.inf, transform, transform
    rule = None
    for step in range(_STEPS):
        target, gx, gy, there = warp(layers, now, outside=0.0).reshape(-1, 4).T
        valid = inside.ravel() & (there > 0.99)
        if valid.sum() < 0.02 * valid.size:
            break
        if rule is None or step in (2, 5):
            rule = robust_fit(terms[valid][::3], target[valid][::3, None])[0][:, 0]
        places = np.flatnonzero(valid & (np.abs(gx) + np.abs(gy) > 0.5))
        if len(places) < 50:
            break
        error = (terms[places] * rule).sum(axis=1) - target[places]
        size = np.abs(error)
        cost = float(np.minimum(size / 0.3, 1).mean())
        if cost > 1.1 * best:
            break
        if cost < best:
            best, found = cost, now
        weight = 1 / (1 + (error / max(0.02, 1.5 * float(np.median(size)))) ** 2)
        sx, sy, px, py = gx[places], gy[places], x[places], y[places]
        jacobian = np.stack([sx * px, sx * py, sx, sy * px, sy * py, sy], axis=1)
        weighted = jacobian * weight[:, None]
        normal = weighted.T @ jacobian
        normal += np.eye(6, dtype=np.float32) * 1e-4 * np.trace(normal) / 6
        change = np.linalg.solve(normal, weighted.T @ error).reshape(2, 3).astype(np.float64)
        change[:, 2] -= change[:, :2] @ [0.5, 0.5]
        now = now + change
        if np.abs(now - transform).max() > _FARTHEST or np.abs(change).max() < 3e-4:
            break
    return found
