"""imagehash: perceptual hash of 64 bits of the picture as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.hamming import near_pairs

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS = ("imagehash==4.3.2", "numpy==2.4.6", "pillow==13.0.0", "scipy==1.17.1")
MEASURE = "bits of 64"
DEFAULT = 8
SWEEP = (20,)


def pairs(folder: str, files: list[str], threshold: float, turns: int = 1) -> Pairs:
    """`turns` 8: the picture is shrunk to what the hash looks at, then turned and mirrored."""
    import imagehash
    import numpy as np
    from PIL import Image

    readable, bits = [], []
    for file in files:
        try:
            with Image.open(file) as image:
                small = image if turns == 1 else image.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
                hashes = [imagehash.phash(small)]
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue
        hashes += [imagehash.phash(small.transpose(turn)) for turn in list(Image.Transpose)[: turns - 1]]
        readable.append(file)
        bits.append(np.stack([one.hash.ravel() for one in hashes]))
    return near_pairs(readable, bits, threshold)
