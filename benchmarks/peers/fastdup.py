"""fastdup: cosine of the features of its bundled network, each picture with its two nearest.

In search of the best threshold ten neighbours are taken: two cannot hold a larger group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers import Pairs

REQUIREMENTS = (
    "fastdup==2.54",
    "numpy==1.26.4",
    "opencv-python-headless==4.11.0.86",
    "pandas==3.0.6",
    "pillow==10.3.0",
)
MEASURE = "1 - cosine"
DEFAULT = 0.04  # a similarity of 0.96 joins files to a component
SWEEP = (0.3,)


def pairs(folder: str, files: list[str], threshold: float) -> Pairs:
    import fastdup

    finder = fastdup.create(
        work_dir="fastdup", input_dir=files
    )  # a list, since of a folder it skips some formats
    finder.run(
        threshold=min(0.9, 1 - threshold),
        nearest_neighbors_k=2 if threshold <= DEFAULT else 10,
        overwrite=True,
    )
    near = finder.similarity()
    for a, b, similarity in zip(near.filename_from, near.filename_to, near.distance, strict=True):
        if similarity >= 1 - threshold:
            yield a, b, 1 - similarity
