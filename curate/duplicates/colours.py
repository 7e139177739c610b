"""Whether one picture's colours are the other's, changed by one rule for the whole picture.

Edits of the colours (brightness, contrast, gamma, inversion, saturation, hue, white balance, grey, a tint) are rules
with few parameters. The same drawing filled with other colours region by region follows none of them, or only one with
as many parameters as the drawing has colours.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LEVELS = 6
_EQUAL = 0.05
_BY_RULE = 0.03
_OTHER = 0.05
_ONE = 0.04  # a single colour that is off counts with at least this weight
_EXACT = 0.02
_FEW = 3
_MIDDLES = np.array([0.3, 0.5, 0.7, 0.85], np.float32)
_FACTORS = np.array([0.5, 0.6, 0.7, 0.8, 1.15, 1.3, 1.5, 1.75], np.float32)
_GAMMAS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4, 1.6, 1.8, 2.2)
_MANY = 12
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def judge_colours(a: NDArray[np.float32], b: NDArray[np.float32]) -> int:
    """Whether the colours `b` follow from `a`, both float32 (n, 3), 0..1, at the same n places, by one simple rule.

    1 yes, -1 no, 0 that cannot be told: the error lies between, or so few distinct colours changed that a rule always
    fits. Yes where there are more than 12 distinct colours, for then every place of the pictures is a test of the
    rule; and for no places.
    """
    from_, to, weight = _distinct(a, b)
    if not len(from_) or len(from_) > _MANY:
        return 1

    def least_error(predicted: NDArray[np.float32]) -> float:
        off = ((np.clip(predicted, 0, 1) - to) ** 2).mean(axis=2)
        return float(np.sqrt(np.maximum(off @ weight, _ONE * off.max(axis=1)).min()))

    if least_error(from_[None]) < _EQUAL:
        return 1
    simple = least_error(np.stack(list(_exposures(from_, to, weight))))
    if len(from_) >= _FEW and simple < _EXACT:
        return 1
    least = least_error(np.stack(list(_predictions(from_, to, weight))))
    if min(simple, least) > _OTHER:
        return -1
    return int(least < _BY_RULE and len(from_) > _FEW)


def _distinct(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The distinct colours of `a`, the mean colours of `b` at their places, and weights that sum to 1."""
    cell = (np.clip(a, 0, 0.999) * _LEVELS).astype(np.int64) @ np.array([_LEVELS**2, _LEVELS, 1])
    _, which, count = np.unique(cell, return_inverse=True, return_counts=True)
    frequent = count >= max(4, 0.004 * len(a))
    means = [
        np.stack([np.bincount(which, values[:, c]) for c in range(3)], axis=1)[frequent]
        / count[frequent, None]
        for values in (a, b)
    ]
    weight = np.minimum(count[frequent] / max(len(a), 1), 0.05)
    weight = weight / max(float(weight.sum()), 1e-9)
    return means[0].astype(np.float32), means[1].astype(np.float32), weight.astype(np.float32)


def _exposures(
    a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """What the simplest edits make of the colours `a`: darkening, gamma, inversion, grey."""
    gain = float(weight @ (a * b).sum(axis=1) / max(float(weight @ (a * a).sum(axis=1)), 1e-6))
    if 0.4 < gain < 1:
        yield a * np.float32(gain)
    yield from (a**gamma for gamma in _GAMMAS)
    yield 1 - a
    yield np.repeat((a @ _LUMA)[:, None], 3, axis=1)


def _predictions(
    a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """What each family of edits makes of the colours `a` with the parameters that suit `b` best."""
    root = np.sqrt(weight)
    luma = a @ _LUMA
    each = np.repeat(root, 3)
    # One tone curve for all channels: brightness, contrast, inversion, and gamma where enough colours tell it.
    powers = range(3 if len(a) > _FEW else 2)
    tone = np.stack([a.ravel() ** p for p in powers], axis=1)
    yield (tone @ _solve(tone, b.ravel(), each)).reshape(-1, 3)
    grey = np.repeat(luma[:, None], 3, axis=1)
    colour = (a - grey).reshape(-1, 1)
    saturation = _solve(colour, (b - grey).ravel(), each)
    yield grey + (colour @ saturation).reshape(-1, 3)
    yield (a * ((weight @ (a * b)) / np.maximum(weight @ (a * a), 1e-6))).astype(np.float32)
    yield from (a * factor for factor in _FACTORS if factor > 1)
    for middle in _MIDDLES:
        yield from (middle + (a - middle) * factor for factor in _FACTORS)
    if len(a) >= _FEW:  # a tint of grey
        line = np.stack([luma, np.ones_like(luma)], axis=1)
        yield line @ _solve(line, b, root)
    turned = list(_turned_hues(a))
    yield from turned
    if len(a) > _FEW + 1:  # hue, saturation and brightness at once
        for hue in turned[:36:2]:
            terms = np.stack([hue.ravel(), np.repeat(hue @ _LUMA, 3), np.ones(hue.size, np.float32)], axis=1)
            yield (terms @ _solve(terms, b.ravel(), each)).reshape(-1, 3).astype(np.float32)


def _solve(
    terms: NDArray[np.float32], values: NDArray[np.float32], root: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weighted least squares; `root` is the square root of the weights."""
    weighted = values * (root if values.ndim == 1 else root[:, None])
    found: NDArray[np.float32] = np.linalg.lstsq(terms * root[:, None], weighted, rcond=None)[0]
    return found


def _turned_hues(a: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The colours with their hue turned: in HSV, and in YIQ as `hue-rotate` of CSS does."""
    import cv2

    hsv = cv2.cvtColor(a[None], cv2.COLOR_RGB2HSV)
    turned = np.repeat(hsv, 36, axis=0)
    turned[..., 0] = (turned[..., 0] + np.arange(0, 360, 10, dtype=np.float32)[:, None]) % 360
    yield from cv2.cvtColor(turned, cv2.COLOR_HSV2RGB)
    for matrix in _yiq_turns():
        yield a @ matrix


@functools.cache
def _yiq_turns() -> tuple[NDArray[np.float32], ...]:
    """Matrices (3, 3) that turn the chroma of row vectors RGB by 15, 30, ... degrees."""
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    matrices = []
    for angle in np.radians(np.arange(15, 360, 15)):
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        matrices.append((np.linalg.inv(to_yiq) @ turn @ to_yiq).T.astype(np.float32))
    return tuple(matrices)
