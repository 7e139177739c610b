"""What readers hand over: pictures that are files, encoded bytes or arrays, and what is known of them without a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curate.errors import UserError
from curate.images import Unreadable, open_image, read_bytes, to_rgb

if TYPE_CHECKING:
    from classify.weights import Preprocessing


class Stored(Protocol):
    """A picture inside a larger file, fetched when it is needed."""

    def load(self) -> str | bytes:
        """Its encoded bytes, or the path of the file that it is. Raises `curate.images.Unreadable`."""
        ...


Item = str | Path | bytes | NDArray[np.uint8] | Stored
"""One picture: a file's path, encoded bytes, an array uint8 (H, W) or (H, W, 3), or a place in a larger file."""


def fetch(item: Item) -> str | Path | bytes | NDArray[np.uint8]:
    """The item itself; what is stored in a larger file is taken out of it. Raises `curate.images.Unreadable`."""
    return item if isinstance(item, str | Path | bytes | np.ndarray) else item.load()


def decode(item: Item, preprocessing: Preprocessing | None = None) -> tuple[Image.Image, bytes]:
    """The item as an RGB picture, and the bytes that are its content; grey becomes three equal channels.

    A large JPEG is decoded at a reduced scale whose shorter side is no less than twice the network's size, which leaves
    enough for a good picture; without `preprocessing` at its full size, and anything transparent on white. Raises
    `curate.images.Unreadable`.
    """
    item = fetch(item)
    if isinstance(item, np.ndarray):
        return Image.fromarray(item).convert("RGB"), repr(item.shape).encode() + item.tobytes()
    data = item if isinstance(item, bytes) else read_bytes(item)
    if preprocessing is None:
        return to_rgb(open_image(data)), data
    image = open_image(data, at_least=2 * preprocessing.size)
    return to_rgb(image, preprocessing.background), data


class Fetched(Sequence[Item | Unreadable]):
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


@dataclass(frozen=True)
class Source:
    """The pictures to learn from or to judge on, not read yet.

    `root` is what the user named. `paths` name each picture for people: a path relative to the folder, as text (see
    `curate.paths.path_to_text`), or a place such as `t10k-images[17]`; `labels` are their classes; `items` the
    pictures. `splits` says train or val for each where the set decides, else it is None. `weights` (float32) and
    `copies` (int32) are the balance of a curate workspace; None where there is none. `notes` are sentences for the
    user. The last `extra` pictures are for training only, whatever the split. `test` is what `evaluate` takes to judge
    on a test part that was held back, where that is known.
    """

    root: Path
    kind: str
    paths: list[str]
    labels: list[str]
    items: list[Item]
    splits: list[str] | None = None
    weights: NDArray[np.float32] | None = None
    copies: NDArray[np.int32] | None = None
    notes: list[str] = field(default_factory=list)
    extra: int = 0
    test: Path | None = None

    def drawn(self, index: int) -> tuple[str, float, int]:
        """Part (empty where the set decides on none), weight and copies of a picture; extra ones are as they come."""
        own = index < len(self.items) - self.extra
        return (
            "" if self.splits is None else self.splits[index] if own else "train",
            1.0 if self.weights is None or not own else float(self.weights[index]),
            1 if self.copies is None or not own else int(self.copies[index]),
        )


def check_classes(name: str, labels: Sequence[str]) -> None:
    """Raise UserError where the labels are of one class only."""
    classes = sorted(set(labels))
    if len(classes) == 1:
        raise UserError(
            f"{name}: there is only one class, '{classes[0]}'; nothing can be told apart.",
            "Training needs two classes or more: of a folder, two class folders.",
        )
