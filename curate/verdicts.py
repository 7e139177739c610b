"""What people decided, kept by content: it outlives renames, moves, rescans and every stage's tables.

A verdict on a pair of pictures is `same` or `different`, one on a single picture `photo` or `drawing`. The latest word
counts. Nothing here is derived, so no stage writes this table; `curate verdict` and `record` do, with the workspace locked.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import UserError
from curate.tables import VERDICTS, path_to_text

if TYPE_CHECKING:
    import pandas as pd

    from curate.workspace import Workspace

PAIR_VERDICTS = ("same", "different")
PICTURE_VERDICTS = ("photo", "drawing")

Said = tuple[str, str, str]
"""Path of a file, path of another (empty where the verdict is on the first alone), and the verdict."""


def read_verdicts(workspace: Workspace) -> pd.DataFrame:
    """The table `verdicts`; empty where nobody has said anything yet."""
    return workspace.read("verdicts") if workspace.has("verdicts") else VERDICTS.empty()


def record(workspace: Workspace, said: Iterable[Said]) -> pd.DataFrame:
    """Add verdicts on files of the scanned folder, or pairs of them; returns the table. All are taken, or none.

    Paths are below the folder, absolute, or relative to where the command runs. Raises UserError for a file that the
    scan does not know, one that cannot be read, two files of the same bytes, and an unknown verdict.
    """
    import pandas as pd

    table = workspace.read("files")
    files = dict(zip(table["path"], table["content"], strict=True))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rows = []
    for one, other, verdict in said:
        known, what = (PAIR_VERDICTS, "two pictures") if other else (PICTURE_VERDICTS, "one picture")
        if verdict not in known:
            raise UserError(
                f"'{verdict}' is no verdict on {what}.",
                f"Say {' or '.join(known)}"
                + ("." if other else f"; of two pictures: A B {' or '.join(PAIR_VERDICTS)}."),
            )
        if not other:
            path = _listed(workspace, files, one)
            rows.append((files[path], "", verdict, path, "", now))
            continue
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
    together = together.drop_duplicates(["content", "other"], keep="last", ignore_index=True)
    workspace.write("verdicts", together)
    return together


def _listed(workspace: Workspace, files: dict[str, str], given: str) -> str:
    """The path of the table `files` that a person means. Raises UserError where there is none."""
    here = Path(given)
    for file in (workspace.root / here, here.absolute()):
        path = path_to_text(os.path.relpath(file, workspace.root)).replace(os.sep, "/")
        if path in files:
            if not files[path]:
                raise UserError(
                    f"{given}: cannot be read, so there is no picture to decide on.", "Give another file."
                )
            return path
    import difflib

    close = difflib.get_close_matches(given, list(files), n=1)
    raise UserError(
        f"{given}: the scan of {workspace.root} knows no such picture{f'; do you mean {close[0]}?' if close else '.'}",
        f"Give a path below {workspace.root}; after changes there run `curate scan {workspace.root}` first.",
    )


def read_said(file: Path) -> list[Said]:
    """Verdicts from a CSV file with the columns a, b and verdict (paths and `same` or `different`; or b empty and `photo`
    or `drawing`).

    Raises UserError where it cannot be read or has other columns.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in ("a", "b", "verdict") if name not in (reader.fieldnames or [])]
            if missing:
                raise UserError(
                    f"{file}: has no column {' and no column '.join(missing)}.",
                    "Its first line must name the columns a, b and verdict.",
                )
            return [(row["a"] or "", row["b"] or "", (row["verdict"] or "").strip()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{file}: cannot be read ({reason}).", "Give a CSV file in UTF-8.") from error
