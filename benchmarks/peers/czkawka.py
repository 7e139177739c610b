"""czkawka's Python binding: groups of files with near perceptual hashes. They may differ from one run to the next."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS = ("czkawka==0.1.2",)
MEASURE = "bits"
DEFAULT = 10
SWEEP = (2, 4, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20)


def pairs(folder: str, files: list[str], threshold: float) -> Pairs:
    from czkawka import ImageSimilarity

    finder = ImageSimilarity()
    finder.set_directories([folder])
    finder.set_similarity(int(threshold))
    for group in finder.find_similar():
        for a, b in itertools.combinations(sorted(map(str, group)), 2):
            yield a, b, None
