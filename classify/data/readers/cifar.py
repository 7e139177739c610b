"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) in their binary version.

A record is one byte of label (CIFAR-100: two, the coarse and the fine one) and 3,072 bytes of picture: red, green and
blue plane, 32 x 32 each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classify.data.items import Source
from classify.data.readers.listing import names_in
from classify.data.readers.parts import Purpose, Rows, chosen, joined
from curate.errors import UserError

_SIDE = 32
_AGAIN = "Fetch the binary version again from the page 'The CIFAR-10 and CIFAR-100 datasets'."


@dataclass(frozen=True)
class _Layout:
    """Files of each part, the file of class names, and how many classes there are and bytes of label a record."""

    title: str
    parts: dict[str, list[str]]
    names: str
    classes: int
    label_bytes: int


_TEN = _Layout(
    "CIFAR-10",
    {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]},
    "batches.meta.txt",
    10,
    1,
)
_HUNDRED = _Layout(
    "CIFAR-100", {"train": ["train.bin"], "test": ["test.bin"]}, "fine_label_names.txt", 100, 2
)


def read_cifar(place: Path, purpose: Purpose) -> Source | None:
    """The training or the test part of CIFAR-10 or CIFAR-100 (fine classes). Raises UserError.

    The version for Python is a pickle, which can run code when it is loaded: it is recognised and refused.
    """
    here = names_in(place)
    _refuse_pickles(place, here)
    layout = _layout(here)
    if layout is None:
        return None
    available = {part for part, files in layout.parts.items() if here & set(files)}
    (part,) = chosen(available, purpose, place)
    missing = [name for name in (*layout.parts[part], layout.names) if name not in here]
    if missing:
        raise UserError(
            f"{place}: {', '.join(missing)} of {layout.title} is missing.",
            f"The folder holds {', '.join((*layout.parts[part], layout.names))}.",
        )
    names = _class_names(place / layout.names, layout)
    rows = Rows()
    for file in layout.parts[part]:
        images, labels = _read(place / file, layout)
        rows.paths += [f"{file}[{index}]" for index in range(len(images))]
        rows.labels += [names[number] for number in labels.tolist()]
        rows.items += list(images)
    return joined(place, "cifar", {part: rows}, purpose, [])


def _layout(here: set[str]) -> _Layout | None:
    if here & {*_TEN.parts["train"], "test_batch.bin"}:
        return _TEN
    # `train.bin` alone may be anything.
    if here & {"train.bin", "test.bin"} and here & {"fine_label_names.txt", "coarse_label_names.txt"}:
        return _HUNDRED
    return None


def _refuse_pickles(place: Path, here: set[str]) -> None:
    ten = _layout(here) is not _TEN and any(
        (place / name).is_file() for name in here & {"data_batch_1", "test_batch"}
    )
    hundred = {"train", "test", "meta"} <= here and all(
        (place / name).is_file() for name in ("train", "test", "meta")
    )
    if ten or hundred:
        layout = _TEN if ten else _HUNDRED
        files = (*layout.parts["train"], *layout.parts["test"], layout.names)
        raise UserError(
            f"{place}: this is the Python version of {layout.title}: pickles, which can run any code and are never "
            "loaded here.",
            f"Get the binary version from the same page, 'The CIFAR-10 and CIFAR-100 datasets'; its files are "
            f"{', '.join(files)}.",
        )


def _class_names(path: Path, layout: _Layout) -> list[str]:
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}).", _AGAIN) from error
    if len(set(names)) != layout.classes or len(names) != layout.classes:
        raise UserError(
            f"{path}: names {len(set(names))} classes; {layout.title} has {layout.classes}.", _AGAIN
        )
    return names


def _read(path: Path, layout: _Layout) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures uint8 (N, 32, 32, 3) and labels uint8 (N,) of a file. Raises UserError."""
    length = layout.label_bytes + 3 * _SIDE * _SIDE
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).", _AGAIN) from error
    if not len(data) or len(data) % length:
        raise UserError(
            f"{path}: has {len(data):,} bytes, which is no multiple of {length:,}, a record of {layout.title}.",
            _AGAIN,
        )
    records = data.reshape(-1, length)
    labels = records[:, layout.label_bytes - 1]
    if int(labels.max()) >= layout.classes:
        raise UserError(
            f"{path}: has the label {int(labels.max())}; those of {layout.title} are 0 to {layout.classes - 1}.",
            _AGAIN,
        )
    planes = records[:, layout.label_bytes :].reshape(-1, 3, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
