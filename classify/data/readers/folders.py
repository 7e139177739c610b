"""Class folders: one folder of pictures for each class, perhaps with a training and a validation part above them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from classify.data.items import Source
from classify.data.readers.parts import Rows, joined
from curate.errors import UserError
from curate.parts import only_parts, part_of
from curate.paths import path_from_text, path_to_text


def from_folders(root: Path) -> Source:
    """Every picture below the class folders of `root`; the first folder of a path is its class. Raises UserError."""
    classes, loose = _class_folders(root)
    if not classes:
        what = f"holds {loose} files, but no class folders" if loose else "is empty"
        raise UserError(
            f"{root}: {what}.",
            "Training needs one folder of pictures for each class: DIR/cat/1.png, DIR/dog/2.png.",
        )
    if only_parts([name for name in classes if not name.endswith(".curate")]):
        return _from_parts(root, classes)
    rows = Rows()
    empty = []
    for name in classes:
        found = _pictures(root, name)
        for path in found:
            rows.add(path, path_to_text(name), os.path.join(root, path_from_text(path)))  # noqa: PTH118  bytes-safe
        if not found:
            empty.append(name)
    notes = [
        f"Class folder '{path_to_text(name)}' holds no files: it is no class of the result." for name in empty
    ]
    if loose:
        notes.append(f"{loose} files beside the class folders have no class and are left out.")
    if not rows.paths:
        raise UserError(
            f"{root}: its {len(classes)} class folders hold no files.",
            "Put pictures in the class folders.",
        )
    return Source(root, "folders", rows.paths, rows.labels, rows.items, notes=notes)


def _from_parts(root: Path, folders: list[str]) -> Source:
    """The folder of training pictures, and the one for validation beside it; a test part is not looked at.

    Raises UserError where there is no validation part: then the training part is what the user has to name.
    """
    parts: dict[str, list[str]] = {}
    for name in folders:
        parts.setdefault(part_of(name), []).append(name)
    inner = parts.get("train", folders)[0]
    if [len(parts.get(part, [])) for part in ("train", "val")] != [1, 1] or "" in parts:
        raise UserError(
            f"{root}: its folders are parts ({', '.join(folders)}), not classes.",
            f"Give the training part: {root / inner}.",
        )
    read = {part: from_folders(root / parts[part][0]) for part in ("train", "val")}
    rows = {
        part: Rows([f"{parts[part][0]}/{path}" for path in source.paths], source.labels, source.items)
        for part, source in read.items()
    }
    notes = [
        f"Training part: {parts['train'][0]}; validation part: {parts['val'][0]}, as the folders are named."
    ]
    notes += [note for source in read.values() for note in source.notes]
    return joined(root, "folders", rows, "train", notes)


def may_not_be_read(error: OSError) -> NoReturn:
    """Raise UserError for a folder that cannot be listed; `os.walk` passes over it where it is not told."""
    raise UserError(
        f"{error.filename}: may not be read ({error.strerror}).", "Give a folder that you may read."
    ) from error


def _class_folders(root: Path) -> tuple[list[str], int]:
    """Names of the folders that are classes, sorted, and the number of files beside them; hidden ones are neither."""
    try:
        with os.scandir(root) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
            folders = sorted(entry.name for entry in shown if entry.is_dir())
            return folders, sum(entry.is_file() for entry in shown)
    except OSError as error:
        may_not_be_read(error)


def _pictures(root: Path, name: str) -> list[str]:
    """Paths of the files below the class folder, as text, sorted; whether each is a picture shows when it is read."""
    found = []
    for folder, folders, files in os.walk(root / name, onerror=may_not_be_read):
        folders[:] = [inner for inner in folders if not inner.startswith(".")]
        below = os.path.relpath(folder, root)
        found += [
            path_to_text(os.path.join(below, file)).replace(os.sep, "/")  # noqa: PTH118
            for file in files
            if not file.startswith(".")
        ]
    return sorted(found)
