"""pdqhash: PDQ of 256 bits in the 8 orientations, which it computes together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers import pdq

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS, MEASURE, DEFAULT, SWEEP = (
    pdq.REQUIREMENTS,
    pdq.MEASURE,
    pdq.DEFAULT,
    pdq.SWEEP,
)


def pairs(folder: str, files: list[str], threshold: float) -> Pairs:
    return pdq.pairs(folder, files, threshold, turns=8)
