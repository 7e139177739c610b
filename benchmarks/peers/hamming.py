"""Pairs of near fingerprints, every one compared with every other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from peers import Pairs


def near_pairs(files: Sequence[str], bits: Sequence[np.ndarray], limit: float) -> Pairs:
    """Pairs whose fingerprints differ in at most `limit` bits.

    `bits` holds for each file 0 and 1 in the shape (turns, bits): the picture as it is first, then turned and mirrored;
    the first of one file is compared with all of the other, and the least difference counts.
    """
    import numpy as np

    packed = np.packbits(np.stack(bits).astype(np.uint8), axis=2).view(np.uint64)
    for row, name in enumerate(files):
        differing = (
            np.bitwise_count(packed[row, 0] ^ packed[row + 1 :]).sum(axis=2).min(axis=1, initial=1 << 15)
        )
        for other in np.flatnonzero(differing <= limit):
            yield name, files[row + 1 + other], float(differing[other])
