"""What there is to learn from: a curate workspace, a data set in a known layout, or a folder of class folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from classify.data.items import Source, check_classes
from classify.data.readers import read_known
from classify.data.readers.folders import from_folders
from classify.data.readers.known import origin
from classify.data.readers.listing import names_in
from classify.data.readers.workspace import from_workspace
from classify.matching import match_classes
from curate.errors import UserError
from curate.words import listed
from curate.workspace import Workspace

_ARCHIVES = frozenset((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"))


def find_source(place: str | Path, raw: bool = False, extra: Sequence[str] = ()) -> Source:
    """The pictures of a workspace, of the folder `place` with a workspace beside it, or in one of the known layouts.

    `raw` takes the folder as it is, workspace or not. `extra` are folders of class folders whose pictures are added for
    training only. Raises UserError that says what training needs.
    """
    place = Path(place)
    source = _find(place, raw)
    check_classes(str(place), source.labels)
    for folder in extra:
        source = _added(source, Path(folder))
    return source


def _find(place: Path, raw: bool) -> Source:
    check_place(place)
    workspace = Workspace.find(place)
    if workspace is None:
        return read_known(place, "train") or _folders(place)
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


def check_place(place: Path) -> None:
    """Raise UserError where `place` is not there; for a known data set it says where to get it."""
    if not place.exists():
        raise UserError(
            f"{place}: there is no such {'file' if place.suffix.lower() in ('.csv', '.parquet') else 'folder'}.",
            origin(place) or "Give a folder with one folder of pictures for each class.",
        )


def _folders(place: Path) -> Source:
    if place.is_dir():
        where = origin(place)
        if where and not names_in(place):
            raise UserError(f"{place}: is empty.", where)
        return from_folders(place)
    if place.suffix.lower() in _ARCHIVES:
        raise UserError(f"{place}: is a file, not a folder.", "Unpack it, and give the folder.")
    raise UserError(
        f"{place}: is a file, not a folder.",
        "Give a folder with one folder of pictures for each class, or a .csv or .parquet file.",
    )


def _added(source: Source, folder: Path) -> Source:
    """The source with the pictures of `folder` at its end, for training only. Raises UserError.

    Its classes must be known: one that the validation part cannot judge is most likely a name misspelt.
    """
    check_place(folder)
    if folder.is_file():
        raise UserError(
            f"{folder}: is a file; what data.extra names are folders with one folder of pictures for each class.",
            "Give such a folder.",
        )
    more = _folders(folder)
    if more.splits is not None:
        raise UserError(
            f"{folder}: has a validation part, but what data.extra names is for training only.",
            "Give the folder of one part.",
        )
    classes = sorted(set(source.labels))
    match = match_classes(sorted(set(more.labels)), classes)
    if match.unknown:
        raise UserError(
            f"{folder}: its folders {listed(match.unknown)} are no classes of {source.root}, which has "
            f"{listed(classes)}.",
            "Folders of data.extra add pictures to known classes: rename these, or take them away.",
        )
    notes = [f"{len(more.paths):,} pictures of {folder} are added to the training part.", *more.notes]
    return dataclasses.replace(
        source,
        paths=source.paths + [f"{folder}/{path}" for path in more.paths],
        labels=source.labels + [match.labels[label] for label in more.labels],
        items=source.items + more.items,
        notes=source.notes + notes,
        extra=source.extra + len(more.paths),
    )
