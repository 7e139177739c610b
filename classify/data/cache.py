"""Pictures decoded once, into one array in memory: size x size x 3 bytes each (64 px: 12 kB, 100,000: 1.2 GB)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from classify.weights import Preprocessing
from curate.engine import Progress, map_chunks, silent
from curate.images import Unreadable, open_image, read_bytes, to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Pictures:
    """The pictures that could be read, in the order asked for.

    `images` uint8 (N, size, size, 3); `index` int64 (N,): which of the files asked for each one is; `contents`: the
    SHA-256 of its bytes; `sizes`: their number; `hashes` uint64 (N, 2): perceptual hash of the picture and of its mirror image; `unreadable`:
    (file, reason code) of the others.
    """

    images: NDArray[np.uint8]
    index: NDArray[np.int64]
    contents: list[str]
    sizes: list[int]
    hashes: NDArray[np.uint64]
    unreadable: list[tuple[str, str]]


def read_pictures(
    files: Sequence[str],
    preprocessing: Preprocessing,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> Pictures:
    """Read and decode `files` in worker processes; a file that is no picture is skipped and named."""
    side = preprocessing.size
    images = np.empty((len(files), side, side, 3), np.uint8)
    index: list[int] = []
    contents: list[str] = []
    sizes: list[int] = []
    hashes: list[tuple[int, int]] = []
    unreadable: list[tuple[str, str]] = []
    read = functools.partial(_read_chunk, preprocessing=preprocessing)
    asked = 0
    for chunk in map_chunks(read, files, workers=workers, progress=progress):
        for found in chunk:
            if isinstance(found, str):
                unreadable.append((files[asked], found))
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
        np.array(hashes, np.uint64).reshape(-1, 2),
        unreadable,
    )


Found = tuple["NDArray[np.uint8]", str, int, tuple[int, int]]


def _read_chunk(files: Sequence[str], preprocessing: Preprocessing) -> list[Found | str]:
    """For each file its picture, content and hashes, or the reason why there is none."""
    return [_read(file, preprocessing) for file in files]


def _read(file: str, preprocessing: Preprocessing) -> Found | str:
    try:
        data = read_bytes(file)
        # Twice the size leaves enough for a good picture where a JPEG is decoded at a reduced scale.
        image = to_rgb(open_image(data, at_least=2 * preprocessing.size), preprocessing.background)
    except Unreadable as error:
        return error.reason
    pair = (_hash(image), _hash(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    return preprocessing.picture(image), hashlib.sha256(data).hexdigest(), len(data), pair


def _hash(image: Image.Image) -> int:
    """pHash of 64 bits: signs of the lowest 8 x 8 coefficients of the cosine transform against their median."""
    import imagehash

    bits = np.asarray(imagehash.phash(image).hash, bool).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
