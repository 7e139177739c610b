"""Traces that JPEG compression leaves in decoded pixels.

A JPEG's 8 x 8 DCT coefficients are multiples of the steps of its quantisation tables (ITU-T T.81, A.3.4). Decoded,
edited lightly and saved again, they still lie near those multiples: so the pixels tell that they were once another
JPEG, with which steps, and where its grid lay. (Fan & de Queiroz, IEEE Transactions on Image Processing 12, 2003;
Lukas & Fridrich, DFRWS 2003.)
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUALITIES = tuple(range(5, 90, 5))
"""Qualities of the IJG's scaled tables that are looked for."""

_FREQUENCIES = tuple((v, u) for v in range(8) for u in range(8) if 1 <= u + v <= 4)
_ROWS, _COLUMNS = (np.array(axis) for axis in zip(*_FREQUENCIES, strict=True))
_STANDARD = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
_CELLS, _CELL = 1024, 0.5
_COARSER = 1.4  # steps finer than 1.4 x the file's own leave no trace that the own steps would not leave
_LEAST_COEFFICIENTS = 60


def standard_table(quality: int) -> NDArray[np.float32]:
    """The luma table of ITU-T T.81, K.1, scaled as the Independent JPEG Group's library does; float32 (8, 8)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: NDArray[np.float32] = np.clip(np.floor((_STANDARD * scale + 50) / 100), 1, 255).astype(np.float32)
    return table


@functools.cache
def _standard_steps() -> NDArray[np.float32]:
    return np.stack([steps(standard_table(quality)) for quality in QUALITIES])


def steps(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """The steps of the 14 lowest frequencies of a table (8, 8) without the constant one; float32 (14,)."""
    lowest: NDArray[np.float32] = table[_ROWS, _COLUMNS]
    return lowest


def coefficients(grey: NDArray[np.float32], x: int, y: int) -> NDArray[np.float32]:
    """The 14 lowest DCT coefficients of the 8 x 8 blocks of a grid whose first corner is at x, y; float32 (n, 14)."""
    grey = grey[y:, x:]
    height, width = grey.shape[0] // 8, grey.shape[1] // 8
    blocks = (
        grey[: height * 8, : width * 8].reshape(height, 8, width, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    )
    basis = _dct()
    lowest: NDArray[np.float32] = (basis[:5] @ (blocks @ basis[:5].T))[:, _ROWS, _COLUMNS]
    return lowest


@functools.cache
def _dct() -> NDArray[np.float32]:
    """The orthonormal DCT-II of length 8, rows are frequencies."""
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    basis = np.sqrt(2 / 8) * np.cos(np.pi * k * (2 * n + 1) / 16)
    basis[0] /= np.sqrt(2)
    rows: NDArray[np.float32] = basis.astype(np.float32)
    return rows


@functools.cache
def _waves() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each quality and frequency, cos(2 pi c / step) of the cells' coefficients c beyond half a step, and which
    cells those are: float32 (qualities, 14, cells)."""
    c = (np.arange(_CELLS) * _CELL).astype(np.float32)[None, None]
    step = _standard_steps()[:, :, None]
    beyond = c > step / 2
    return (np.cos(2 * np.pi * c / step) * beyond).astype(np.float32), beyond.astype(np.float32)


def earlier_quality(found: NDArray[np.float32], own: NDArray[np.float32] | None) -> tuple[float, int]:
    """How clearly coefficients (n, 14) lie on the steps of a standard table, 0..1, and of which quality.

    `own` are the steps of the file itself where its grid is the same: only coarser ones tell of an earlier file.
    Chance and the aliasing of a file's own steps give up to 0.1 and 0.25; what is below such limits counts as 0.
    """
    cell = np.minimum(np.rint(np.abs(found) / _CELL), _CELLS - 1).astype(np.int64)
    counts = np.zeros((found.shape[1], _CELLS), np.float32)
    for k in range(found.shape[1]):
        counts[k] = np.bincount(cell[:, k], minlength=_CELLS)
    waves, beyond = _waves()
    on = np.einsum("qkc,kc->qk", waves, counts)
    number = np.einsum("qkc,kc->qk", beyond, counts)
    if own is not None:
        coarser = _standard_steps() > _COARSER * own
        on, number = on * coarser, number * coarser
    total = number.sum(axis=1)
    strength = on.sum(axis=1) / np.maximum(total, 1)
    limit = np.full(len(QUALITIES), 0.04 if own is None else 0.18)
    limit[:4] = np.minimum(limit[:4], 0.06)
    over = np.where(total >= _LEAST_COEFFICIENTS, strength - limit - 2.5 / np.sqrt(np.maximum(total, 1)), -1)
    best = int(np.argmax(over))
    return (float(strength[best]), QUALITIES[best]) if over[best] > 0 else (0.0, 0)


def on_steps(
    found: NDArray[np.float32], table: NDArray[np.float32], own: NDArray[np.float32] | None
) -> float:
    """How clearly coefficients (n, 14) lie on the steps (14,) of a certain JPEG, -1..1; 0 where too few are large.

    `own` as for `earlier_quality`.
    """
    usable = (table >= 3) if own is None else (table >= 3) & (table > _COARSER * own)
    ratio = found[:, usable] / table[usable]
    large = np.abs(ratio) > 0.5
    if large.sum() < 2 * _LEAST_COEFFICIENTS:
        return 0.0
    return float(np.cos(2 * np.pi * ratio[large]).mean())


def blocking_grid(grey: NDArray[np.float32]) -> tuple[int, int]:
    """Where a grid of 8 x 8 blocks shows most: x, y of its first corner, 0..7 each; it need not be there at all.

    The mean step between neighbouring columns and rows, against that of their neighbours, by its place modulo 8.
    """
    places = []
    for axis in (1, 0):
        step = np.minimum(np.abs(np.diff(grey, axis=axis)), 24).mean(axis=1 - axis)
        excess = step[1:-1] - (step[:-2] + step[2:]) / 2
        sums = np.bincount((np.arange(len(excess)) + 2) % 8, weights=excess, minlength=8)
        number = np.bincount((np.arange(len(excess)) + 2) % 8, minlength=8)
        places.append(int(np.argmax(sums / np.maximum(number, 1))))
    return places[0], places[1]
