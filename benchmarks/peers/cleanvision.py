"""cleanvision: files whose perceptual hashes are equal; the fewer bits, the more are."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS = ("cleanvision==0.3.7", "imagehash==4.3.2", "numpy==2.4.6", "pandas==3.1.1", "pillow==13.0.0")
MEASURE = "bits a side, more are stricter"
DEFAULT = 8
SWEEP = (4, 5, 6, 7, 8, 10)


def pairs(folder: str, files: list[str], threshold: float) -> Pairs:
    from cleanvision import Imagelab

    lab = Imagelab(data_path=folder)
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {"hash_size": int(threshold)}}, verbose=False)
    for kind in ("exact_duplicates", "near_duplicates"):
        for group in lab.info[kind]["sets"]:
            names = sorted(str(Path(folder) / name) for name in group)
            for a, b in itertools.combinations(names, 2):
                yield a, b, None
