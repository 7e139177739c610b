"""The peers that near_duplicates.py measures, one file each.

A peer has

    REQUIREMENTS  what its environment holds, the peer itself first, each pinned as name==version
    MEASURE       what its distance is, in words
    DEFAULT       the largest distance that it accepts when nobody says otherwise
    SWEEP         the distances to run it with in search of the best: one where it says how far apart the files of a
                  pair are (the threshold is then chosen among those), several where it only says which files belong together
    pairs(folder, files, threshold)
                  the pairs of files (paths as in `files`, all the files in `folder`) at most `threshold` apart, each
                  with its distance or None

`pairs` runs in the peer's environment and imports the peer there; the rest is read by the interpreter that measures.
"""

from __future__ import annotations

from collections.abc import Iterable

Pairs = Iterable[tuple[str, str, float | None]]
ALL = (
    "imagehash", "imagehash8", "pdq", "pdq8", "perception", "imagededup", "cleanvision", "czkawka", "difpy", "fastdup",
)  # fmt: skip
