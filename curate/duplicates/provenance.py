"""Which of two files was made from the other: the traces of editing, weighed.

Between every two files of one picture the traces (`traces.differ`) are turned into *marks*. A mark with a side says
which file is the edited one (it has a border, halos, the steps of an earlier JPEG); one without a side says that they
differ and not which came first (mirrored, another hue). From the marks comes the cost of explaining the one file as an
edit of the other: a mark costs its whole weight where it would have to be undone, nothing where it would have been
made, half without a side. To these comes the logarithm of what is left of the difference once aligned, since edits
resemble their source more than they resemble each other. The source of a group is the file from which the others are
explained at the least cost in all.

The weights are whole or half numbers of a scale on which 4 is plain to see, 2 likely, below 1 breaks ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from curate.duplicates.alignment import ORIENTATIONS, Picture
from curate.duplicates.keeper import LOSSLESS
from curate.duplicates.traces import Differences, Outside, Sheet, differ, sheet
from curate.engine import Progress, map_chunks, silent
from curate.images import Unreadable

if TYPE_CHECKING:
    import pandas as pd

PLAIN, SURE = 4.0, 6.0
_DISTANCE = 0.6
_CROWD, _CANDIDATES, _PORTION = 12, 6, 64


class Mark(NamedTuple):
    """`side` -1 (the first file is the edited one) .. 1 (the second is), 0: they differ; `weight`; `words` about the
    edited one, or about the second where there is no side."""

    name: str
    side: float
    weight: float
    words: str


@dataclass(frozen=True)
class Case:
    """Between files a and b: the cost of explaining b as an edit of a and a as one of b, and in words why b is the
    copy where a is kept, and the other way round."""

    from_a: float
    from_b: float
    b_is_copy: str
    a_is_copy: str


Cases = Mapping[tuple[str, str], Case]
"""By (content a, content b), a < b."""


def _limit(value: float) -> float:
    return max(-1.0, min(1.0, value))


def marks(a: Sheet, b: Sheet, found: Differences) -> list[Mark]:
    """All marks between two files."""
    result = _file_marks(a, b)
    if not found.reliable:
        return result
    result += _frame_marks(found) + _turn_marks(a, b, found)
    surface, masked = _surface_marks(a, b, found)
    return result + surface + _tone_marks(found, masked)


def _sided(name: str, side: float, weight: float, words: str) -> Mark:
    return Mark(name, _limit(side), weight, words)


def _file_marks(a: Sheet, b: Sheet) -> list[Mark]:
    """Marks of the files themselves: format, EXIF turn, an earlier JPEG."""
    result = []
    if (a.plate.format == "GIF") != (b.plate.format == "GIF"):
        side = 1 if b.plate.format == "GIF" else -1
        result.append(Mark("palette", side, 3.0, "reduced to the 256 colours of a GIF"))
    if a.plate.turned != b.plate.turned:
        side = 1 if b.plate.turned else -1
        result.append(Mark("exif", side, 2.0, "stored turned, upright by its EXIF tag alone"))
    if (a.plate.format in LOSSLESS) != (b.plate.format in LOSSLESS):
        side = -1 if b.plate.format in LOSSLESS else 1
        result.append(Mark("lossy", side, 0.2, "saved with loss"))
    elif a.plate.table is not None and b.plate.table is not None:
        coarser = float(np.log(b.plate.table.mean() / a.plate.table.mean()))
        words = f"compressed with steps {np.exp(abs(coarser)):.1f} times as coarse"
        result.append(_sided("coarser", coarser, 0.2, words))
    (clear_a, quality_a), (clear_b, quality_b) = a.earlier, b.earlier
    if abs(clear_b - clear_a) > 0.08:
        quality = quality_b if clear_b > clear_a else quality_a
        words = f"carries the steps of an earlier JPEG of quality {quality} or so"
        result.append(_sided("earlier", (clear_b - clear_a) / 0.25, PLAIN, words))
    return result


def _frame_marks(found: Differences) -> list[Mark]:
    """Borders, crops, rotation, size."""
    result = []
    if found.rotation > 1:
        words = f"rotated by {found.rotation:.0f} degrees, its corners cut off and filled"
        more = found.outside[0].varied - found.outside[1].varied
        wedges = [outside.edge if outside.varied < 0.2 else 0.0 for outside in found.outside]
        result.append(_sided("corners", (more + wedges[1] - wedges[0]) / 0.4, 2.5, words))
        result.append(_sided("softened", -sum(found.detail) / 0.1, 0.5, words))
    else:
        for outside, side in zip(found.outside, (1, -1), strict=True):
            if outside.share > 0.02:
                result.append(_margin(outside, side))
        for scale, detail, steep in zip(found.scale, found.detail, found.steep, strict=True):
            if not found.same_scale and abs(scale) > 0.03:
                # 1: the larger has no more detail, and its edges are as much less steep; 0: its pixels carry as much
                enlarged = -(_limit(detail / scale) + _limit(steep / scale)) / 2
                which = _limit((enlarged - 0.5) * 8) * (1 if scale > 0 else -1)
                factor = np.exp(abs(scale))
                grown = (which > 0) == (scale > 0)
                words = (
                    f"enlarged {factor:.2f} times, without more detail"
                    if grown
                    else f"reduced {factor:.2f} times"
                )
                result.append(Mark("size", which, PLAIN, words))
    return result


def _margin(outside: Outside, side: int) -> Mark:
    """What only one of the files shows (side 1: the first)."""
    part = f"{100 * outside.share:.0f} %"
    if outside.varied > 0.06:
        return Mark("crop", side, PLAIN, f"cropped: {part} of the picture is cut off")
    if outside.edge > 0.5:
        return Mark("border", -side, PLAIN, f"has a border, {part} of its area")
    if outside.even:
        return Mark("border", -0.6 * side, 2.0, f"has an even margin, {part} of its area")
    return Mark("crop", side, 2.0, f"cropped: {part} of the picture's ground is cut off")


def _turn_marks(a: Sheet, b: Sheet, found: Differences) -> list[Mark]:
    if found.orientation == 0:
        return []
    words = ORIENTATIONS[found.orientation]
    if found.orientation in (5, 6):  # most things are more alike left and right than above and below
        side = _limit((a.symmetry - b.symmetry) / 2)
        return [Mark("turn", 0, 2.0, words), Mark("upright", side, 0.2, "seems to lie on its side")]
    return [Mark("turn", 0, 4.0 if found.orientation in (4, 7) else 2.0, words)]


def _surface_marks(a: Sheet, b: Sheet, found: Differences) -> tuple[list[Mark], bool]:
    """Steps of the other JPEG, noise, blur, halos, overlays; and whether tones cannot be compared any more."""
    result = []
    clear_a, clear_b = found.steps
    if max(clear_a, clear_b) > 0.25 and abs(clear_b - clear_a) > 0.1:
        words = "lies on the quantisation steps of the other JPEG: it was made from it"
        result.append(_sided("made_from", (clear_b - clear_a) / 0.2, SURE, words))
    masked = False
    detail = sum(found.detail) / 2
    local = abs(found.edges) < (
        0.25 if abs(detail) < 0.3 else 0.1
    )  # all of it blurred or sharpened, otherwise
    if found.overlay > 0.12 and (local or not found.same_scale or abs(found.outline) > 1):
        words = f"something is laid over it ({100 * found.overlay:.0f} % of the difference is in one place)"
        result.append(_sided("overlay", found.outline / 0.25, 3.0, words))
        masked = True
    if not found.same_scale or found.rotation > 1:
        return result, masked
    more = found.noise[1] - found.noise[0]
    side = 1 if more > 0 else -1
    grain = (
        b.earlier[0] - a.earlier[0]
    ) * side > -0.05  # where compression wiped the grain, grain is no noise
    steady = -0.05 < found.edges * side < 0.25 and found.noise_apart > 0.8 * max(found.noise)
    much = abs(more) > 1 or (abs(more) > 0.6 and max(found.noise) > 3 * min(found.noise))
    if not masked and much and grain and steady and detail * side > -0.1:
        words = f"has noise added ({max(found.noise):.1f} against {min(found.noise):.1f} grey levels)"
        result.append(_sided("noise", side * (abs(more) - 0.3) / 1.5, 3.0, words))
        return result, True
    halos = found.halos[1] - found.halos[0]
    few = abs(halos) < 0.1 and abs(detail) > 0.12 and found.edges * detail > 0.02
    if (abs(detail) > 0.3 and found.edges * detail > -0.02) or few:
        words = f"blurred: {100 * (1 - np.exp(-abs(detail))):.0f} % less detail at the same size"
        return [*result, _sided("blur", -detail / 0.3, PLAIN, words)], True
    steeper = abs(found.edges)
    sharp = (
        (abs(halos) > 0.045 and steeper > 0.04)
        or (abs(halos) > 0.015 and steeper > 0.25)
        or abs(halos) > 0.15
    )
    if not masked and sharp and halos * found.edges >= 0:
        sharper = (1 if halos > 0 else -1) * max(steeper / 0.1, abs(halos) / 0.3)
        words = f"sharpened: halos along {100 * max(found.halos):.0f} % of its edges"
        result.append(_sided("halos", sharper, PLAIN, words))
        masked = True
    return result, masked


def _tone_marks(found: Differences, masked: bool) -> list[Mark]:
    """Tones and colours. `masked`: the tones differ for another reason too, so they have no side."""
    result = []
    if found.tone > 4:
        lost = float(np.log((found.unexplained[0] + 2e-4) / (found.unexplained[1] + 2e-4)))
        clipped = found.crushed[1] - found.crushed[0]
        lost = 100 * clipped if abs(clipped) > 0.002 else lost
        side = 0.0 if masked else _limit(lost / 0.2)
        result.append(
            Mark("tone", side, 0.5 if masked else 1.0, f"tones shifted by {found.tone:.0f} of 255, some lost")
        )
    chroma_a, chroma_b = found.chroma
    if max(chroma_a, chroma_b) <= 4:
        return result
    ratio = (chroma_b + 0.5) / (chroma_a + 0.5)
    if not 0.15 < ratio < 1 / 0.15 and max(chroma_a, chroma_b) > 6:
        return [*result, Mark("grey", 1 if ratio < 1 else -1, PLAIN, "its colours are gone")]
    ratio /= found.gain
    if not 0.75 < ratio < 1.33:
        clipped = found.clipped[1] - found.clipped[0]
        side = (1.0 if ratio < 1 else -1.0) if not 0.5 < ratio < 2 else _limit(clipped / 0.03)
        words = f"colours {'paler' if (side > 0) == (ratio < 1) else 'stronger'} by {max(ratio, 1 / ratio):.1f} times"
        result.append(Mark("chroma", 0.6 * side, 2.0, words))
    if found.hue < 0.9:
        result.append(Mark("hue", 0, 1.5, f"other hues (colours agree by {found.hue:.2f})"))
    return result


def case(a: Sheet, b: Sheet) -> Case:
    """What two files of one picture say about which was made from the other."""
    found = differ(a, b)
    said = marks(a, b, found)
    distance = _DISTANCE * sum(float(np.log1p(r)) for r in found.residuals)
    finer = _finer(a, b, found)
    from_a = distance + sum(m.weight * (1 - m.side) / 2 for m in said) + max(-finer, 0.0)
    from_b = distance + sum(m.weight * (1 + m.side) / 2 for m in said) + max(finer, 0.0)
    return Case(from_a, from_b, _words(said, 1), _words(said, -1))


def _finer(a: Sheet, b: Sheet, found: Differences) -> float:
    """Breaks ties where the formats do not, -0.3..0.3: above 0 where a has kept more of its fine grain."""
    formats = (a.plate.format in LOSSLESS) == (b.plate.format in LOSSLESS)
    tables = a.plate.table is not None and b.plate.table is not None
    if not found.reliable or abs(found.noise[1] - found.noise[0]) > 2 or tables or not formats:
        return 0.0
    return 0.3 * _limit(float(np.log((found.noise[0] + 0.3) / (found.noise[1] + 0.3))))


def _words(said: Sequence[Mark], side: int) -> str:
    """The strongest mark that says that the file on `side` is the copy; or how it differs, where none has a side."""
    sided = [m for m in said if m.side * side * m.weight >= 0.4]
    if sided:
        return max(sided, key=lambda m: m.side * side * m.weight).words
    differing = [m for m in said if m.side == 0]
    return max(differing, key=lambda m: m.weight).words if differing else ""


def find_cases(
    prints: pd.DataFrame,
    pairs: pd.DataFrame,
    paths: Mapping[str, str],
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[tuple[str, str], Case]:
    """The cases of all pairs of the table `pairs` whose pixels are not equal.

    `prints` is the table `fingerprints`, `paths` has a file to open for each content. Files that cannot be read any
    more give no case.
    """
    work = jobs(prints, pairs, paths)
    return {
        (a, b): found
        for portion in map_chunks(examine, work, workers=workers, chunk=4, progress=progress)
        for a, b, found in portion
    }


def jobs(prints: pd.DataFrame, pairs: pd.DataFrame, paths: Mapping[str, str]) -> list[Job]:
    """The near pairs in portions that have files in common, so that each file is decoded once or a few times.

    In a crowd of over `_CROWD` pictures each is compared with the `_CANDIDATES` that have the most real detail alone:
    the others are hardly the source.
    """
    from curate.duplicates.fingerprints import THUMB

    near = pairs[pairs["tier"] != "pixel"]
    known = prints[prints["content"].isin(set(near["content_a"]) | set(near["content_b"]))]
    columns = ("content", "thumb", "boxes", "points", "descriptors", "real_side")
    pictures, detail = {}, {}
    for content, thumb, boxes, points, descriptors, real in zip(*(known[c] for c in columns), strict=True):
        if content not in paths:
            continue
        detail[content] = (-real, content)
        pictures[content] = Picture(
            np.frombuffer(thumb, np.uint8).reshape(THUMB, THUMB),
            np.asarray(boxes, np.float32).reshape(2, 4),
            np.frombuffer(points or b"", np.float32).reshape(-1, 4),
            np.frombuffer(descriptors or b"", np.uint8).reshape(-1, 128),
        )
    ends = sorted(
        (min(a, b), max(a, b))
        for a, b in zip(near["content_a"], near["content_b"], strict=True)
        if a in pictures and b in pictures
    )
    result = []
    for portion in _crowds(ends):
        members = sorted({content for pair in portion for content in pair})
        if len(members) > _CROWD:
            likely = set(sorted(members, key=detail.__getitem__)[:_CANDIDATES])
            portion = [(a, b) for a, b in portion if a in likely or b in likely]
        for start in range(0, len(portion), _PORTION):
            some = portion[start : start + _PORTION]
            used = sorted({content for pair in some for content in pair})
            number = {content: i for i, content in enumerate(used)}
            files = tuple((content, paths[content], pictures[content]) for content in used)
            result.append((files, tuple((number[a], number[b]) for a, b in some)))
    return result


def _crowds(pairs: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The pairs by connected component, each in order."""
    parent: dict[str, str] = {}

    def root(content: str) -> str:
        parent.setdefault(content, content)
        while parent[content] != content:
            parent[content] = parent[parent[content]]
            content = parent[content]
        return content

    for a, b in pairs:
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    crowds: dict[str, list[tuple[str, str]]] = {}
    for a, b in pairs:
        crowds.setdefault(root(a), []).append((a, b))
    return list(crowds.values())


Job = tuple[tuple[tuple[str, str, Picture], ...], tuple[tuple[int, int], ...]]
"""Files (content, path, what the second look reads of the fingerprint) and the pairs to compare, by their number."""


def examine(work: Sequence[Job]) -> list[tuple[str, str, Case]]:
    """The cases of portions of files; a pair of which a file cannot be read gives none. For `engine.map_chunks`."""
    from curate.duplicates.registration import plate

    found = []
    for files, pairs in work:
        sheets: list[Sheet | None] = []
        for _, path, picture in files:
            try:
                sheets.append(sheet(plate(path, picture)))
            except Unreadable:
                sheets.append(None)
        for i, j in pairs:
            a, b = sheets[i], sheets[j]
            if a is not None and b is not None:
                found.append((files[i][0], files[j][0], case(a, b)))
    return found
