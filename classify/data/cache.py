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
from typing import TYPE_CHECKING, overload

import numpy as np
from PIL import Image

from classify.data.items import Item, decode, fetch
from classify.weights import Preprocessing
from curate.engine import Progress, map_chunks, silent
from curate.errors import UserError
from curate.images import Unreadable

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
    image, where `hashed` (bool (N,)) is true; `unreadable`: (number of the item, reason code) of the others.
    """

    images: NDArray[np.uint8]
    index: NDArray[np.int64]
    contents: list[str]
    sizes: list[int]
    hashes: NDArray[np.uint64]
    hashed: NDArray[np.bool_]
    unreadable: list[tuple[int, str]]


def read_pictures(
    items: Sequence[Item],
    preprocessing: Preprocessing,
    *,
    workers: int | None = None,
    progress: Progress = silent,
    folder: Path | None = None,
) -> Pictures:
    """Read and decode `items` in worker processes; what is no picture is skipped and named.

    With `folder` the array lies in a nameless file there, which is gone when the process ends, however it ends. Raises
    UserError where there is no room for it.
    """
    side = preprocessing.size
    images = _space((len(items), side, side, 3), folder)
    index: list[int] = []
    contents: list[str] = []
    sizes: list[int] = []
    hashes: list[tuple[int, int] | None] = []
    unreadable: list[tuple[int, str]] = []
    read = functools.partial(_read_chunk, preprocessing=preprocessing)
    asked = 0
    for chunk in map_chunks(read, _Fetched(items), workers=workers, progress=progress):
        for found in chunk:
            if isinstance(found, str):
                unreadable.append((asked, found))
            else:
                images[len(index)], content, size, pair = found
                index.append(asked)
                contents.append(content)
                sizes.append(size)
                hashes.append(pair)
            asked += 1
    return Pictures(
        images[: len(index)],
        np.array(index, np.int64),
        contents,
        sizes,
        np.array([pair or (0, 0) for pair in hashes], np.uint64).reshape(-1, 2),
        np.array([pair is not None for pair in hashes], bool),
        unreadable,
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


Found = tuple["NDArray[np.uint8]", str, int, "tuple[int, int] | None"]


class _Fetched(Sequence[Item | Unreadable]):
    """The items with those of larger files taken out of them: a worker process is sent its pictures, not the file."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, at: int) -> Item | Unreadable: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Item | Unreadable]: ...
    def __getitem__(self, at: int | slice) -> Item | Unreadable | Sequence[Item | Unreadable]:
        """One item, or the items of a slice, in memory; an error in the place of what cannot be had."""
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        try:
            return fetch(self.items[at])
        except Unreadable as error:
            return error


def _read_chunk(items: Sequence[Item | Unreadable], preprocessing: Preprocessing) -> list[Found | str]:
    """For each item its picture, content and hashes, or the reason why there is none."""
    return [item.reason if isinstance(item, Unreadable) else _read(item, preprocessing) for item in items]


def _read(item: Item, preprocessing: Preprocessing) -> Found | str:
    try:
        image, data = decode(item, preprocessing)
    except Unreadable as error:
        return error.reason
    pair = None
    if isinstance(item, str | Path) or max(image.size) >= SMALL:
        pair = (_hash(image), _hash(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    return preprocessing.picture(image), hashlib.sha256(data).hexdigest(), len(data), pair


def _hash(image: Image.Image) -> int:
    """pHash of 64 bits: signs of the lowest 8 x 8 coefficients of the cosine transform against their median."""
    import imagehash

    bits = np.asarray(imagehash.phash(image).hash, bool).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
