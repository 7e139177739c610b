"""Source, cache and split together: the arrays that training takes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classify.data.cache import Pictures, read_pictures
from classify.data.sources import Source, check_classes
from classify.data.splitting import groups, hold_out
from classify.weights import Preprocessing
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.images import REASONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAMED = 5


@dataclass(frozen=True)
class Part:
    """Training or validation part: `images` uint8 (N, S, S, 3), `labels` int64 (N,), `weights` float32 (N,), `copies` int32 (N,).

    `weights` are those of the balance, mean 1 over the training part; `copies` how often a picture is drawn an epoch.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    copies: NDArray[np.int32]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.labels)


@dataclass(frozen=True)
class ReadFile:
    """A file that was read: path relative to the source's root, hash and number of its bytes, class, part.

    `part` is train, val or unreadable; what could not be read has no hash and size 0.
    """

    path: str
    sha256: str
    size: int
    label: str
    part: str


@dataclass(frozen=True)
class Dataset:
    """What a run learns from: class names (labels count them), both parts, a fingerprint, and sentences for the user.

    `files` are all that were read, in the order of their paths.
    """

    classes: list[str]
    train: Part
    val: Part
    fingerprint: str
    notes: list[str]
    files: list[ReadFile]


def read_dataset(
    source: Source,
    preprocessing: Preprocessing,
    *,
    val: float = 0.1,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Decode the source and split it where it is not split yet (`val`: share held out). Raises UserError.

    Balance weights are the workspace's; else the inverse of the class's share of the training part.
    """
    files = [source.file(path) for path in source.paths]
    pictures = read_pictures(files, preprocessing, workers=workers, progress=progress)
    notes = list(source.notes) + _unreadable(source, pictures)
    labels = [source.labels[index] for index in pictures.index]
    if not labels:
        raise UserError(
            f"{source.root}: none of its {len(files)} files is a picture that can be read.",
            "Look with `curate scan`.",
        )
    check_classes(str(source.root), labels)
    if source.splits is None:
        group = groups(pictures.contents, pictures.hashes)
        held = hold_out(labels, pictures.contents, group, val, seed)
        notes.append(
            f"Held out {int(held.sum())} of {len(labels)} pictures for validation; copies and look-alikes "
            f"({len(labels) - len(np.unique(group))} pictures) stay on one side."
        )
    else:
        held = np.array([source.splits[index] == "val" for index in pictures.index])
    classes = sorted({label for label, out in zip(labels, held, strict=True) if not out})
    if len(classes) < 2:
        raise UserError(
            f"{source.root}: fewer than two classes have pictures to train on.", "Look at `curate status`."
        )
    notes += _class_notes(labels, held, classes)
    train = _part(source, pictures, labels, classes, ~held)
    return Dataset(
        classes,
        train,
        _part(source, pictures, labels, classes, held),
        fingerprint(pictures.contents, labels, held.tolist()),
        notes,
        _files(source, pictures, held),
    )


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
    copies = source.copies[where] if source.copies is not None else np.ones(len(rows), np.int32)
    if source.weights is not None:
        weights = source.weights[where]
    else:
        weights = (1 / np.maximum(np.bincount(index, minlength=len(classes)), 1))[index].astype(np.float32)
    if len(weights):
        weights = weights / weights.mean()
    return Part(pictures.images[rows], index, weights, copies)


def _files(source: Source, pictures: Pictures, held: NDArray[np.bool_]) -> list[ReadFile]:
    found = dict(zip(pictures.index.tolist(), range(len(pictures.index)), strict=True))
    files = []
    for index, (path, label) in enumerate(zip(source.paths, source.labels, strict=True)):
        row = found.get(index)
        if row is None:
            files.append(ReadFile(path, "", 0, label, "unreadable"))
        else:
            part = "val" if held[row] else "train"
            files.append(ReadFile(path, pictures.contents[row], pictures.sizes[row], label, part))
    return sorted(files, key=lambda file: file.path)


def _unreadable(source: Source, pictures: Pictures) -> list[str]:
    """One sentence on the files that were skipped, the first few by name."""
    if not pictures.unreadable:
        return []
    names = dict(zip((source.file(path) for path in source.paths), source.paths, strict=True))
    shown = [f"{names[file]} ({REASONS[reason]})" for file, reason in pictures.unreadable[:_NAMED]]
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
    if single:
        notes.append(f"Only one picture to learn from: {', '.join(single)}.")
    blind = [name for name in classes if not outside[name]]
    if blind:
        notes.append(f"No picture for validation, so macro-F1 leaves them out: {', '.join(blind)}.")
    unknown = sorted(set(outside) - set(classes))
    if unknown:
        notes.append(f"Only in validation, so left out: {', '.join(unknown)}.")
    return notes


def fingerprint(contents: Sequence[str], labels: Sequence[str], held: Sequence[bool]) -> str:
    """SHA-256 over content, class and part of every picture, whatever the files are called."""
    lines = sorted(
        f"{content} {label} {out}" for content, label, out in zip(contents, labels, held, strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
