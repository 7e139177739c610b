"""Saliency maps laid over their pictures, and sheets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from reports.sheets import labelled_rows_png

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RED = np.array([214, 30, 40], dtype=np.float32)
_STRENGTH = 0.8
"""How much of the picture the colour hides where the map is 1."""

SalientRow = tuple[str, str, "NDArray[np.uint8]", Sequence["NDArray[np.float32]"]]
"""Name, lines about it, picture uint8 (S, S, 3), and its maps float32 (S, S)."""


def overlay(picture: NDArray[np.uint8], saliency: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture in grey, the redder the higher the map: uint8 (S, S, 3), from uint8 (S, S, 3) and float32 (S, S) of 0..1.

    One colour, since the eye sees borders in a rainbow where the map has none.
    """
    grey = picture.mean(axis=2, keepdims=True, dtype=np.float32)
    share = _STRENGTH * saliency[..., None]
    return np.asarray((1 - share) * grey + share * _RED).round().astype(np.uint8)


def saliency_sheet_png(title: str, rows: Mapping[str, Sequence[SalientRow]]) -> bytes:
    """The bytes of a PNG: heading -> rows; in each row the picture, then one overlay for each of its maps."""
    drawn = {
        heading: [
            (name, about, np.stack([picture, *(overlay(picture, one) for one in maps)]))
            for name, about, picture, maps in below
        ]
        for heading, below in rows.items()
    }
    return labelled_rows_png(title, ["picture", "for the predicted", "for the true class"], drawn)
