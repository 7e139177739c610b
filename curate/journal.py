"""Carrying the plan out, and taking it back: the only code that touches the user's files.

What holds at every instruction, and the format of the journal, are in docs/journal.md. In short: an intention is on
disk before the file moves; a name that exists is never overwritten; what a killed run left is told from where the
file is found, at its old place, in quarantine, or at both.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import cleantree, moving, preflight
from curate.engine import Progress, silent
from curate.errors import Refused, UserError
from curate.ledger import Journal, Move
from curate.outcomes import ApplyResult, Skipped, State, UndoResult, count_files, name_some
from curate.paths import path_from_text, path_to_text
from curate.workspace import Workspace, sync_folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ApplyResult", "Skipped", "State", "UndoResult", "apply", "state", "undo"]

_BATCH = 64
"""Files whose intentions are flushed to disk together."""


def apply(
    workspace: Workspace,
    *,
    copy_to: str | Path | None = None,
    link_to: str | Path | None = None,
    size: int | None = None,
    fit: str = "pad",
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> ApplyResult:
    """Carry the plan out: what is to go moves to `WORKSPACE/quarantine`, under its path below the root.

    With `copy_to` or `link_to` the folder is left alone, and what is kept is copied or linked to that place; `size`
    (pixels) brings copies to `size` x `size` by `fit` (pad, crop or stretch), as PNG; `workers` are processes that copy.

    Raises Refused, before anything is moved, where the plan is older than the tables it rests on, where pictures came
    into the folder since, or where the file kept for a duplicate is gone, unreadable or changed; UserError for a folder that cannot be written, a full disk, or
    options that do not go together.
    """
    cleantree.check_options(copy_to, link_to, size, fit)
    plan = workspace.read("plan")
    preflight.check_fresh(workspace)
    preflight.check_nothing_new(workspace, plan)
    out = copy_to if copy_to is not None else link_to
    if out is not None:
        how = "copy" if copy_to is not None else "link"
        kept = plan[(plan["action"] != "remove") & (plan["stage"] != "scan")]
        target = cleantree.build(
            workspace.root,
            kept,
            Path(out),
            how,
            size=size,
            fit=fit,
            dry_run=dry_run,
            workers=workers,
            progress=progress,
        )
        return ApplyResult(how, str(target), len(kept), int(kept["size"].sum()), dry_run=dry_run)
    journal = Journal.read(workspace)
    if dry_run:
        todo, already, skipped = _sort_out(journal, plan)
        preflight.check_keepers(workspace, plan, todo)
        return _applied(workspace, todo, already, skipped, dry_run=True)
    with _explained(workspace, "apply"), journal.writing():
        journal.settle()
        todo, already, skipped = _sort_out(journal, plan)
        preflight.check_keepers(workspace, plan, todo)
        preflight.check_writable(workspace, todo)
        if todo:
            moved, late = _quarantine(journal, todo, progress)
            return _applied(workspace, moved, already, skipped + late)
    return _applied(workspace, todo, already, skipped)


def undo(workspace: Workspace, *, dry_run: bool = False, progress: Progress = silent) -> UndoResult:
    """Put everything that is in quarantine back: names, bytes, times and permissions as they were.

    Nothing is overwritten. Raises Refused, when all else is done, where another file stands at an old place; the
    quarantined one then stays where it is. Raises UserError for a folder that cannot be written, or a full disk.
    """
    journal = Journal.read(workspace)
    if dry_run:
        with _explained(workspace, "undo"):
            found = journal.there()
        return UndoResult(len(found), sum(move.size for move in found), dry_run=True)
    if not journal.folders and not any(move.open or move.lost for move in journal.moves.values()):
        return UndoResult(0, 0)
    with _explained(workspace, "undo"), journal.writing():
        before = {move.id for move in journal.moves.values() if move.open or move.lost}
        journal.settle()
        blocked, missing = _restore(journal, progress)
        _restore_folder_times(journal)
        for top in workspace.path.glob("quarantine*"):
            moving.prune(top)
        journal.write([{"event": "undone", "time": _now()}])
    back = [
        journal.moves[number] for number in before if journal.moves[number].state in ("restored", "dropped")
    ]
    result = UndoResult(len(back), sum(move.size for move in back), missing)
    if blocked:
        words = name_some([f"{s.path} {s.reason}" for s in blocked])
        raise Refused(
            f"{count_files(len(back))} put back; {len(blocked):,} could not be, and stay in {workspace.path}: {words}.",
            f"Move what is in the way elsewhere, then run `curate undo {workspace.root}` again.",
        )
    return result


def state(workspace: Workspace) -> State:
    """What is in quarantine now; changes nothing."""
    journal = Journal.read(workspace)
    with _explained(workspace, "status"):
        there = journal.there()
    pending = sum(move.pending for move in journal.moves.values())
    return State(len(there), sum(move.size for move in there), pending)


def _sort_out(journal: Journal, plan: pd.DataFrame) -> tuple[list[Any], int, list[Skipped]]:
    """The plan's rows to move; the number of those moved before; those to be left alone, with the reason."""
    root = journal.workspace.root
    inside = {move.path for move in journal.moves.values() if move.open}
    kept = [moving.place(root, path) for path in plan.loc[plan["action"] != "remove", "path"]]
    needed = moving.entries_needed(kept)
    todo: list[Any] = []
    skipped: list[Skipped] = []
    already = 0
    rows: Iterable[Any] = plan[plan["action"] == "remove"].itertuples(index=False)
    for row in rows:
        path = moving.place(root, row.path)
        reason = moving.why_changed(path, row.size, row.mtime_ns)
        if row.path in inside and not os.path.lexists(path):
            already += 1
        elif reason:
            skipped.append(Skipped(row.path, reason))
        elif moving.entry(path) in needed:
            skipped.append(Skipped(row.path, "is what a link that is kept leads to"))
        else:
            todo.append(row)
    return todo, already, skipped


@contextlib.contextmanager
def _explained(workspace: Workspace, command: str) -> Iterator[None]:
    """Turn what the system refuses into an error that says what to do. The journal already knows what was done."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        what = "the disk is full" if full else error.strerror or str(error)
        name = error.filename2 or error.filename or workspace.path
        mend = "Make room" if full else "Mend that"
        back = f", or `curate undo {workspace.root}`" if command == "apply" else ""
        raise UserError(
            f"{os.fsdecode(name)}: stopped: {what}. Each file is whole, at its old place or in quarantine.",
            f"{mend}, then run `curate {command} {workspace.root}` again{back}.",
        ) from error


# Moving ----------------------------------------------------------------------------------------------------------


def _quarantine(journal: Journal, todo: Sequence[Any], progress: Progress) -> tuple[list[Any], list[Skipped]]:
    """Move files, a batch at a time; returns the rows moved, and those that changed at the last moment."""
    root = journal.workspace.root
    keepers = {row.other: moving.place(root, row.other) for row in todo if row.other}
    marks = {keeper: moving.mark(path) for keeper, path in keepers.items()}
    folders = sorted({os.path.dirname(row.path) for row in todo})
    records = [moving.folder_record(moving.place(root, folder)) for folder in folders]
    begin = {
        "event": "begin",
        "version": 1,
        "time": _now(),
        "root": path_to_text(str(root)),
        "files": len(todo),
    }
    known = [
        {"event": "folder", "path": folder} | record for folder, record in zip(folders, records, strict=True)
    ]
    journal.write([begin, *known, *_joined(journal.workspace, todo)])
    done: list[Any] = []
    late: list[Skipped] = []
    progress(0, len(todo))
    for start in range(0, len(todo), _BATCH):
        batch: dict[int, Any] = {}
        first = journal.next_id()
        for row in todo[start : start + _BATCH]:
            reason = moving.why_changed(moving.place(root, row.path), row.size, row.mtime_ns)
            if row.other and moving.mark(keepers[row.other]) != marks[row.other]:
                reason = f"stays: {row.other}, which is kept for it, changed at this moment"
            if reason:
                late.append(Skipped(row.path, reason))
            else:
                batch[first + len(batch)] = row
        journal.write([_intention(journal.workspace, number, row) for number, row in batch.items()])
        taken = _move_batch(journal, [journal.moves[number] for number in batch], back=False)
        late += [Skipped(batch[number].path, "stays: its place in quarantine is taken") for number in taken]
        done += [row for number, row in batch.items() if number not in taken]
        progress(min(start + _BATCH, len(todo)), len(todo))
    journal.write([{"event": "applied", "time": _now()}])
    return done, late


def _joined(workspace: Workspace, todo: Sequence[Any]) -> list[dict[str, Any]]:
    """Records of the contents that stay, and that the split keeps on one side by way of a picture that goes."""
    if not workspace.has("splits"):
        return []
    splits = workspace.read("splits")
    going = splits["path"].isin([row.path for row in todo])
    staying = splits[splits["group"].isin(splits.loc[going, "group"]) & ~going & (splits["content"] != "")]
    sets = [sorted(set(contents)) for _, contents in staying.groupby("group")["content"]]
    return [{"event": "joined", "contents": contents} for contents in sets if len(contents) > 1]


def _intention(workspace: Workspace, number: int, row: Any) -> dict[str, Any]:
    """The journal's record of a move that is about to be made."""
    found = os.lstat(moving.place(workspace.root, row.path))
    return {
        "event": "move",
        "id": number,
        "path": row.path,
        "to": _free_place(workspace, row.path),
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "mode": stat.S_IMODE(found.st_mode),
        "content": row.content,
        "stage": row.stage,
        "reason": row.reason,
    }


def _free_place(workspace: Workspace, path: str) -> str:
    """`quarantine/PATH`, or where an earlier apply put something there, `quarantine-2/PATH` and so on."""
    number = 1
    while True:
        top = "quarantine" if number == 1 else f"quarantine-{number}"
        place = workspace.path / top / path_from_text(path)
        above = place.parents[: len(place.parts) - len(workspace.path.parts) - 1]
        if not os.path.lexists(place) and all(
            folder.is_dir() or not os.path.lexists(folder) for folder in above
        ):
            return f"{top}/{path}"
        number += 1


def _move_batch(journal: Journal, moves: Sequence[Move], *, back: bool) -> set[int]:
    """Move files whose intentions are on disk; returns the ids of those that found their new name taken."""
    taken = set()
    folders = set()
    for move in moves:
        old, new = journal.places(move)
        source, target = (new, old) if back else (old, new)
        try:
            _make_folder(journal, os.path.dirname(move.path) if back else "", os.path.dirname(target))
            moving.move(source, target, move.id, move.mode, move.mtime_ns)
        except (FileExistsError, NotADirectoryError):
            taken.add(move.id)
        else:
            folders |= {os.path.dirname(source), os.path.dirname(target)}
    for folder in sorted(folders):
        sync_folder(Path(folder))
    ends = ("moved", "restored") if back else ("dropped", "moved")
    journal.write([{"event": ends[move.id not in taken], "id": move.id} for move in moves])
    return taken


def _make_folder(journal: Journal, path: str, folder: str) -> None:
    """Make a folder if it is gone; one of the user's gets the permissions that it had."""
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
        if path in journal.folders:
            os.chmod(folder, journal.folders[path]["mode"])


def _restore(journal: Journal, progress: Progress) -> tuple[list[Skipped], tuple[str, ...]]:
    """Put files back, the last moved first; returns those that were blocked and those that are missing."""
    todo = journal.there()
    found = {move.id for move in todo}
    missing = [move for move in journal.moves.values() if move.open and move.id not in found]
    journal.write([{"event": "gone", "id": move.id} for move in missing])
    blocked: list[Skipped] = []
    progress(0, len(todo))
    for start in range(0, len(todo), _BATCH):
        batch = todo[start : start + _BATCH]
        journal.write([{"event": "restore", "id": move.id} for move in batch])
        taken = _move_batch(journal, batch, back=True)
        blocked += [
            Skipped(move.path, "has another file at its old place") for move in batch if move.id in taken
        ]
        progress(start + len(batch), len(todo))
    return blocked, tuple(move.path for move in missing)


def _restore_folder_times(journal: Journal) -> None:
    """Give folders that hold the same names as before the apply the time that they had."""
    busy = Counter(os.path.dirname(move.path) for move in journal.moves.values() if move.open)
    for path, record in journal.folders.items():
        place = moving.place(journal.workspace.root, path)
        if (
            not busy[path]
            and os.path.isdir(place)
            and moving.folder_record(place)["names"] == record["names"]
        ):
            with contextlib.suppress(PermissionError):
                os.utime(place, ns=(os.stat(place).st_atime_ns, record["mtime_ns"]))


def _applied(
    workspace: Workspace,
    rows: Sequence[Any],
    already: int,
    skipped: Sequence[Skipped],
    *,
    dry_run: bool = False,
) -> ApplyResult:
    """The result of moving rows of the plan."""
    size = sum(row.size for row in rows)
    place = str(workspace.path / "quarantine")
    return ApplyResult("quarantine", place, len(rows), size, already, tuple(skipped), dry_run)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
