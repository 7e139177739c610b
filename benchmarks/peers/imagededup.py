"""imagededup: its perceptual hash of 64 bits. It loads PyTorch for its other methods, which is most of its memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS = (
    "imagededup==0.3.3.post2",
    "numpy==2.4.6",
    "pillow==13.0.0",
    "scikit-learn==1.9.1",
    "torch==2.15.0",
    "torchvision==0.29.2",
)
MEASURE = "bits of 64"
DEFAULT = 10
SWEEP = (20,)


def pairs(folder: str, files: list[str], threshold: float) -> Pairs:
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(
        image_dir=folder, max_distance_threshold=int(threshold), scores=True, recursive=True
    )
    for name, matches in found.items():
        for other, distance in matches:
            if name < other:
                yield str(Path(folder) / name), str(Path(folder) / other), float(distance)
