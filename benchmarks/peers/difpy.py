"""difPy: mean squared error between thumbnails of files of the same size, turned by quarters.

It joins what it finds to groups and reports some pairs of each, so every threshold is a run of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS = ("difPy==4.2.1", "numpy==2.4.6", "pillow==13.0.0")
MEASURE = "mean squared error"
DEFAULT = 5  # its "similar"; its "duplicates" is 0
SWEEP = (1, 2, 5, 10, 20, 50, 100, 200, 400)


def pairs(folder: str, files: list[str], threshold: float) -> Pairs:
    import difPy

    built = difPy.build(folder, show_progress=False)
    result = difPy.search(built, similarity=threshold, show_progress=False).result
    for file, matches in result.items():
        for match in matches:
            yield file, match[0], None
