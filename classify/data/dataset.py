"""Source, cache and split together: the arrays that training takes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classify.data.cache import Pictures, none_readable, read_pictures
from classify.data.items import Source, check_classes
from classify.data.splitting import copies_of, groups, hold_out
from classify.weights import Preprocessing
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.images import REASONS
from curate.lookalikes import Print

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAMED = 5

_TELLING = 50
"""Pictures below which a validation part is too small to choose by: the standard error is then 5 to 7 points."""


@dataclass(frozen=True)
class Part:
    """Training or validation part: `rows` int64 (N,) of the `store` uint8 (M, S, S, 3) that the parts share, `labels` int64
    (N,), `weights` float32 (N,), `copies` int32 (N,).

    `weights` are those of the balance, mean 1 over the training part; `copies` how often a picture is drawn an epoch.
    """

    store: NDArray[np.uint8]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    copies: NDArray[np.int32]

    @property
    def images(self) -> NDArray[np.uint8]:
        """The part's pictures, uint8 (N, S, S, 3): a copy."""
        return self.store[self.rows]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.labels)


@dataclass(frozen=True)
class ReadFile:
    """A file that was read: path relative to the source's root, hash and number of its bytes, class, part.

    `part` is train, val, left out or unreadable; what could not be read has no hash and size 0.
    """

    path: str
    sha256: str
    size: int
    label: str
    part: str


@dataclass(frozen=True)
class Seen:
    """A picture that a run learns from or chooses its epoch by: path as of `ReadFile`, class, part, and its print."""

    path: str
    label: str
    part: str
    print: Print


@dataclass(frozen=True)
class Dataset:
    """What a run learns from: class names (labels count them), both parts, a fingerprint, and sentences for the user.

    `files` are all that were read, in the order of their paths; `seen` those of both parts where prints were asked for,
    else empty.
    """

    classes: list[str]
    train: Part
    val: Part
    fingerprint: str
    notes: list[str]
    files: list[ReadFile]
    seen: list[Seen]

    @property
    def draws(self) -> str:
        """SHA-256 of what epochs are drawn from: the training pictures in their order, with labels, weights and copies."""
        contents = [file.sha256 for file in self.files if file.part == "train"]
        sha = hashlib.sha256("".join(contents).encode())
        for values in (self.train.labels, self.train.weights, self.train.copies):
            sha.update(np.ascontiguousarray(values).tobytes())
        return sha.hexdigest()


def read_dataset(
    source: Source,
    preprocessing: Preprocessing,
    *,
    val: float = 0.1,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = silent,
    folder: Path | None = None,
    prints: str = "none",
) -> Dataset:
    """Decode the source and split it where it is not split yet (`val`: share held out). Raises UserError.

    Balance weights are the workspace's; else the inverse of the class's share of the training part. With `folder` the
    pictures lie in a file there; `prints` says what is kept to know them by: see `read_pictures`.
    """
    pictures = read_pictures(
        source.items, preprocessing, workers=workers, progress=progress, folder=folder, prints=prints
    )
    notes = list(source.notes) + _unreadable(source, pictures)
    labels = [source.labels[index] for index in pictures.index]
    if not labels:
        raise none_readable(source, pictures.unreadable)
    check_classes(str(source.root), labels)
    held, used, said = _split(source, pictures, labels, val, seed)
    notes += said
    classes = sorted({label for label, out in zip(labels, held, strict=True) if not out})
    if len(classes) < 2:
        raise UserError(
            f"{source.root}: fewer than two classes have pictures to train on.",
            "Put pictures of two classes or more into the training part; of a workspace see `curate status`.",
        )
    notes += _class_notes(labels, held, classes)
    train = _part(source, pictures, labels, classes, used & ~held)
    kept = np.flatnonzero(used).tolist()
    return Dataset(
        classes,
        train,
        _part(source, pictures, labels, classes, held),
        fingerprint(
            [pictures.contents[row] for row in kept],
            [labels[row] for row in kept],
            [bool(held[row]) for row in kept],
        ),
        notes,
        _files(source, pictures, held, used),
        _seen(source, pictures, labels, held, kept) if pictures.prints else [],
    )


def _split(
    source: Source, pictures: Pictures, labels: Sequence[str], val: float, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], list[str]]:
    """Which pictures are for validation and which are used at all, bool (N,) both, and sentences for the user.

    Extra pictures take no part in the split; those that are copies of validation pictures are not used.
    """
    notes, told = [], True
    own = pictures.index < len(source.items) - source.extra
    count = int(own.sum())  # extra pictures stand at the end
    held = np.zeros(len(labels), bool)
    if source.splits is None:
        contents = pictures.contents[:count]
        group, told = groups(contents, pictures.hashes[:count], pictures.hashed[:count])
        held[:count] = hold_out(labels[:count], contents, group, val, seed)
        kept = f"({count - len(np.unique(group))} pictures) stay on one side"
        notes.append(
            f"Held out {int(held.sum())} of {count} pictures for validation; "
            + (f"copies and look-alikes {kept}." if told else f"exact copies {kept}.")
        )
    else:
        held[:count] = [source.splits[index] == "val" for index in pictures.index[:count]]
        inside = {pictures.contents[row] for row in np.flatnonzero(own & ~held).tolist()}
        both = sum(pictures.contents[row] in inside for row in np.flatnonzero(held).tolist())
        if both:
            notes.append(
                f"Of the {int(held.sum())} pictures for validation {both} {'is' if both == 1 else 'are'} in the "
                "training part too: its scores flatter."
            )
    used = np.ones(len(labels), bool)
    if source.extra:
        leaks = copies_of(pictures.contents, pictures.hashes, pictures.hashed & told, ~own, held)
        used = ~leaks
        if leaks.any():
            notes.append(
                f"{int(leaks.sum())} extra pictures are copies or look-alikes of validation pictures: left out."
            )
    return held, used, notes


def _part(
    source: Source,
    pictures: Pictures,
    labels: Sequence[str],
    classes: Sequence[str],
    chosen: NDArray[np.bool_],
) -> Part:
    number = {name: index for index, name in enumerate(classes)}
    known = np.array([label in number for label in labels])
    rows = np.flatnonzero(chosen & known)
    where = pictures.index[rows]
    index = np.array([number[labels[row]] for row in rows.tolist()], np.int64)
    own = where < len(source.items) - source.extra
    copies = np.ones(len(rows), np.int32)
    if source.copies is not None:
        copies[own] = source.copies[where[own]]
    if source.weights is not None:
        weights, copies = _with_extra(source.weights[where[own]], copies, index, own)
    else:
        weights = (1 / np.maximum(np.bincount(index, minlength=len(classes)), 1))[index].astype(np.float32)
    if len(weights):
        weights = weights / weights.mean()
    return Part(pictures.images, rows, index, weights, copies)


def _with_extra(
    weights: NDArray[np.float32], copies: NDArray[np.int32], index: NDArray[np.int64], own: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Weights and copies (N,) where `weights` are those of the `own` pictures only: each class keeps its sum of weight times
    copies, shared by all of it.

    An extra picture counts as much as its class's mean.
    """
    if own.all():
        return weights, copies
    classes = int(index.max()) + 1
    count = np.bincount(index[own], minlength=classes)

    def mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
        total = np.bincount(index[own], values, minlength=classes)
        return np.divide(total, count, out=np.ones(classes), where=count > 0)

    full = mean(weights)[index]
    copies = np.where(own, copies, np.rint(mean(copies[own]))[index]).astype(np.int32)
    full[own] = weights
    before = np.bincount(index[own], weights * copies[own], minlength=classes)
    after = np.bincount(index, full * copies, minlength=classes)
    # A class that has extra pictures only counts as one picture.
    scale = np.where(count > 0, before, 1) / np.where(after > 0, after, 1)
    return (full * scale[index]).astype(np.float32), copies


def _files(
    source: Source, pictures: Pictures, held: NDArray[np.bool_], used: NDArray[np.bool_]
) -> list[ReadFile]:
    """Every file of the source, with what became of it."""
    found = dict(zip(pictures.index.tolist(), range(len(pictures.index)), strict=True))
    files = []
    for index, (path, label) in enumerate(zip(source.paths, source.labels, strict=True)):
        row = found.get(index)
        if row is None:
            files.append(ReadFile(path, "", 0, label, "unreadable"))
        else:
            part = "val" if held[row] else "train" if used[row] else "left out"
            files.append(ReadFile(path, pictures.contents[row], pictures.sizes[row], label, part))
    return sorted(files, key=lambda file: file.path)


def _seen(
    source: Source, pictures: Pictures, labels: Sequence[str], held: NDArray[np.bool_], kept: Sequence[int]
) -> list[Seen]:
    """The pictures `kept` of both parts, in the order of their paths."""
    found = [
        Seen(
            source.paths[pictures.index[row]],
            labels[row],
            "val" if held[row] else "train",
            pictures.prints[row],
        )
        for row in kept
    ]
    return sorted(found, key=lambda one: one.path)


def _unreadable(source: Source, pictures: Pictures) -> list[str]:
    """One sentence on the files that were skipped, the first few by name."""
    if not pictures.unreadable:
        return []
    shown = [f"{source.paths[item]} ({REASONS[reason]})" for item, reason in pictures.unreadable[:_NAMED]]
    rest = len(pictures.unreadable) - len(shown)
    return [
        f"Skipped {len(pictures.unreadable)} files that cannot be read: {', '.join(shown)}"
        + (f" and {rest} more." if rest else ".")
    ]


def _class_notes(labels: Sequence[str], held: NDArray[np.bool_], classes: Sequence[str]) -> list[str]:
    """Sentences on classes that cannot be learnt or judged."""
    notes = []
    inside = Counter(label for label, out in zip(labels, held, strict=True) if not out)
    outside = Counter(label for label, out in zip(labels, held, strict=True) if out)
    single = [name for name in classes if inside[name] == 1]
    if 0 < held.sum() < _TELLING:
        notes.append(
            f"The validation part has {int(held.sum())} pictures: its scores say little, in whole steps of "
            f"{1 / held.sum():.0%} of accuracy."
        )
    if single:
        notes.append(
            f"Classes with one picture to learn from: {', '.join(single)}. Add pictures, or take them out: of one nothing "
            "is learnt but that picture."
        )
    blind = [name for name in classes if not outside[name]]
    if blind:
        notes.append(f"Without a picture for validation, so macro-F1 leaves them out: {', '.join(blind)}.")
    unknown = sorted(set(outside) - set(classes))
    if unknown:
        notes.append(f"Only in validation, so left out: {', '.join(unknown)}.")
    return notes


def fingerprint(contents: Sequence[str], labels: Sequence[str], held: Sequence[bool]) -> str:
    """SHA-256 over content, class and part of every picture that is used, whatever the files are called."""
    lines = sorted(
        f"{content} {label} {out}" for content, label, out in zip(contents, labels, held, strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
