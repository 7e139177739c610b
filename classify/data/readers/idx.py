"""idx files, the format of MNIST (LeCun, Cortes and Burges, 1998) and of the sets made in its likeness.

An idx file begins with a magic number of four bytes: two zeros, the type of the values (8: uint8) and the number of
dimensions; then the dimensions, 32 bits each, big-endian; then the values.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classify.data.items import Source
from classify.data.readers.listing import names_in
from classify.data.readers.parts import Purpose, Rows, chosen, joined
from curate.errors import UserError

_NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)-(?P<what>images|labels)[-.]idx(?P<rank>[13])-ubyte(\.gz)?",
    re.IGNORECASE,
)
_PARTS = {"train": "train", "t10k": "test", "test": "test"}
_ENDINGS = {"images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"}
_AGAIN = "Fetch the file again from the set's own page."


@dataclass(frozen=True)
class _Pair:
    """The two files of a part. `name` is the first one's beginning, e.g. `t10k-images`."""

    name: str
    images: Path
    labels: Path


def read_idx(place: Path, purpose: Purpose) -> Source | None:
    """The training or the test part of a folder with idx files, gzipped or not; classes are `0`, `1`, ...

    EMNIST (Cohen et al., 2017) stores its pictures with rows and columns exchanged, and a file `*-mapping.txt` with the
    characters of its classes: both are resolved. Raises UserError.
    """
    files = _files(place)
    if not files:
        return None
    sets = sorted({name for name, _ in files})
    if len(sets) > 1:
        shown = ", ".join(name.rstrip("-_") or "train/t10k without a prefix" for name in sets)
        raise UserError(
            f"{place}: holds the idx files of {len(sets)} sets ({shown}).",
            "Put the files of the set that you want into a folder of their own.",
        )
    prefix = sets[0]
    (part,) = chosen({name for _, name in files}, purpose, place)
    pair = _pair(place, files[prefix, part])
    images, labels = _read(pair.images, 3), _read(pair.labels, 1)
    if len(images) != len(labels):
        raise UserError(
            f"{pair.images}: holds {len(images):,} pictures, but {pair.labels.name} {len(labels):,} labels.",
            "Both files must be of the same part of the same set.",
        )
    if prefix.lower().startswith("emnist"):
        images = images.transpose(0, 2, 1)
    names = _class_names(place, prefix)
    rows = Rows(
        [f"{pair.name}[{index}]" for index in range(len(images))],
        [names.get(number, str(number)) for number in labels.tolist()],
        list(images),
    )
    return joined(place, "idx", {part: rows}, purpose, [])


def _files(place: Path) -> dict[tuple[str, str], dict[str, Path]]:
    """The folder's idx files: by set (the names' common beginning) and part, then images or labels."""
    found: dict[tuple[str, str], dict[str, Path]] = {}
    for name in sorted(names_in(place)):
        match = _NAME.fullmatch(name)
        if match and (place / name).is_file():  # some unpackers leave a folder of the same name
            key = match["set"], _PARTS[match["part"].lower()]
            # The plain file sorts before the gzipped one, which is then the same once more.
            found.setdefault(key, {}).setdefault(match["what"].lower(), place / name)
    return found


def _pair(place: Path, files: dict[str, Path]) -> _Pair:
    for what, ending in _ENDINGS.items():
        if what not in files:
            (have,) = files.values()
            other = "labels" if what == "images" else "images"
            begin = have.name[: have.name.lower().index(other)]
            raise UserError(
                f"{place}: holds {have.name}, but not {begin}{ending}.",
                "Pictures and labels are two files of the same set; each may end in .gz.",
            )
    name = files["images"].name
    return _Pair(name[: name.lower().index("images") + len("images")], files["images"], files["labels"])


def _read(path: Path, rank: int) -> NDArray[np.uint8]:
    """The values of an idx file of uint8 with `rank` dimensions. Raises UserError."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    size = 4 + 4 * rank
    try:
        with opener(path, "rb") as file:
            head = file.read(size)
            shape = np.frombuffer(head[4:], ">u4").tolist() if len(head) == size else []
            if head[:4] != bytes([0, 0, 8, rank]) or not shape:
                raise UserError(
                    f"{path}: is no idx file of {'pictures' if rank == 3 else 'labels'}: it begins with "
                    f"{head[:4].hex(' ') or 'nothing'}, not with 00 00 08 0{rank}.",
                    _AGAIN,
                )
            wanted = math.prod(shape)
            data = file.read(wanted)
            more = bool(file.read(1))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).", _AGAIN) from error
    except (OverflowError, MemoryError) as error:
        raise UserError(
            f"{path}: its head promises {wanted:,} bytes, which no such file has.", _AGAIN
        ) from error
    except (EOFError, zlib.error) as error:
        raise UserError(f"{path}: is cut short or damaged ({error}).", _AGAIN) from error
    if len(data) != wanted or more or not wanted:
        text = " x ".join(f"{side:,}" for side in shape)
        what = f"more than {wanted:,}" if more else f"{len(data):,}"
        raise UserError(
            f"{path}: its head promises {text} values ({wanted:,} bytes), but {what} bytes follow.", _AGAIN
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _class_names(place: Path, prefix: str) -> dict[int, str]:
    """EMNIST's mapping file: a label and the codes of its characters a line; the first character is the name."""
    path = place / f"{re.sub(r'[-_.]+$', '', prefix)}-mapping.txt"
    if not prefix or not path.is_file():
        return {}
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        return {int(line[0]): chr(int(line[1])) for line in lines}
    except (ValueError, IndexError, OverflowError, OSError) as error:
        raise UserError(
            f"{path}: does not hold a label and the code of a character in each line ({error}).", _AGAIN
        ) from error
