"""The pictures to judge on: class folders or a data set in a known layout, with classes matched to those of the weights.

No picture is read here.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from classify.data.items import Item, Source
from classify.data.readers import read_known
from classify.data.readers.folders import may_not_be_read
from classify.data.readers.known import origin
from classify.data.readers.table import read_csv
from classify.data.readers.workspace import held_back, test_part
from classify.matching import ClassMatch, match_classes
from curate.errors import UserError
from curate.parts import part_of
from curate.paths import path_from_text, path_to_text
from curate.words import counted, listed
from curate.workspace import Workspace


@dataclass
class LabelledPictures:
    """The pictures to judge on, from class folders or a data set in a known layout, and what their classes are called.

    `paths` name the pictures, in the tables' text form (`curate.paths.path_to_text`): relative to `root` and sorted, or
    places such as `t10k-images[17]`; `items` are the pictures; `folders` holds the class folder of each, or its label.
    `noun` is what classes are in this set. `empty` are folders without files; `loose` counts files outside the class
    folders and `hidden` files and folders whose name begins with a dot: neither is evaluated. `said` are the reader's
    own notes.
    """

    root: Path
    match: ClassMatch
    paths: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    noun: str = "folder"
    empty: list[str] = field(default_factory=list)
    loose: int = 0
    hidden: int = 0
    said: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        root: str | Path,
        classes: Sequence[str],
        *,
        labels: str | Path | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> LabelledPictures:
        """The test part of a curate workspace or a data set in a known layout, else the class folders of `root`.

        Folders, or labels, are matched to `classes`.

        `labels` is a CSV file that names the pictures of the folder `root` and their labels; `mapping` as for
        `match_classes`. Raises UserError where there is nothing such, or where nothing in it is one of the classes.
        """
        root = Path(root)
        if not root.exists():
            raise UserError(
                f"{root}: there is no such folder.",
                origin(root) or "Check the path; it is taken from the current folder.",
            )
        if labels is not None:
            found = cls._of_source(_listed_pictures(root, Path(labels)), classes, mapping)
        elif (source := _known(root)) is not None:
            found = cls._of_source(source, classes, mapping)
        else:
            found = cls._of_folders(root, classes, mapping)
            found.said += _held_back_beside(root)
        strays = sorted(set(mapping or {}) - set(found.folders) - set(found.empty))
        if strays:
            found.said.append(f"The map names what there is no {found.noun} of: {listed(strays)}.")
        return found

    @classmethod
    def _of_source(
        cls, source: Source, classes: Sequence[str], mapping: Mapping[str, str] | None
    ) -> LabelledPictures:
        labels = sorted(set(source.labels))
        match = match_classes(labels, classes, mapping)
        if not match.labels:
            raise UserError(
                f"{source.root}: none of its labels is a class of the weights. "
                f"Its labels: {listed(labels)}. The weights' classes: {listed(sorted(classes))}.",
                "Give the weights that belong to this set, or say with --classes MAP.csv what is which class.",
            )
        return cls(
            source.root, match, source.paths, source.labels, source.items, noun="label", said=source.notes
        )

    @classmethod
    def _of_folders(
        cls, root: Path, classes: Sequence[str], mapping: Mapping[str, str] | None
    ) -> LabelledPictures:
        """List `root` and match its class folders to `classes`.

        Raises UserError where there is no class folder in it, none that is one of the classes, or no file in any that is.
        """
        names, loose, hidden = _class_folders(root)
        if not names:
            raise UserError(
                f"{root}: holds no class folders"
                + (f", only {counted(loose, 'file', 'files')}." if loose else "; it is empty."),
                f"Put the test pictures into one folder a class, FOLDER/CLASS/picture.png, or give a CSV file of path and label "
                f"with --labels; the weights know {listed(sorted(classes))}.",
            )
        found = cls(root, match_classes(list(names), classes, mapping), loose=loose, hidden=hidden)
        if not found.match.labels:
            raise UserError(*_no_match(root, sorted(names), classes))
        for name in sorted(names):
            files, hidden_here = _files_below(names[name])
            found.hidden += hidden_here
            if not files:
                found.empty.append(name)
            found.paths += [f"{name}/{file}" for file in files]
            found.folders += [name] * len(files)
        if not any(name in found.match.labels for name in found.folders):
            raise UserError(
                f"{root}: the class folders hold no pictures.",
                "Put at least one picture into each class folder.",
            )
        order = sorted(range(len(found.paths)), key=found.paths.__getitem__)
        found.paths = [found.paths[i] for i in order]
        found.folders = [found.folders[i] for i in order]
        found.items = [os.path.join(root, path_from_text(path)) for path in found.paths]  # noqa: PTH118  bytes-safe
        return found

    def notes(self) -> list[str]:
        """One sentence for each thing about the pictures that a reader of the scores should know."""
        match, sentences, noun = self.match, list(self.said), self.noun
        if match.mapped:
            pairs = [f"{folder} as {name}" for folder, name in match.mapped.items()]
            sentences.append(f"By the map: {listed(pairs)}.")
        if match.dropped:
            sentences.append(f"By the map left out: {listed(match.dropped)}.")
        for folder, name in match.respelled.items():
            sentences.append(
                f"{noun.capitalize()} '{folder}' is taken for class '{name}': the names differ in spelling alone."
            )
        sentences += [
            f"{noun.capitalize()} '{folder}' resembles a class in all but its case, but another {noun} or class does too: "
            "it is not scored. Rename it to the class that is meant."
            for folder in match.ambiguous
        ]
        plain = [name for name in match.unknown if name not in match.ambiguous and name not in match.dropped]
        if plain:
            count = sum(folder in set(plain) for folder in self.folders)
            sentences.append(
                f"{counted(len(plain), f'{noun} is', f'{noun}s are')} no class of these weights: {listed(plain)}. "
                f"{counted(count, 'file there is', 'files there are')} not scored.{_closest(plain, match.missing)}"
            )
        if match.missing:
            sentences.append(
                f"{counted(len(match.missing), 'class has', 'classes have')} no {noun}: {listed(match.missing)}."
            )
        if self.empty:
            sentences.append(
                f"{counted(len(self.empty), 'folder is', 'folders are')} empty: {listed(self.empty)}."
            )
        if self.loose:
            sentences.append(
                f"{counted(self.loose, 'file lies', 'files lie')} outside the class folders: not scored."
            )
        if self.hidden:
            sentences.append(
                f"{counted(self.hidden, 'hidden file or folder was', 'hidden files or folders were')} left out."
            )
        return sentences


def _known(root: Path) -> Source | None:
    """The test part of a curate workspace, or of a data set in a known layout; None where `root` is neither."""
    workspace = Workspace.find(root)
    if workspace is not None and workspace.path == root.absolute():
        return test_part(workspace)
    return read_known(root, "test")


def _held_back_beside(root: Path) -> list[str]:
    """That a workspace beside the folder `root` holds back a test part, where it does."""
    workspace = Workspace.find(root)
    try:
        count = held_back(workspace) if workspace is not None else 0
    except (UserError, ValueError, KeyError, OSError):
        count = 0  # a hint: a damaged table, or one of another version, must not keep anybody from judging
    if workspace is None or not count:
        return []
    return [
        f"All of {root} is judged, what was trained on too. curate held back {counted(count, 'picture', 'pictures')} "
        f"for testing: to judge on that give {workspace.path} instead of the folder."
    ]


def _class_folders(root: Path) -> tuple[dict[str, Path], int, int]:
    """The folders right below `root` by name (text form), the number of files there, and of hidden entries."""
    if not root.is_dir():
        raise UserError(
            f"{root}: is a file, not a folder.",
            "Give the folder that holds the class folders, or a .csv or .parquet file.",
        )
    names: dict[str, Path] = {}
    loose = hidden = 0
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except PermissionError as error:
        raise UserError(
            f"{root}: may not be read ({error.strerror}).", "Give a folder that you may read."
        ) from error
    for entry in entries:
        if entry.name.startswith("."):
            hidden += 1
        elif entry.is_dir():
            names[path_to_text(entry.name)] = Path(entry.path)
        else:
            loose += 1
    return names, loose, hidden


def _files_below(folder: Path) -> tuple[list[str], int]:
    """All files below `folder`, relative to it, in text form and sorted, and the number of hidden entries.

    Links to files are followed; links to folders are not, for they may lead in a circle.
    """
    files: list[str] = []
    hidden = 0

    for place, inner, names in os.walk(folder, onerror=may_not_be_read):
        hidden += sum(name.startswith(".") for name in (*inner, *names))
        inner[:] = [name for name in inner if not name.startswith(".")]
        below = Path(place).relative_to(folder)
        files += [path_to_text((below / name).as_posix()) for name in names if not name.startswith(".")]
    return sorted(files), hidden


def _no_match(root: Path, folders: list[str], classes: Sequence[str]) -> tuple[str, str]:
    """What to say where no folder is a class: both sides, and the folder that was perhaps meant."""
    message = (
        f"{root}: none of its folders is a class of the weights. "
        f"Its folders: {listed(folders)}. The weights' classes: {listed(sorted(classes))}."
    )
    for name in sorted(folders, key=lambda name: part_of(name) == "train"):
        try:
            inside = list(_class_folders(root / name)[0])
        except (UserError, OSError):
            continue
        if match_classes(inside, classes).labels:
            return message, f"Did you mean {root / name}? Its folders bear the classes' names."
    return message, (
        "Name the folders after the classes, say with --classes MAP.csv which is which, or give the weights that belong to them."
    )


def _listed_pictures(root: Path, labels: Path) -> Source:
    """The pictures of the folder `root` that the CSV file `labels` names, and a word on those that it does not."""
    if not root.is_dir():
        raise UserError(
            f"{root}: is a file, not a folder.", "With --labels, give the folder of the pictures."
        )
    source = read_csv(labels, "test", root)
    if source is None:
        raise UserError(
            f"{labels}: is no CSV file." if labels.exists() else f"{labels}: there is no such file.",
            "Give a file whose first line is `path,label`, with paths below the folder.",
        )
    named = {os.path.normpath(path) for path in source.paths}
    others = sum(os.path.normpath(file) not in named for file in _files_below(root)[0])
    if others:
        source.notes.append(
            f"{counted(others, 'file', 'files')} of {root} {'has' if others == 1 else 'have'} no line in {labels.name}: not scored."
        )
    return source


def _closest(unknown: Sequence[str], missing: Sequence[str]) -> str:
    """A hint for a folder whose name is nearly that of a class that has none."""
    for name in unknown:
        near = difflib.get_close_matches(name, missing, n=1, cutoff=0.75)
        if near:
            return f" If '{name}' is meant to be '{near[0]}', rename it."
    return ""
