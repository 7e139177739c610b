"""imagehash: perceptual hash of 64 bits in the 8 orientations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers import imagehash

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS, MEASURE, DEFAULT, SWEEP = (
    imagehash.REQUIREMENTS,
    imagehash.MEASURE,
    imagehash.DEFAULT,
    imagehash.SWEEP,
)


def pairs(folder: str, files: list[str], threshold: float) -> Pairs:
    return imagehash.pairs(folder, files, threshold, turns=8)
