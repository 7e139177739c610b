"""Which of some pictures show what others show too: the search for duplicates, for whoever holds no workspace.

A `Print` is what is kept of a picture, so that it can be compared when it is gone: the hash of its bytes, the hash of
its pixels, and a small copy of it. Everything else that the search needs is worked out from the copy when it is needed:
so a print costs little to make and few bytes to keep, and the closer look of `curate.duplicates.closer`, which wants
colours, can be had too.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from curate.engine import Progress, map_chunks, silent

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from curate.duplicates.alignment import Picture
    from curate.duplicates.evidence import Finding
    from curate.duplicates.fingerprints import Fingerprint

SIDE = 192
"""Longer side of the copy, pixels: local features are looked for at that size."""

LEAST_SIDE = 48
"""Two pictures whose longer sides are both below this, pixels, are compared by bytes and pixels alone.

At 28 px digits cannot be told from each other; but a picture may well be a small copy of a large one.
"""

KINDS = ("bytes", "pixels", "near")
"""How one picture can be another: equal bytes, equal decoded pixels, an edited copy. From the surest on."""

THRESHOLD = 0.87
"""Score from which two pictures count as one, as in `curate dedup`."""

_QUALITY = 85
_KEPT = 128

Key = TypeVar("Key")


@dataclass(frozen=True)
class Print:
    """What is kept of a picture.

    `content` SHA-256 of its bytes, `pixels` SHA-256 of the decoded RGB picture and its size, both 32 bytes; `copy` a WebP
    of at most `SIDE` pixels, empty where none is wanted.
    """

    content: bytes
    pixels: bytes
    copy: bytes = b""


class Match(NamedTuple):
    """A picture, row `row` of the first set, that is also row `other` of the second: its kind and score 0..1."""

    row: int
    other: int
    kind: str
    score: float


@dataclass(frozen=True)
class Lookalikes:
    """`matches`: the surest partner of each picture that has one, sorted by row. `groups` int64 (N,): the number of
    each picture's group of duplicates within the first set, where every group's number is that of its first row."""

    matches: list[Match]
    groups: NDArray[np.int64]


def take(image: Image.Image, data: bytes, copy: bool = True) -> Print:
    """The print of an RGB picture (see `curate.images.to_rgb`) and of the bytes `data` that it was decoded from."""
    sha = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    sha.update(image.tobytes())
    return Print(hashlib.sha256(data).digest(), sha.digest(), _small(image) if copy else b"")


def _small(image: Image.Image) -> bytes:
    from PIL import Image

    scale = SIDE / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=_QUALITY, method=2)
    return stream.getvalue()


def told_apart(one: Print) -> bool:
    """Whether edited copies of a picture can be known by its print, however small they are."""
    from PIL import Image

    return bool(one.copy) and max(Image.open(io.BytesIO(one.copy), formats=["WEBP"]).size) >= LEAST_SIDE


def compare(
    prints: Sequence[Print],
    others: Sequence[Print],
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> Lookalikes:
    """Which of `prints` are also among `others`, and which are duplicates of each other.

    Edited copies are looked for among pictures whose prints have a copy, in worker processes. Of several partners the
    surest counts: equal bytes, then equal pixels, then the highest score.
    """
    both = [*prints, *others]
    count = len(prints)
    lead = _first_rows([one.pixels for one in both])
    near = _near(both, lead, count, workers, progress)
    matches = _exact(prints, others)
    known: dict[int, int] = {}  # of each picture, by its lead, the first row among the others
    for row in range(count, len(both)):
        known.setdefault(int(lead[row]), row - count)
    best: dict[int, tuple[float, int]] = {}
    for (a, b), score in near.items():
        for one, other in ((a, b), (b, a)):
            if other in known:
                best[one] = max(best.get(one, (0.0, 0)), (score, -known[other]))
    for row, first in enumerate(lead[:count].tolist()):
        if row not in matches and first in best:
            score, other = best[first]
            matches[row] = Match(row, -other, "near", score)
    links = [(row, int(first)) for row, first in enumerate(lead[:count])]
    links += [pair for pair in near if max(pair) < count]
    return Lookalikes([matches[row] for row in sorted(matches)], _components(count, links))


def _first_rows(keys: Sequence[Key]) -> NDArray[np.int64]:
    """For each row the first one with the same key."""
    first: dict[Key, int] = {}
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], np.int64)


def _exact(prints: Sequence[Print], others: Sequence[Print]) -> dict[int, Match]:
    """The rows of `prints` that are among `others` to the byte or to the pixel."""
    by: list[tuple[str, Callable[[Print], bytes]]] = [
        ("bytes", lambda one: one.content),
        ("pixels", lambda one: one.pixels),
    ]
    found: dict[int, Match] = {}
    for kind, key in by:
        places: dict[bytes, int] = {}
        for row, one in enumerate(others):
            places.setdefault(key(one), row)
        for row, one in enumerate(prints):
            if row not in found and key(one) in places:
                found[row] = Match(row, places[key(one)], kind, 1.0)
    return found


def _components(count: int, links: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """The first row of each row's connected component."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.array(links, np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), (count, count))
    numbers = connected_components(graph, directed=False)[1]
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    return np.asarray(first[place], np.int64)


# Edited copies ----------------------------------------------------------------------------------------------------


def _near(
    prints: Sequence[Print], lead: NDArray[np.int64], count: int, workers: int | None, progress: Progress
) -> dict[tuple[int, int], float]:
    """Pairs of edited copies of which at least one is among the first `count`, with their scores.

    Equal pixels are folded: only the first of them, `lead`, is compared.
    """
    from curate.duplicates.compare import LOW_INFORMATION, candidates, findings

    rows = [row for row, first in enumerate(lead.tolist()) if row == first and prints[row].copy]
    if not rows or rows[0] >= count or not any(told_apart(prints[row]) for row in rows):
        return {}
    found = [
        one
        for part in map_chunks(
            _fingerprints, [prints[row].copy for row in rows], workers=workers, chunk=32, progress=progress
        )
        for one in part
    ]
    told = [index for index, one in enumerate(found) if one.quality >= LOW_INFORMATION]
    rows, found = [rows[index] for index in told], [found[index] for index in told]
    if not rows or rows[0] >= count:
        return {}
    pictures = [_picture(one) for one in found]
    questions, _ = candidates(np.stack([one.hashes for one in found]), pictures, workers)
    large = [told_apart(prints[row]) for row in rows]
    questions = [  # a < b, and the first `count` come first
        one for one in questions if rows[one.a] < count and (large[one.a] or large[one.b])
    ]
    judged = findings(questions, pictures, workers, progress)
    doubtful = [
        (one, tuple((prints[rows[i]].copy, _box(pictures[i])) for i in (one.a, one.b)))
        for one in judged.values()
        if one.doubt
    ]
    for part in map_chunks(_look, doubtful, workers=workers, chunk=128, progress=progress):
        judged |= {(one.a, one.b): one for one in part}
    return {
        (rows[one.a], rows[one.b]): one.score
        for one in judged.values()
        if np.float32(one.score) >= np.float32(THRESHOLD)
    }


def _open(copy: bytes) -> Image.Image:
    from PIL import Image

    return Image.open(io.BytesIO(copy), formats=["WEBP"]).convert("RGB")


def _fingerprints(copies: Sequence[bytes]) -> list[Fingerprint]:
    from curate.duplicates.fingerprints import fingerprint

    return [fingerprint(_open(copy)) for copy in copies]


def _picture(one: Fingerprint) -> Picture:
    from curate.duplicates.alignment import Picture

    if one.points is None or one.descriptors is None:
        raise ValueError("a fingerprint without local features")
    return Picture(one.thumb, one.boxes, one.points, one.descriptors)


def _box(picture: Picture) -> tuple[float, ...]:
    """What lies inside all borders: left, top, right, bottom, unit coordinates."""
    return tuple(float(value) for value in picture.boxes[1])


def _look(work: Sequence[tuple[Finding, Any]]) -> list[Finding]:
    """A closer look at each finding, from the copies of its two pictures."""
    import cv2

    from curate.duplicates.closer import prepare, settle

    cv2.setNumThreads(1)

    @functools.lru_cache(maxsize=_KEPT)
    def read(copy: bytes) -> NDArray[np.float32]:
        return prepare(np.asarray(_open(copy)))

    return [
        settle(finding, read(first), read(second), (box_a, box_b))
        for finding, ((first, box_a), (second, box_b)) in work
    ]
