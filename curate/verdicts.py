"""What people decided, kept by content: it outlives renames, moves, rescans and every stage's tables.

A verdict on a pair of pictures is `same` or `different`. One on a single picture says what it is, `photo` or `drawing`, or
where it belongs: `label:CLASS`, or `no-class`. Of each kind the latest word counts. Nothing here is derived, so no stage
writes this table; `curate verdict` and `record` do, with the workspace locked.
"""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import UserError
from curate.paths import path_to_text
from curate.tables import VERDICTS

if TYPE_CHECKING:
    import pandas as pd

    from curate.workspace import Workspace

PAIR_VERDICTS = ("same", "different")
PICTURE_VERDICTS = ("photo", "drawing")

LABEL = "label:"
"""A verdict of this and a class's name says that the picture belongs to that class."""

NO_CLASS = "no-class"
"""The picture belongs to none of the classes."""

OK = "ok"
"""What people may say instead of `label:CLASS` where the class is that of the file's own folder."""

TAKE = "take"
"""What they may say in a CSV file with a column `suggested`, instead of `label:` and the class that stands there."""

Said = tuple[str, str, str]
"""Path of a file, path of another (empty where the verdict is on the first alone), and the verdict."""


def read_verdicts(workspace: Workspace) -> pd.DataFrame:
    """The table `verdicts`; empty where nobody has said anything yet.

    Raises UserError where it is there and cannot be read: what people said is not made anew.
    """
    if workspace.has("verdicts"):
        return workspace.read("verdicts")
    file = workspace.path / "verdicts.parquet"
    if file.exists():
        raise UserError(
            f"{file}: what people said cannot be read: it is damaged, or of another version.",
            "Put a copy of it back, or move it elsewhere to go on without.",
        )
    return VERDICTS.empty()


def record(workspace: Workspace, said: Iterable[Said]) -> pd.DataFrame:
    """Add verdicts on files of the scanned folder, or pairs of them; returns the table. All are taken, or none.

    Paths are below the folder, absolute, or relative to where the command runs. Raises UserError for a file that the
    scan does not know, one that cannot be read, two files of the same bytes, an unknown verdict, and an unknown class.
    """
    import pandas as pd

    table = workspace.read("files")
    files = dict(zip(table["path"], table["content"], strict=True))
    labels = dict(zip(table["path"], table["label"], strict=True))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rows = []
    for one, other, verdict in said:
        if not other:
            path = _listed(workspace, files, one)
            rows.append((files[path], "", _on_one(verdict, path, labels), path, "", now))
            continue
        if verdict not in PAIR_VERDICTS:
            raise UserError(
                f"'{verdict}' is no verdict on two pictures.", f"Say {' or '.join(PAIR_VERDICTS)}."
            )
        paths = [_listed(workspace, files, path) for path in (one, other)]
        (content, path), (its_content, its_path) = sorted((files[path], path) for path in paths)
        if content == its_content:
            raise UserError(
                f"{path} and {its_path} hold the same bytes: there is nothing to decide.",
                "Give two files of different bytes.",
            )
        rows.append((content, its_content, verdict, path, its_path, now))
    fresh = pd.DataFrame(rows, columns=list(VERDICTS.columns))
    frames = [frame for frame in (read_verdicts(workspace), fresh) if len(frame)]
    together = pd.concat(frames, ignore_index=True) if frames else VERDICTS.empty()
    kind = together["verdict"].isin(PICTURE_VERDICTS)
    latest = ~together.assign(kind=kind).duplicated(["content", "other", "kind"], keep="last")
    together = together[latest].reset_index(drop=True)
    workspace.write("verdicts", together)
    return together


def _on_one(verdict: str, path: str, labels: Mapping[str, str]) -> str:
    """A verdict on one picture as it is kept; `labels` are the class folders by path. Raises UserError for no verdict."""
    if verdict in (*PICTURE_VERDICTS, NO_CLASS):
        return verdict
    classes = sorted({label for label in labels.values() if label})
    if verdict == OK and labels[path]:
        return LABEL + labels[path]
    if verdict == OK:
        raise UserError(
            f"{path}: lies in no class folder, so there is no label that could be right.",
            f"Say {LABEL}CLASS, or {NO_CLASS}.",
        )
    name = verdict.removeprefix(LABEL).strip()
    if not verdict.startswith(LABEL):
        raise UserError(
            f"'{verdict}' is no verdict on one picture.",
            f"Say {' or '.join(PICTURE_VERDICTS)}, {OK} (its label is right), {LABEL}CLASS or {NO_CLASS}; of two pictures: "
            f"A B {' or '.join(PAIR_VERDICTS)}.",
        )
    if name not in classes:
        close = difflib.get_close_matches(name, classes, n=1)
        raise UserError(
            f"{verdict}: there is no class '{name}'{f'; do you mean {close[0]}?' if close else '.'}",
            f"Its classes: {', '.join(classes) or 'none'}. For a new one make its folder, with a picture, and scan.",
        )
    return LABEL + name


def labels_said(verdicts: pd.DataFrame) -> dict[str, str]:
    """Content -> the class that a person gave the picture, "" for none, from the table `verdicts`."""
    single = verdicts[verdicts["other"] == ""]
    return {
        content: "" if verdict == NO_CLASS else verdict.removeprefix(LABEL)
        for content, verdict in zip(single["content"], single["verdict"], strict=True)
        if verdict == NO_CLASS or verdict.startswith(LABEL)
    }


def relabelled(files: pd.DataFrame, said: Mapping[str, str]) -> pd.DataFrame:
    """Rows with the columns content and label, labelled as people said (`labels_said`); what has no class stays as it is."""
    given = files["content"].map({content: label for content, label in said.items() if label})
    return files.assign(label=given.where(given.notna(), files["label"]))


def _listed(workspace: Workspace, files: dict[str, str], given: str) -> str:
    """The path of the table `files` that a person, or a table of ours, means. Raises UserError where there is none."""
    here = Path(given)
    places = [
        path_to_text(os.path.relpath(file, workspace.root)).replace(os.sep, "/")
        for file in (workspace.root / here, here.absolute())
    ]
    for path in (*places, given):
        if path in files:
            if not files[path]:
                raise UserError(
                    f"{given}: cannot be read, so there is no picture to decide on.", "Give another file."
                )
            return path
    close = difflib.get_close_matches(given, list(files), n=1)
    raise UserError(
        f"{given}: the scan of {workspace.root} knows no such picture{f'; do you mean {close[0]}?' if close else '.'}",
        f"Give a path below {workspace.root}; after changes there run `curate scan {workspace.root}` first.",
    )


def read_said(file: Path) -> list[Said]:
    """Verdicts from a CSV file with the columns a, b and verdict, or path and verdict where all are on single pictures.

    A line whose verdict is empty says nothing: nobody has decided yet. `take` stands for the class in the column
    `suggested`. Raises UserError where it cannot be read or has other columns.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            single = "path" in columns and "a" not in columns
            missing = [name for name in (("path",) if single else ("a", "b")) if name not in columns]
            missing += [] if "verdict" in columns else ["verdict"]
            if missing:
                raise UserError(
                    f"{file}: has no column {' and no column '.join(missing)}.",
                    "Its first line must name the columns a, b and verdict, or path and verdict.",
                )
            return [said for row in reader if (said := _said(row, single, file, reader.line_num))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{file}: cannot be read ({reason}).", "Give a CSV file in UTF-8.") from error


def _said(row: Mapping[str, str | None], single: bool, file: Path, line: int) -> Said | None:
    """What a line of the file says; None where its verdict is empty. Raises UserError for `take` without a suggestion."""
    verdict = (row["verdict"] or "").strip()
    if verdict == TAKE:
        suggested = (row.get("suggested") or "").strip()
        if not suggested:
            raise UserError(
                f"{file}, line {line}: nothing is suggested that could be taken.",
                f"Say {LABEL}CLASS, or fill the column suggested.",
            )
        verdict = LABEL + suggested
    if not verdict:
        return None
    return (row["path"] or "", "", verdict) if single else (row["a"] or "", row["b"] or "", verdict)
