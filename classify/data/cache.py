"""Pictures decoded once, into one array in memory: size x size x 3 bytes each (64 px: 12 kB, 100,000: 1.2 GB)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from PIL import Image

from classify.data.items import Item, decode, fetch
from classify.weights import Preprocessing
from curate.engine import Progress, map_chunks, silent
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
) -> Pictures:
    """Read and decode `items` in worker processes; what is no picture is skipped and named."""
    side = preprocessing.size
    images = np.empty((len(items), side, side, 3), np.uint8)
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
