"""Prints of pictures (`curate.lookalikes.Print`), by which it is known later what a network was trained on."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from classify.data.items import Fetched, Item, decode
from curate.engine import Progress, map_chunks, silent
from curate.images import WHITE, Unreadable, open_image, to_rgb
from curate.lookalikes import Print, take

if TYPE_CHECKING:
    from PIL import Image

    from classify.weights import Preprocessing

MOST = 10_000
"""Pictures up to which edited copies are looked for unless told otherwise: it takes 20 ms of one core a picture."""

MODES = ("auto", "full", "hashes", "none")
"""What may be kept of the training pictures: see `classify.settings.DataSettings`."""


def resolved(mode: str, pictures: int) -> str:
    """`full`, `hashes` or `none`: what `auto` means for so many pictures."""
    return ("full" if pictures <= MOST else "hashes") if mode == "auto" else mode


def print_of(item: Item, image: Image.Image, data: bytes, preprocessing: Preprocessing, copy: bool) -> Print:
    """The print of an item that `decode` gave as `image` and `data`; with a small copy where `copy` is true.

    Prints are of the picture at its full size and on white, whatever the network sees.
    """
    stored = image.info.get("stored_size", image.size)
    reduced = sorted(stored) != sorted(image.size)
    if not isinstance(item, np.ndarray) and (reduced or preprocessing.background != WHITE):
        with contextlib.suppress(Unreadable):  # keeping prints must not change which pictures are learnt from
            image = to_rgb(open_image(data))
    return take(image, data, copy)


def read_prints(
    items: Sequence[Item], copies: bool, *, workers: int | None = None, progress: Progress = silent
) -> list[Print | None]:
    """The print of each item, in worker processes; None for what cannot be read."""
    read = functools.partial(_read_chunk, copies=copies)
    chunks = map_chunks(read, Fetched(items), workers=workers, progress=progress)
    return [found for chunk in chunks for found in chunk]


def _read_chunk(items: Sequence[Item | Unreadable], copies: bool) -> list[Print | None]:
    found: list[Print | None] = []
    for item in items:
        try:
            found.append(None if isinstance(item, Unreadable) else take(*decode(item), copies))
        except Unreadable:
            found.append(None)
    return found
