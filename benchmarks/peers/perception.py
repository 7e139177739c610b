"""perception: perceptual hash of 256 bits in the 8 orientations ("isometric").

The hashes are perception's; they are compared here, because its own comparison does not tell the distances and holds
the whole table of 8 n by 8 n of them in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.hamming import near_pairs

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS = (
    "perception==0.9.3",
    "numpy==2.4.6",
    "opencv-contrib-python-headless==4.14.0.94",
    "pillow==13.0.0",
    "scipy==1.17.1",
)
MEASURE = "share of 256 bits"
DEFAULT = 0.2  # the example in its documentation
SWEEP = (0.4,)


def pairs(folder: str, files: list[str], threshold: float) -> Pairs:
    import numpy as np
    from perception.hashers import PHash

    hasher = PHash(hash_size=16)
    found = sorted(hasher.compute_parallel(files, isometric=True), key=lambda one: one["filepath"])
    readable, bits = [], []
    for one in found:
        if one["error"] is None and all(one["hash"].values()):
            readable.append(one["filepath"])
            bits.append(np.stack([hasher.string_to_vector(text) for text in one["hash"].values()]))
    for a, b, differing in near_pairs(readable, bits, threshold * 256):
        yield a, b, differing / 256
