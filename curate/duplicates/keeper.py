"""Which file of a group is kept, by a rule that can be read, and why, in words.

The rule, first difference decides:

1. it lies in a folder that the user prefers, the first named before the others;
2. it is the source: the file from which the others are explained as edits at the least cost in all. What costs and
   what tells a source from a copy is listed in `curate.duplicates.provenance`: detail enlarged, blurred or compressed
   away, borders, overlays, noise, halos, tones and colours lost, and how alike the others are to it;
3. where the files were not looked at again (`cases` has none of them): real detail, pixels along the mean side that
   carry fine structure, within 20 %; then detail for its pixels (over 20 % less: enlarged or blurred); then alike to
   the most others;
4. of files with equal pixels the lossy one: a lossless one with its pixels can only have been made from it;
5. a lossless format;
6. more bytes (the recompressed copy loses);
7. the older file;
8. the path that sorts first.

Unreadable files are in no group at all. Files of the same bytes differ in 1, 7 and 8 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curate.duplicates.provenance import Cases

LOSSLESS = frozenset({"PNG", "BMP", "DIB", "TIFF", "PPM", "QOI", "TGA", "PCX", "ICO"})
"""Formats that keep each pixel. GIF has 256 colours at most and counts as lossy; so does WebP, which may be either."""

_LOSSY = frozenset({"JPEG", "MPO"})
_SAME_DETAIL = 0.8
_FULL_DETAIL = 0.85  # noise and sharpening raise the detail of a pixel above that; it is not worth more
_SAME_COST = 0.05
_NOT_COMPARED = 20.0


@dataclass(frozen=True)
class Copy:
    """What the keeper's rule reads of a file. `side` (root of the area) and `real_side` in pixels, `size` in bytes, `mtime_ns` since 1970,
    `alike` the number of other pictures that it was found alike to, `picture` the content that stands for all with its
    pixels (its own where empty)."""

    path: str
    content: str
    label: str
    real_side: float
    side: float
    size: int
    mtime_ns: int
    format: str
    alike: int = 0
    picture: str = ""

    @property
    def lead(self) -> str:
        """The content that stands for all with this picture's pixels."""
        return self.picture or self.content


def within(path: str, folder: str) -> bool:
    """Whether a path below the root lies in a folder below the root ("" or ".": the root itself)."""
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    return path.split("/")[: len(parts)] == parts


def _preference(copy: Copy, prefer: Sequence[str]) -> int:
    return next((i for i, folder in enumerate(prefer) if within(copy.path, folder)), len(prefer))


def _detail(copy: Copy) -> float:
    return min(copy.real_side, _FULL_DETAIL * copy.side)


def _density(copy: Copy) -> float:
    return _detail(copy) / max(copy.side, 1.0)


def _after_source(copy: Copy) -> tuple[bool, int, int, str]:
    return (copy.format not in LOSSLESS, -copy.size, copy.mtime_ns, copy.path)


def costs(copies: Sequence[Copy], cases: Cases) -> dict[str, float]:
    """Of each picture (`Copy.lead`): the cost of explaining the others as edits of it. Empty where none was compared.

    A picture that was not compared with another is a bad source of it.
    """
    leads = sorted({copy.lead for copy in copies})
    total = dict.fromkeys(leads, 0.0)
    compared = False
    for i, a in enumerate(leads):
        for b in leads[i + 1 :]:
            case = cases.get((a, b))
            compared = compared or case is not None
            total[a] += case.from_a if case else _NOT_COMPARED
            total[b] += case.from_b if case else _NOT_COMPARED
    return total if compared else {}


def best(copies: Sequence[Copy], cases: Cases | None = None, prefer: Sequence[str] = ()) -> Copy:
    """The copy to keep. `cases` are those of the pictures (`Copy.lead`). Raises ValueError for an empty list."""
    first = min(_preference(copy, prefer) for copy in copies)
    total = costs(copies, cases or {})
    liked = [copy for copy in copies if _preference(copy, prefer) == first]
    if total:
        least = min(total[copy.lead] for copy in liked)
        sources = [copy for copy in liked if total[copy.lead] <= least + _SAME_COST]
    else:
        sources = _by_detail(liked)
    pictures: dict[str, list[Copy]] = {}
    for copy in sources:
        pictures.setdefault(copy.lead, []).append(copy)
    lossy_first = [
        min(same, key=lambda copy: (copy.format not in _LOSSY, _after_source(copy)))
        for same in pictures.values()
    ]
    return min(lossy_first, key=_after_source)


def _by_detail(copies: Sequence[Copy]) -> list[Copy]:
    most = max(_detail(copy) for copy in copies)
    fine = [copy for copy in copies if _detail(copy) >= _SAME_DETAIL * most]
    densest = max(_density(copy) for copy in fine)
    dense = [copy for copy in fine if _density(copy) >= _SAME_DETAIL * densest]
    alike = max(copy.alike for copy in dense)
    return [copy for copy in dense if copy.alike == alike]


def why(
    keeper: Copy,
    other: Copy,
    copies: Sequence[Copy] = (),
    cases: Cases | None = None,
    prefer: Sequence[str] = (),
) -> str:
    """Why `keeper` is kept and not `other`, both of the group `copies`: the first difference of the rule, in words."""
    if _preference(keeper, prefer) < _preference(other, prefer):
        return f"the kept file lies in {prefer[_preference(keeper, prefer)]}, which is preferred"
    if keeper.lead != other.lead:
        total = costs(copies or (keeper, other), cases or {})
        words = _source_words(keeper, other, total, cases or {}) if total else _detail_words(keeper, other)
        if words:
            return words
    elif (keeper.format in _LOSSY) != (other.format in _LOSSY):
        return f"made from the kept {keeper.format}, whose pixels it has"
    if (keeper.format in LOSSLESS) != (other.format in LOSSLESS):
        return f"the kept file is lossless ({keeper.format})"
    if keeper.size != other.size:
        return f"the kept file has more bytes ({keeper.size} against {other.size})"
    if keeper.mtime_ns != other.mtime_ns:
        return "the kept file is older"
    return "the kept file's path sorts first"


def _source_words(keeper: Copy, other: Copy, total: dict[str, float], cases: Cases) -> str:
    """What the pixels say; empty where they see no difference."""
    a, b = sorted((keeper.lead, other.lead))
    case = cases.get((a, b))
    words = "" if case is None else case.b_is_copy if a == keeper.lead else case.a_is_copy
    if total[other.lead] <= total[keeper.lead] + _SAME_COST:
        return ""
    if words:
        return words
    return (
        "the copies are explained more easily as edits of the kept file "
        f"(at a cost of {total[keeper.lead]:.1f} against {total[other.lead]:.1f})"
    )


def _detail_words(keeper: Copy, other: Copy) -> str:
    if _detail(other) < _SAME_DETAIL * _detail(keeper):
        return f"the kept file has more real detail ({_detail(keeper):.0f} against {_detail(other):.0f} pixels a side)"
    if _density(other) < _SAME_DETAIL * _density(keeper):
        return f"enlarged or blurred: {other.side:.0f} pixels a side hold the detail of {other.real_side:.0f}"
    if keeper.alike != other.alike:
        return f"the kept file is alike to more of the copies ({keeper.alike} against {other.alike})"
    return ""
