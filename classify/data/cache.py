"""Pictures decoded once, into one array: size x size x 3 bytes each (64 px: 12 kB, 100,000: 1.2 GB).

It is held in memory, or in a file that the system maps into memory a page at a time.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from classify.data.items import Fetched, Item, Source, decode
from classify.data.prints import print_of
from classify.weights import Preprocessing
from curate.engine import Progress, map_chunks, silent
from curate.errors import UserError
from curate.images import REASONS, Unreadable
from curate.lookalikes import Print

if TYPE_CHECKING:
    from numpy.typing import NDArray


SMALL = 48
"""Pictures out of a data set's files whose longer side is below this, pixels, are compared by content alone.

At 28 px perceptual hashes do not tell digits apart, and such sets do not hold scraped copies. Files are always hashed.
"""


@dataclass(frozen=True)
class Pictures:
    """The pictures that could be read, in the order asked for.

    `images` uint8 (N, size, size, 3); `index` int64 (N,): which of the items asked for each one is; `contents`: the
    SHA-256 of its bytes, `sizes` their number; `hashes` uint64 (N, 2): perceptual hash of the picture and of its mirror
    image, where `hashed` (bool (N,)) is true; `unreadable`: (number of the item, reason code) of the others; `prints`:
    what is kept to know the pictures again by, where it was asked for, else empty.
    """

    images: NDArray[np.uint8]
    index: NDArray[np.int64]
    contents: list[str]
    sizes: list[int]
    hashes: NDArray[np.uint64]
    hashed: NDArray[np.bool_]
    unreadable: list[tuple[int, str]]
    prints: list[Print]


def read_pictures(
    items: Sequence[Item],
    preprocessing: Preprocessing,
    *,
    workers: int | None = None,
    progress: Progress = silent,
    folder: Path | None = None,
    prints: str = "none",
) -> Pictures:
    """Read and decode `items` in worker processes; what is no picture is skipped and named.

    `prints` is full, hashes or none: see `classify.data.prints`. With `folder` the array lies in a nameless file there,
    which is gone when the process ends, however it ends. Raises UserError where there is no room for it.
    """
    side = preprocessing.size
    images = _space((len(items), side, side, 3), folder)
    index: list[int] = []
    kept: list[_Found] = []
    unreadable: list[tuple[int, str]] = []
    read = functools.partial(_read_chunk, preprocessing=preprocessing, prints=prints)
    asked = 0
    for chunk in map_chunks(read, Fetched(items), workers=workers, progress=progress):
        for found in chunk:
            if isinstance(found, str):
                unreadable.append((asked, found))
            else:
                images[len(index)] = found.image
                index.append(asked)
                kept.append(found._replace(image=_NO_IMAGE))
            asked += 1
    return Pictures(
        images[: len(index)],
        np.array(index, np.int64),
        [one.content for one in kept],
        [one.size for one in kept],
        np.array([one.hashes or (0, 0) for one in kept], np.uint64).reshape(-1, 2),
        np.array([one.hashes is not None for one in kept], bool),
        unreadable,
        [one.print for one in kept if one.print is not None],
    )


def fits(items: int, side: int) -> bool:
    """Whether so many pictures of `side` pixels take no more than half of the memory that is free."""
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return True
    return items * side * side * 3 <= os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _space(shape: tuple[int, ...], folder: Path | None) -> NDArray[np.uint8]:
    if folder is None or 0 in shape:
        return np.empty(shape, np.uint8)
    size = int(np.prod(shape))
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  the map keeps it
        if hasattr(
            os, "posix_fallocate"
        ):  # a full disk is told now, and not by a signal in the middle of training
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, np.uint8, "w+", shape=shape)
    except OSError as error:
        raise UserError(
            f"{folder}: the pictures need {size / 1e9:.1f} GB on disk ({error.strerror}).",
            "Make room, give another place with --out, or take a smaller data.size.",
        ) from error


class _Found(NamedTuple):
    """A picture that was read: its pixels, content and the number of its bytes, perceptual hashes and print, if any."""

    image: NDArray[np.uint8]
    content: str
    size: int
    hashes: tuple[int, int] | None
    print: Print | None


_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


def _read_chunk(
    items: Sequence[Item | Unreadable], preprocessing: Preprocessing, prints: str
) -> list[_Found | str]:
    """For each item its picture and what is known of it, or the reason why there is none."""
    return [
        item.reason if isinstance(item, Unreadable) else _read(item, preprocessing, prints) for item in items
    ]


def _read(item: Item, preprocessing: Preprocessing, prints: str) -> _Found | str:
    try:
        image, data = decode(item, preprocessing)
    except Unreadable as error:
        return error.reason
    kept = None if prints == "none" else print_of(item, image, data, preprocessing, copy=prints == "full")
    pair = None
    if isinstance(item, str | Path) or max(image.size) >= SMALL:
        pair = (_hash(image), _hash(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    content = hashlib.sha256(data).hexdigest() if kept is None else kept.content.hex()
    return _Found(preprocessing.picture(image), content, len(data), pair, kept)


def _hash(image: Image.Image) -> int:
    """pHash of 64 bits: signs of the lowest 8 x 8 coefficients of the cosine transform against their median."""
    import imagehash

    bits = np.asarray(imagehash.phash(image).hash, bool).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def none_readable(source: Source, unreadable: Sequence[tuple[int, str]]) -> UserError:
    """The error for a source of which nothing can be read; `unreadable` as in `Pictures`."""
    first = "".join(
        f"; the first is {source.paths[item]}: {REASONS[reason]}" for item, reason in unreadable[:1]
    )
    return UserError(
        f"{source.root}: none of its {len(source.items):,} files is a picture that can be read{first}.",
        "Look with `curate scan`." if source.root.is_dir() else "Check the paths in it, and the files.",
    )
