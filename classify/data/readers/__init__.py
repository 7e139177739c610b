"""Known layouts of data sets, one module each.

A reader is a function of a place and a purpose: it gives the pictures, or None where the place is not of its kind. It
raises UserError where the place is of its kind but will not do. A new format is one such function and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from classify.data.items import Source
from classify.data.readers.cifar import read_cifar
from classify.data.readers.huggingface import read_arrow, read_parquet
from classify.data.readers.idx import read_idx
from classify.data.readers.listing import names_in
from classify.data.readers.parts import Purpose
from classify.data.readers.table import read_csv

Reader = Callable[[Path, Purpose], Source | None]

READERS: tuple[Reader, ...] = (
    read_csv,
    read_idx,
    read_cifar,
    read_arrow,
    read_parquet,
)


def read_known(place: Path, purpose: Purpose) -> Source | None:
    """The pictures of a place in one of the known layouts, or of the only folder in it, as archives unpack to.

    None where it is in none of them. Raises UserError.
    """
    for folder in (place, *_only_folder(place)):
        for reader in READERS:
            source = reader(folder, purpose)
            if source is not None:
                return source
    return None


def _only_folder(place: Path) -> list[Path]:
    inner = [place / name for name in names_in(place) if not name.startswith(".")]
    folders = [path for path in inner if path.is_dir()]
    return folders if len(folders) == 1 else []
