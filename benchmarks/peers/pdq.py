"""pdqhash: PDQ of 256 bits of the picture as it is, whatever the quality that PDQ gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.hamming import near_pairs

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS = ("pdqhash==0.2.8", "numpy==2.4.6", "pillow==13.0.0")
MEASURE = "bits of 256"
DEFAULT = 31  # what PDQ's makers recommend
SWEEP = (100,)


def pairs(folder: str, files: list[str], threshold: float, turns: int = 1) -> Pairs:
    import numpy as np
    import pdqhash
    from PIL import Image

    readable, bits = [], []
    for file in files:
        try:
            with Image.open(file) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue
        readable.append(file)
        bits.append(
            np.stack(pdqhash.compute_dihedral(pixels)[0] if turns == 8 else [pdqhash.compute(pixels)[0]])
        )
    return near_pairs(readable, bits, threshold)
