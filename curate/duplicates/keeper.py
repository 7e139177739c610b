"""Which file of a group is kept, by a rule that can be read, and why, in words.

The rule, first difference decides:

1. real detail: pixels along the mean side that carry fine structure (`fingerprints.real_side`); within 20 % counts as
   equal;
2. detail for its pixels: a copy whose pixels carry over 20 % less detail each has been enlarged or blurred;
3. alike to the most other copies: edits resemble their source more than they resemble each other;
4. a lossless format;
5. more bytes (the recompressed copy loses);
6. the older file;
7. the path that sorts first.

Unreadable files are in no group at all. Files of the same bytes differ in 6 and 7 only.
"""

from __future__ import annotations

from dataclasses import dataclass

LOSSLESS = frozenset({"PNG", "BMP", "DIB", "TIFF", "PPM", "QOI", "TGA", "PCX", "ICO"})
"""Formats that keep each pixel. GIF has 256 colours at most and counts as lossy; so does WebP, which may be either."""

_SAME_DETAIL = 0.8
_FULL_DETAIL = 0.85  # noise and sharpening raise the detail of a pixel above that; it is not worth more


@dataclass(frozen=True)
class Copy:
    """What the keeper's rule reads of a file. `side` (root of the area) and `real_side` in pixels, `size` in bytes, `mtime_ns` since 1970,
    `alike` the number of other pictures that it was found alike to."""

    path: str
    content: str
    label: str
    real_side: float
    side: float
    size: int
    mtime_ns: int
    format: str
    alike: int = 0


def _detail(copy: Copy) -> float:
    return min(copy.real_side, _FULL_DETAIL * copy.side)


def _density(copy: Copy) -> float:
    return _detail(copy) / max(copy.side, 1.0)


def _after_detail(copy: Copy) -> tuple[int, bool, int, int, str]:
    return (-copy.alike, copy.format not in LOSSLESS, -copy.size, copy.mtime_ns, copy.path)


def best(copies: list[Copy]) -> Copy:
    """The copy to keep. Raises ValueError for an empty list."""
    most = max(_detail(copy) for copy in copies)
    fine = [copy for copy in copies if _detail(copy) >= _SAME_DETAIL * most]
    densest = max(_density(copy) for copy in fine)
    return min((copy for copy in fine if _density(copy) >= _SAME_DETAIL * densest), key=_after_detail)


def why(keeper: Copy, other: Copy) -> str:
    """Why `keeper` is kept and not `other`: the first difference of the rule, in words."""
    if _detail(other) < _SAME_DETAIL * _detail(keeper):
        return f"the kept file has more real detail ({_detail(keeper):.0f} against {_detail(other):.0f} pixels a side)"
    if _density(other) < _SAME_DETAIL * _density(keeper):
        return f"enlarged or blurred: {other.side:.0f} pixels a side hold the detail of {other.real_side:.0f}"
    if keeper.alike != other.alike:
        return f"the kept file is alike to more of the copies ({keeper.alike} against {other.alike})"
    if (keeper.format in LOSSLESS) != (other.format in LOSSLESS):
        return f"the kept file is lossless ({keeper.format})"
    if keeper.size != other.size:
        return f"the kept file has more bytes ({keeper.size} against {other.size})"
    if keeper.mtime_ns != other.mtime_ns:
        return "the kept file is older"
    return "the kept file's path sorts first"
