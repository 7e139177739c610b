"""What there is to learn from: a curate workspace, or a folder of class folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.errors import UserError
from curate.tables import path_from_text, path_to_text
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_PARTS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))


@dataclass(frozen=True)
class Source:
    """The pictures to learn from, not read yet.

    `paths` are relative to `root`, as text (see `curate.tables.path_to_text`), sorted; `labels` are their classes.
    `splits` says train or val for each where a workspace decided, else it is None. `weights` (float32) and `copies`
    (int32) are the workspace's balance; None where there is none. `notes` are sentences for the user.
    """

    root: Path
    kind: str
    paths: list[str]
    labels: list[str]
    splits: list[str] | None = None
    weights: NDArray[np.float32] | None = None
    copies: NDArray[np.int32] | None = None
    notes: list[str] = field(default_factory=list)

    def file(self, path: str) -> str:
        """Where the picture `path` lies, as `open` takes it."""
        return os.path.join(self.root, path_from_text(path))  # noqa: PTH118  bytes-safe text, see curate.tables


def find_source(place: str | Path, raw: bool = False) -> Source:
    """The pictures of a workspace, of the folder `place` with a workspace beside it, or of its class folders.

    `raw` takes the folder as it is, workspace or not. Raises UserError that says what training needs.
    """
    place = Path(place)
    if not place.exists():
        raise UserError(
            f"{place}: there is no such folder.", "Give a folder with one folder of pictures for each class."
        )
    if not place.is_dir():
        raise UserError(
            f"{place}: is a file, not a folder.", "Give a folder with one folder of pictures for each class."
        )
    workspace = Workspace.find(place)
    if workspace is None:
        return from_folders(place)
    if raw:
        return from_folders(workspace.root)
    if workspace.has("splits"):
        return from_workspace(workspace)
    if workspace.path == place.absolute():
        raise UserError(
            f"{place}: this workspace has no split yet.", f"Run `curate run {workspace.root}` first."
        )
    source = from_folders(place)
    source.notes.insert(
        0,
        f"The workspace {workspace.path} has no split yet, so the folder is taken as it is; "
        f"`curate run {place}` would clean it first.",
    )
    return source


# Class folders --------------------------------------------------------------------------------------------------


def from_folders(root: Path) -> Source:
    """Every picture below the class folders of `root`; the first folder of a path is its class. Raises UserError."""
    classes, loose = _class_folders(root)
    if not classes:
        what = f"holds {loose} files, but no class folders" if loose else "is empty"
        raise UserError(
            f"{root}: {what}.",
            "Training needs one folder of pictures for each class: DIR/cat/1.png, DIR/dog/2.png.",
        )
    if {name.lower() for name in classes} <= _PARTS:
        inner = next((name for name in classes if name.lower().startswith("train")), classes[0])
        raise UserError(
            f"{root}: its folders are parts ({', '.join(classes)}), not classes.",
            f"Give the training part: {root / inner}.",
        )
    paths: list[str] = []
    labels: list[str] = []
    empty = []
    for name in classes:
        found = _pictures(root, name)
        paths += found
        labels += [path_to_text(name)] * len(found)
        if not found:
            empty.append(name)
    notes = [
        f"Class folder '{path_to_text(name)}' holds no files: it is no class of the result." for name in empty
    ]
    if loose:
        notes.append(f"{loose} files beside the class folders have no class and are left out.")
    if not paths:
        raise UserError(
            f"{root}: its {len(classes)} class folders hold no files.",
            "Put pictures in the class folders.",
        )
    source = Source(root, "folders", paths, labels, notes=notes)
    check_classes(str(root), labels)
    return source


def _class_folders(root: Path) -> tuple[list[str], int]:
    """Names of the folders that are classes, sorted, and the number of files beside them; hidden ones are neither."""
    try:
        with os.scandir(root) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
            folders = sorted(entry.name for entry in shown if entry.is_dir())
            return folders, sum(entry.is_file() for entry in shown)
    except OSError as error:
        raise UserError(
            f"{root}: cannot be read ({error.strerror}).", "Give a folder that you may read."
        ) from error


def _pictures(root: Path, name: str) -> list[str]:
    """Paths of the files below the class folder, as text, sorted; whether each is a picture shows when it is read."""
    found = []
    for folder, folders, files in os.walk(root / name):
        folders[:] = [inner for inner in folders if not inner.startswith(".")]
        below = os.path.relpath(folder, root)
        found += [
            path_to_text(os.path.join(below, file)).replace(os.sep, "/")  # noqa: PTH118
            for file in files
            if not file.startswith(".")
        ]
    return sorted(found)


def check_classes(name: str, labels: Sequence[str]) -> None:
    """Raise UserError where the labels are of one class only."""
    classes = sorted(set(labels))
    if len(classes) == 1:
        raise UserError(
            f"{name}: there is only one class, '{classes[0]}'; nothing can be told apart.",
            "Training needs two class folders or more.",
        )


# Workspace ------------------------------------------------------------------------------------------------------


def from_workspace(workspace: Workspace) -> Source:
    """The pictures of the workspace's training and validation parts, with their balance. Raises UserError."""
    frame = workspace.read("splits")
    if workspace.has("balance"):
        balance = workspace.read("balance")[["path", "weight", "copies"]]
        frame = frame.merge(balance, on="path", how="left")
    counts = frame["split"].value_counts()
    used = frame[frame["split"].isin(("train", "val")) & (frame["label"] != "")].sort_values("path")
    train = used[used["split"] == "train"]
    if "copies" in used:
        left_out = (used["split"] == "train") & (used["copies"].fillna(1) == 0)
        train = used[(used["split"] == "train") & ~left_out]
        used = used[~left_out]
    if not len(train):
        raise UserError(
            f"{workspace.path}: there are no pictures in the training part.",
            f"Look at `curate status {workspace.root}`; --set data.raw=true trains on the folder as it is.",
        )
    check_classes(str(workspace.root), list(train["label"]))
    notes = [
        f"Using the curated set of {workspace.path}: {len(train)} pictures for training, {counts.get('val', 0)} for "
        f"validation, {counts.get('test', 0)} held back for testing, {counts.get('out', 0)} taken out by curate."
    ]
    weights, copies = _balance(used)
    return Source(
        workspace.root,
        "workspace",
        list(used["path"]),
        list(used["label"]),
        list(used["split"]),
        weights,
        copies,
        notes,
    )


def _balance(used: pd.DataFrame) -> tuple[NDArray[np.float32] | None, NDArray[np.int32] | None]:
    if "copies" not in used:
        return None, None
    weights = used["weight"].fillna(1).to_numpy(np.float32)
    return weights, used["copies"].fillna(1).to_numpy(np.int32)
