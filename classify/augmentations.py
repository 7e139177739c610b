"""What each augmentation does to a few pictures of one's own, as a sheet to look at before training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from classify.data.augmentation import Augmentation
from classify.data.cache import none_readable, read_pictures
from classify.data.items import Source
from classify.data.sources import find_source
from classify.settings import AugmentationSettings, Settings
from classify.transfer import preprocessing_of
from classify.weights import Preprocessing, write_whole
from curate.errors import Refused, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES = 8
"""Pictures of the sheet, one a column."""

_TOGETHER = 4
"""Rows of pictures as training draws them."""

_SWITCH = "probability "
"""How the meaning of a key begins that switches an operation; keys up to the next such one are its strength."""


@dataclass(frozen=True)
class Row:
    """One row of the sheet: its name, what it says about itself, and uint8 (N, S, S, 3)."""

    name: str
    about: str
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class Shown:
    """What the sheet shows: the pictures' classes and paths, and rows by the headings that they stand under."""

    labels: list[str]
    paths: list[str]
    rows: dict[str, list[Row]]


Draw = Callable[[str, Sequence[str], Mapping[str, Sequence[tuple[str, str, "NDArray[np.uint8]"]]]], bytes]
"""From a title, the columns' names and rows (name, about, images) by heading to the bytes of a PNG."""


def augmentations(
    source: str | Path, out: str | Path, settings: Settings | None = None, *, draw: Draw
) -> Shown:
    """Write the PNG `out`: rows are the operations, columns a few pictures of `source`, drawn with the run's seed.

    Each operation stands alone, switched on for every picture; then all together as training draws them. Raises
    UserError where there is nothing to show or `out` cannot be written, and Refused where it lies among the pictures.
    """
    settings, out = settings or Settings(), Path(out)
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: the sheet is a PNG.", "Give a name that ends in .png with --out.")
    found = find_source(source, settings.data.raw, settings.data.extra)
    if found.root.resolve() in out.resolve().parents:
        raise Refused(f"{out}: lies among the pictures that it would show.", "Give another place with --out.")
    shown = show(found, settings)
    side = shown.rows["Before"][0].images.shape[1]
    title = f"Augmentation of {source} at {side} px, seed {settings.training.seed}"
    rows = {
        heading: [(row.name, row.about, row.images) for row in below] for heading, below in shown.rows.items()
    }
    write_whole(out, draw(title, shown.labels, rows))
    return shown


def show(source: Source, settings: Settings) -> Shown:
    """The rows of the sheet. Raises UserError where the source has no picture that can be read."""
    seed = settings.training.seed
    chosen = _choose(source, preprocessing_of(settings), seed)
    images = np.stack([image for _, _, image in chosen])
    plain = settings.augmentation
    alone = [
        Row(name, _about(plain, name, keys), _augmented(images, _only(plain, name), seed))
        for name, keys in operations().items()
    ]
    together = [
        Row(f"batch {number + 1}", "each operation with its own p", _augmented(images, plain, seed + number))
        for number in range(_TOGETHER)
    ]
    return Shown(
        [label for label, _, _ in chosen],
        [path for _, path, _ in chosen],
        {
            "Before": [Row("untouched", "as the network would see them without augmentation", images)],
            "Each operation alone, switched on for every picture; p is its probability in training. Batches mix with the left neighbour": alone,
            "All together, as training draws them": together,
        },
    )


def operations() -> dict[str, list[str]]:
    """Operation, named by the key of its probability -> keys of its strength; read off the settings themselves."""
    found: dict[str, list[str]] = {}
    for field in dataclasses.fields(AugmentationSettings):
        if _switches(field):
            found[field.name] = []
        else:
            found[next(reversed(found))].append(field.name)
    return found


def _switches(field: dataclasses.Field[Any]) -> bool:
    return str(field.metadata["meaning"]).startswith(_SWITCH)


def _only(settings: AugmentationSettings, name: str) -> AugmentationSettings:
    """The same strengths, with the operation `name` always on and every other off."""
    return dataclasses.replace(settings, **{other: float(other == name) for other in operations()})


def _about(settings: AugmentationSettings, name: str, keys: Sequence[str]) -> str:
    """What the operation is, its probability in training, and its strength."""
    meanings = {field.name: field.metadata["meaning"] for field in dataclasses.fields(settings)}
    what = meanings[name].removeprefix(_SWITCH).removeprefix("of ").removeprefix("that ")
    probability = getattr(settings, name)
    used = f"p={probability:g}" if probability else "p=0, off in training"
    strengths = " ".join(f"{key}={_short(getattr(settings, key))}" for key in keys)
    return "\n".join(line for line in (what, used, strengths) if line)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _augmented(images: NDArray[np.uint8], settings: AugmentationSettings, seed: int) -> NDArray[np.uint8]:
    """The pictures uint8 (N, S, S, 3) as one step of training would see them."""
    generator = torch.Generator().manual_seed(seed)
    augmentation = Augmentation(settings)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    batch = augmentation.pictures(batch, generator)
    batch, _ = augmentation.blend(batch, torch.zeros(len(images), 2), generator)
    pixels: NDArray[np.uint8] = (
        (batch.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    )
    return pixels


def _choose(
    source: Source, preprocessing: Preprocessing, seed: int
) -> list[tuple[str, str, NDArray[np.uint8]]]:
    """A few pictures, of different classes while there are any: (class, path, uint8 (S, S, 3)), by class."""
    chosen, unreadable = [], []
    for index in _drawn(source, np.random.default_rng(seed)):
        path = source.paths[index]
        pictures = read_pictures([source.items[index]], preprocessing, workers=1)
        if len(pictures.index):
            chosen.append((source.labels[index], path, pictures.images[0]))
        unreadable += [(index, reason) for _, reason in pictures.unreadable]
        if len(chosen) == PICTURES:
            break
    if not chosen:
        raise none_readable(source, sorted(unreadable))
    return sorted(chosen, key=lambda one: one[:2])


def _drawn(source: Source, random: np.random.Generator) -> Iterator[int]:
    """Numbers of all pictures that training may draw, in random order, from a new class each time it can be."""
    rows: dict[str, list[int]] = {}
    for index in random.permutation(len(source.paths)).tolist():
        if source.drawn(index)[0] in ("", "train"):
            rows.setdefault(source.labels[index], []).append(index)
    while rows:
        for label in list(rows):
            yield rows[label].pop()
            if not rows[label]:
                del rows[label]
