"""Apply and undo. The invariants tested here are those of docs/journal.md.

Run as a script, this file is the driver of the kill tests: it forks a process for each step at which to kill.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import linecache
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate import cleantree, journal, ledger, moving
from curate.errors import Refused, UserError
from curate.paths import path_to_text
from curate.tables import PLAN
from curate.workspace import Workspace

# A folder and its plan ---------------------------------------------------------------------------------------------

FILES = {  # path: (bytes, permissions, what the plan says)
    b"cat/keep.png": (b"the picture", 0o644, ("keep", "", "")),
    b"cat/copy.png": (b"the picture", 0o600, ("remove", "dedup", "cat/keep.png")),
    b"cat/sub folder/\xc3\xa9.png": (b"the picture, near", 0o444, ("remove", "dedup", "cat/keep.png")),
    b"dog/photo.jpg": (b"p" * 3000, 0o640, ("remove", "filter-photos", "")),
    b"dog/\xff\xfe.png": (b"no UTF-8", 0o644, ("remove", "filter-photos", "")),
    b"dog/unsure.png": (b"hmm", 0o644, ("review", "filter-photos", "")),
    b"emu/only.png": (b"cut", 0o644, ("remove", "scan", "")),
    b"flat.png": (b"", 0o644, ("remove", "scan", "")),
}
LINK = b"dog/link.png"
REMOVED = sum(plan[0] == "remove" for _, _, plan in FILES.values()) + 1


def make_folder(root: Path, files: dict[bytes, Any] = FILES) -> None:
    """The folder of `files` and one symbolic link, with odd times."""
    for number, (name, (data, mode, _)) in enumerate(files.items()):
        path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        os.utime(path, ns=(10**18 + number, 10**18 + 123_456_789 * (number + 1)))
    link = root / os.fsdecode(LINK)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("../cat/keep.png")
    os.utime(link, ns=(10**18, 10**18 + 77), follow_symlinks=False)
    (root / "cat" / "sub folder").chmod(0o750)
    for number, folder in enumerate(
        sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True)
    ):
        os.utime(folder, ns=(10**18, 10**18 + 555 + number))


def make_plan(root: Path, files: dict[bytes, Any] = FILES) -> pd.DataFrame:
    """The plan of `files`, as a scan of `root` would have it."""
    rows = []
    for name, (_, _, (action, stage, other)) in [
        *files.items(),
        (LINK, (b"", 0, ("remove", "dedup", "cat/keep.png"))),
    ]:
        path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
        found, text = path.stat(), path_to_text(name)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        label = text.split("/")[0] if "/" in text else ""
        rows.append(
            (text, content, found.st_size, found.st_mtime_ns, label, action, stage, "because", 1.0, other)
        )
    return pd.DataFrame(rows, columns=list(PLAN.columns))


def snapshot(root: Path) -> dict[bytes, Any]:
    """All that undo promises to restore: names, bytes or link targets, times in nanoseconds, permissions."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in [*folders, *files, b"."]:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            if stat.S_ISLNK(about.st_mode):
                inside = os.readlink(path)
            else:
                inside = b"" if stat.S_ISDIR(about.st_mode) else Path(os.fsdecode(path)).read_bytes()
            found[os.path.relpath(path, os.fsencode(root))] = (inside, about.st_mtime_ns, about.st_mode)
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    make_folder(tmp_path / "set")
    made = Workspace.open(tmp_path / "set")
    made.write("plan", make_plan(made.root))
    return made


def quarantined(workspace: Workspace) -> set[bytes]:
    """What is in quarantine, as paths below the root."""
    top = os.fsencode(workspace.path / "quarantine")
    return {
        os.path.relpath(os.path.join(folder, name), top)
        for folder, _, files in os.walk(top)
        for name in files
    }


def replan(workspace: Workspace, **changes: Any) -> None:
    """Store the plan with another row for `path`: the keywords are columns."""
    plan = workspace.read("plan")
    row = plan.path == changes.pop("path")
    for name, value in changes.items():
        plan.loc[row, name] = value
    workspace.write("plan", plan)


# Apply -------------------------------------------------------------------------------------------------------------


def test_apply_moves_what_the_plan_removes_and_nothing_else(workspace: Workspace) -> None:
    before = snapshot(workspace.root)
    result = journal.apply(workspace)
    assert result.files == REMOVED
    assert not result.skipped
    gone = {name for name, (_, _, plan) in FILES.items() if plan[0] == "remove"} | {LINK}
    after = snapshot(workspace.root)
    assert {name for name in before if name not in after} == gone
    assert quarantined(workspace) == gone
    assert (workspace.root / "emu").is_dir()
    assert str(workspace.path / "quarantine") in result.sentence


def test_in_quarantine_a_file_keeps_bytes_times_and_permissions(workspace: Workspace) -> None:
    before = snapshot(workspace.root)[b"dog/photo.jpg"]
    journal.apply(workspace)
    assert snapshot(workspace.path / "quarantine")[b"dog/photo.jpg"] == before


def test_undo_restores_everything(workspace: Workspace) -> None:
    before = snapshot(workspace.root)
    journal.apply(workspace)
    result = journal.undo(workspace)
    assert snapshot(workspace.root) == before
    assert result.files == REMOVED
    assert not list(workspace.path.glob("quarantine*"))


def test_undo_of_nothing(workspace: Workspace) -> None:
    assert "nothing to undo" in journal.undo(workspace).sentence
    journal.apply(workspace)
    journal.undo(workspace)
    assert "nothing to undo" in journal.undo(workspace).sentence


def test_apply_and_undo_again_and_again(workspace: Workspace) -> None:
    before = snapshot(workspace.root)
    for _ in range(3):
        assert journal.apply(workspace).files == REMOVED
        again = journal.apply(workspace)
        assert (again.files, again.already) == (0, REMOVED)
        journal.undo(workspace)
        assert snapshot(workspace.root) == before


def test_what_was_one_picture_by_way_of_what_goes_is_written_down(workspace: Workspace) -> None:
    names = ["cat/keep.png", "cat/copy.png", "dog/unsure.png", "dog/photo.jpg", "flat.png"]
    plan = workspace.read("plan").set_index("path")
    rows = [
        {
            "path": name,
            "content": plan.content[name],
            "label": "",
            "split": "train",
            "group": group,
            "reason": "",
        }
        for name, group in zip(names, [0, 0, 0, 1, 2], strict=True)
    ]
    workspace.write("splits", pd.DataFrame(rows))
    journal.apply(workspace)
    expected = sorted({plan.content["cat/keep.png"], plan.content["dog/unsure.png"]})
    assert ledger.Journal.read(workspace).joined == [expected]
    journal.undo(workspace)
    assert ledger.Journal.read(workspace).joined == []


def test_a_dry_run_changes_nothing(workspace: Workspace) -> None:
    before = snapshot(workspace.root.parent)
    result = journal.apply(workspace, dry_run=True)
    assert result.files == REMOVED
    assert "would be moved" in result.sentence
    assert snapshot(workspace.root.parent) == before
    journal.apply(workspace)
    before = snapshot(workspace.root.parent)
    assert journal.undo(workspace, dry_run=True).files == REMOVED
    assert snapshot(workspace.root.parent) == before


def test_the_intention_is_flushed_before_a_file_moves(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(source: str, target: str, **how: Any) -> None:
        name = path_to_text(os.path.relpath(source, workspace.root))
        records = [json.loads(line) for line in (workspace.path / ledger.NAME).read_text().splitlines()]
        assert name in [record["path"] for record in records if record["event"] == "move"]
        real(source, target, **how)

    monkeypatch.setattr(os, "link", link)
    assert journal.apply(workspace).files == REMOVED


def test_progress_ends_at_the_number_of_files(workspace: Workspace) -> None:
    seen: list[tuple[int, int]] = []
    journal.apply(workspace, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, REMOVED)
    assert seen[-1] == (REMOVED, REMOVED)


def test_state_says_what_is_in_quarantine(workspace: Workspace) -> None:
    assert journal.state(workspace).files == 0
    journal.apply(workspace)
    state = journal.state(workspace)
    assert (state.files, state.unfinished) == (REMOVED, 0)
    assert "curate undo" in state.sentence


def test_more_files_than_a_batch(tmp_path: Path) -> None:
    root = tmp_path / "set" / "cat"
    root.mkdir(parents=True)
    rows = []
    for number in range(150):
        path = root / f"{number}.png"
        path.write_bytes(b"%d" % number)
        about = path.stat()
        rows.append(
            (f"cat/{number}.png", "", about.st_size, about.st_mtime_ns, "cat", "remove", "scan", "", 1.0, "")
        )
    workspace = Workspace.open(tmp_path / "set")
    workspace.write("plan", pd.DataFrame(rows, columns=list(PLAN.columns)))
    before = snapshot(tmp_path / "set")
    assert journal.apply(workspace).files == 150
    assert journal.undo(workspace).files == 150
    assert snapshot(tmp_path / "set") == before


# What apply refuses, and what it leaves alone ----------------------------------------------------------------------


def refuses(workspace: Workspace, message: str) -> None:
    before = snapshot(workspace.root)
    with pytest.raises(Refused, match=message) as caught:
        journal.apply(workspace)
    assert caught.value.exit_code == 4
    assert "curate run" in caught.value.remedy
    assert snapshot(workspace.root) == before
    with pytest.raises(Refused, match=message):
        journal.apply(workspace, dry_run=True)


def test_a_group_whose_keeper_is_gone_is_refused(workspace: Workspace) -> None:
    (workspace.root / os.fsdecode(LINK)).unlink()
    (workspace.root / "cat/keep.png").unlink()
    refuses(
        workspace,
        r"cat/keep.png is gone, and is kept for cat/copy.png, cat/sub folder/é.png.*Nothing was moved",
    )


def test_a_group_whose_keeper_changed_is_refused_even_at_the_same_size_and_time(workspace: Workspace) -> None:
    keeper = workspace.root / "cat/keep.png"
    about = keeper.stat()
    keeper.write_bytes(b"The picture")
    os.utime(keeper, ns=(about.st_atime_ns, about.st_mtime_ns))
    refuses(workspace, "cat/keep.png changed since it was scanned")


def test_a_group_whose_keeper_is_a_folder_now_is_refused(workspace: Workspace) -> None:
    (workspace.root / "cat/keep.png").unlink()
    (workspace.root / "cat/keep.png").mkdir()
    refuses(workspace, "cat/keep.png cannot be read")


def test_a_plan_that_would_remove_the_keeper_too_is_refused(workspace: Workspace) -> None:
    replan(workspace, path="cat/keep.png", action="remove", stage="filter-photos")
    refuses(workspace, "cat/keep.png is not kept by the plan")


def test_a_plan_older_than_its_tables_is_refused(workspace: Workspace) -> None:
    workspace.write("plan", workspace.read("plan"), inputs={"files": "another digest"})
    refuses(workspace, "the plan is older than the table 'files'")


def test_pictures_that_came_since_the_plan_are_not_passed_over(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.root / "cat" / "late.png").write_bytes(b"a new picture")
    before = snapshot(workspace.root)
    with pytest.raises(Refused, match=r"1 picture came since the plan was made \(cat/late.png\)") as error:
        journal.apply(workspace)
    assert "curate run" in error.value.remedy
    with pytest.raises(Refused):
        journal.apply(workspace, copy_to=tmp_path / "clean")
    assert snapshot(workspace.root) == before
    assert not (tmp_path / "clean").exists()


def test_without_a_plan_the_error_names_the_command(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(UserError, match="no table 'plan'") as caught:
        journal.apply(Workspace.open(tmp_path / "set"))
    assert "curate run" in caught.value.remedy


@pytest.mark.parametrize("change", ["bytes", "time", "gone", "folder"])
def test_a_file_that_is_not_what_was_scanned_is_left_alone_and_said(
    workspace: Workspace, change: str
) -> None:
    photo = workspace.root / "dog/photo.jpg"
    if change == "time":
        os.utime(photo, ns=(1, 1))
    else:
        photo.unlink()
        if change == "bytes":
            photo.write_bytes(b"a new picture")
        elif change == "folder":
            photo.mkdir()
    before = snapshot(workspace.root).get(b"dog/photo.jpg")
    result = journal.apply(workspace)
    assert result.files == REMOVED - 1
    assert [skipped.path for skipped in result.skipped] == ["dog/photo.jpg"]
    assert snapshot(workspace.root).get(b"dog/photo.jpg") == before
    assert "1 left alone: dog/photo.jpg" in result.sentence


def test_what_a_kept_link_leads_to_is_left_alone(workspace: Workspace) -> None:
    (workspace.root / "cat/keep.png").unlink()
    (workspace.root / "cat/keep.png").symlink_to(
        "copy.png"
    )  # the same bytes, so the keeper's content still holds
    result = journal.apply(workspace)
    assert ("cat/copy.png", "is what a link that is kept leads to") in [
        (s.path, s.reason) for s in result.skipped
    ]
    assert (workspace.root / "cat/keep.png").read_bytes() == b"the picture"


def test_one_file_under_two_names_through_a_linked_folder_is_left_alone(workspace: Workspace) -> None:
    (workspace.root / "alias").symlink_to("cat")
    plan = workspace.read("plan")
    row = plan[plan.path == "cat/keep.png"].assign(
        path="alias/keep.png", action="remove", stage="dedup", other="cat/keep.png"
    )
    workspace.write("plan", pd.concat([plan, row]))
    result = journal.apply(workspace)
    assert "alias/keep.png" in [skipped.path for skipped in result.skipped]
    assert (workspace.root / "cat/keep.png").exists()


def test_a_keeper_that_changes_while_apply_runs_keeps_its_copies(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = moving.folder_record

    def then_change(folder: str) -> dict[str, Any]:
        (workspace.root / "cat/keep.png").write_bytes(b"changed")
        return real(folder)

    monkeypatch.setattr(moving, "folder_record", then_change)
    result = journal.apply(workspace)
    assert {s.path for s in result.skipped} == {"cat/copy.png", "cat/sub folder/é.png", "dog/link.png"}
    assert (workspace.root / "cat/copy.png").exists()


@contextlib.contextmanager
def unprivileged(*folders: Path) -> Iterator[None]:
    """Run as a user who is bound by permissions, also where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    for top in folders:
        for folder, _, files in os.walk(os.fsencode(top)):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                os.chown(path, 65534, 65534, follow_symlinks=False)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that another user may walk into."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.name == "nt", reason="permissions of folders")
def test_a_read_only_folder_is_an_error_before_anything_moves(open_place: Path) -> None:
    make_folder(open_place / "set")
    workspace = Workspace.open(open_place / "set")
    workspace.write("plan", make_plan(workspace.root))
    (workspace.root / "emu").chmod(0o555)
    before = snapshot(workspace.root)
    with (
        unprivileged(workspace.root, workspace.path),
        pytest.raises(UserError, match="emu: files cannot be moved") as caught,
    ):
        journal.apply(workspace)
    assert "--copy OUT" in caught.value.remedy
    assert snapshot(workspace.root) == before


@pytest.mark.skipif(os.name == "nt", reason="permissions of folders")
def test_undo_into_a_read_only_folder_says_so_and_goes_on_later(open_place: Path) -> None:
    make_folder(open_place / "set")
    workspace = Workspace.open(open_place / "set")
    workspace.write("plan", make_plan(workspace.root))
    before = snapshot(workspace.root)
    with unprivileged(workspace.root, workspace.path):
        journal.apply(workspace)
        (workspace.root / "dog").chmod(0o555)
        with pytest.raises(UserError, match=r"Permission denied.*Each file is whole"):
            journal.undo(workspace)
        (workspace.root / "dog").chmod(stat.S_IMODE(before[b"dog"][2]))
        journal.undo(workspace)
    assert snapshot(workspace.root) == before


# What undo does not do ---------------------------------------------------------------------------------------------


def test_undo_never_overwrites(workspace: Workspace) -> None:
    journal.apply(workspace)
    (workspace.root / "dog/photo.jpg").write_bytes(b"a newer file")
    with pytest.raises(
        Refused, match=r"1 could not be.*dog/photo.jpg has another file at its old place"
    ) as caught:
        journal.undo(workspace)
    assert caught.value.exit_code == 4
    assert (workspace.root / "dog/photo.jpg").read_bytes() == b"a newer file"
    assert quarantined(workspace) == {b"dog/photo.jpg"}
    assert (workspace.root / "emu/only.png").exists()
    (workspace.root / "dog/photo.jpg").unlink()
    assert journal.undo(workspace).files == 1
    assert (workspace.root / "dog/photo.jpg").read_bytes() == b"p" * 3000


def test_undo_makes_a_folder_again_that_somebody_removed(workspace: Workspace) -> None:
    before = snapshot(workspace.root)
    journal.apply(workspace)
    (workspace.root / "cat/sub folder").rmdir()
    (workspace.root / "emu").rmdir()
    journal.undo(workspace)
    after = snapshot(workspace.root)
    assert {name: found[2] for name, found in after.items()} == {
        name: found[2] for name, found in before.items()
    }


def test_undo_where_a_file_stands_in_place_of_a_folder(workspace: Workspace) -> None:
    journal.apply(workspace)
    (workspace.root / "emu").rmdir()
    (workspace.root / "emu").write_bytes(b"not a folder")
    with pytest.raises(Refused, match=r"emu/only.png"):
        journal.undo(workspace)
    assert (workspace.root / "emu").read_bytes() == b"not a folder"
    assert quarantined(workspace) == {b"emu/only.png"}


def test_undo_says_once_what_somebody_took_out_of_the_quarantine(workspace: Workspace) -> None:
    journal.apply(workspace)
    (workspace.path / "quarantine/emu/only.png").unlink()
    result = journal.undo(workspace)
    assert result.missing == ("emu/only.png",)
    assert "1 no longer in the quarantine: emu/only.png" in result.sentence
    assert journal.undo(workspace).missing == ()


def test_a_quarantine_that_was_not_at_hand_is_not_forgotten(workspace: Workspace, tmp_path: Path) -> None:
    before = snapshot(workspace.root)
    journal.apply(workspace)
    (workspace.path / "quarantine").rename(tmp_path / "unmounted")
    result = journal.undo(workspace)
    assert (result.files, len(result.missing)) == (0, REMOVED)
    assert journal.state(workspace).files == 0
    (tmp_path / "unmounted").rename(workspace.path / "quarantine")
    assert journal.state(workspace).files == REMOVED
    assert journal.undo(workspace, dry_run=True).files == REMOVED
    result = journal.undo(workspace)
    assert (result.files, result.missing) == (REMOVED, ())
    assert snapshot(workspace.root) == before


def test_a_quarantine_that_cannot_be_looked_into_is_not_taken_for_empty(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(workspace.root)
    journal.apply(workspace)
    lstat = os.lstat

    def closed(path: Any, **more: Any) -> os.stat_result:
        if "quarantine" in os.fsdecode(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return lstat(path, **more)

    monkeypatch.setattr(os, "lstat", closed)
    for command in (journal.undo, journal.state):
        with pytest.raises(UserError, match="Permission denied"):
            command(workspace)
    monkeypatch.undo()
    assert journal.undo(workspace).files == REMOVED
    assert snapshot(workspace.root) == before


def test_the_place_of_a_lost_file_may_be_anothers_by_now(workspace: Workspace) -> None:
    journal.apply(workspace)
    (workspace.path / "quarantine/emu/only.png").unlink()
    journal.undo(workspace)
    newer = workspace.root / "emu/only.png"
    newer.parent.mkdir(exist_ok=True)
    newer.write_bytes(b"second")
    about = newer.stat()
    replan(workspace, path="emu/only.png", size=about.st_size, mtime_ns=about.st_mtime_ns)
    journal.apply(workspace)
    assert journal.state(workspace).files == REMOVED
    result = journal.undo(workspace)
    assert (result.files, result.missing) == (REMOVED, ())
    assert newer.read_bytes() == b"second"


def test_a_name_that_goes_twice_into_quarantine_comes_back_in_order(workspace: Workspace) -> None:
    journal.apply(workspace)
    newer = workspace.root / "emu/only.png"
    newer.write_bytes(b"second")
    about = newer.stat()
    replan(workspace, path="emu/only.png", size=about.st_size, mtime_ns=about.st_mtime_ns)
    assert journal.apply(workspace).files == 1
    assert (workspace.path / "quarantine-2/emu/only.png").read_bytes() == b"second"
    with pytest.raises(Refused, match=r"emu/only.png"):
        journal.undo(workspace)
    assert newer.read_bytes() == b"second"
    assert (workspace.path / "quarantine/emu/only.png").read_bytes() == b"cut"


def test_folder_times_are_left_where_the_folder_has_new_names(workspace: Workspace) -> None:
    before = snapshot(workspace.root)
    journal.apply(workspace)
    (workspace.root / "dog/new.png").write_bytes(b"new")
    journal.undo(workspace)
    after = snapshot(workspace.root)
    assert after[b"dog"][1] != before[b"dog"][1]
    assert after[b"cat"] == before[b"cat"]


def test_a_moved_folder_and_workspace_can_be_undone(workspace: Workspace) -> None:
    before = snapshot(workspace.root)
    journal.apply(workspace)
    parent = workspace.root.parent / "elsewhere"
    parent.mkdir()
    workspace.root.rename(parent / "set")
    workspace.path.rename(parent / "set.curate")
    journal.undo(Workspace(parent / "set"))
    assert snapshot(parent / "set") == before


# A journal cut short -----------------------------------------------------------------------------------------------


def test_a_journal_cut_at_any_byte_of_its_last_records_still_undoes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    before = snapshot(workspace.root)
    journal.apply(workspace)
    file = workspace.path / ledger.NAME
    whole = file.read_bytes()
    intended = whole.rindex(b'"event": "move"')
    last = whole.index(b"\n", intended) + 1
    for cut in range(last, len(whole), 13):
        file.write_bytes(whole[:cut])
        result = journal.undo(workspace)
        assert result.files == REMOVED, cut
        assert snapshot(workspace.root) == before
        file.unlink()
        journal.apply(workspace)


def test_a_journal_that_ends_within_a_line_is_continued_on_a_new_one(workspace: Workspace) -> None:
    before = snapshot(workspace.root)
    journal.apply(workspace)
    with (workspace.path / ledger.NAME).open("ab") as file:
        file.write(b'{"event": "move", "id": 99, "pa')
    journal.undo(workspace)
    assert snapshot(workspace.root) == before
    assert journal.state(workspace).files == 0


# Other file systems ------------------------------------------------------------------------------------------------


def without_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: str, **how: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source)

    monkeypatch.setattr(os, "link", link)


def on_another_device(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> None:
    """Let `workspace` seem to lie on another file system: renames and links into it, or out of it, fail."""

    def guarded(real: Callable[..., None]) -> Callable[..., None]:
        def function(source: str, target: str, **how: Any) -> None:
            if str(source).startswith(str(workspace)) != str(target).startswith(str(workspace)):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)
            real(source, target, **how)

        return function

    monkeypatch.setattr(os, "link", guarded(os.link))
    monkeypatch.setattr(os, "rename", guarded(os.rename))


def test_without_hard_links(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(workspace.root)
    without_hard_links(monkeypatch)
    journal.apply(workspace)
    (workspace.root / "emu/only.png").write_bytes(b"newer")
    with pytest.raises(Refused):
        journal.undo(workspace)
    assert (workspace.root / "emu/only.png").read_bytes() == b"newer"
    (workspace.root / "emu/only.png").unlink()
    journal.undo(workspace)
    assert snapshot(workspace.root) == before


def test_across_file_systems(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(workspace.root)
    on_another_device(monkeypatch, workspace.path)
    assert journal.apply(workspace).files == REMOVED
    assert snapshot(workspace.path / "quarantine")[b"dog/photo.jpg"] == before[b"dog/photo.jpg"]
    (workspace.root / "emu/only.png").write_bytes(b"newer")
    with pytest.raises(Refused):
        journal.undo(workspace)
    assert (workspace.root / "emu/only.png").read_bytes() == b"newer"
    (workspace.root / "emu/only.png").unlink()
    journal.undo(workspace)
    assert snapshot(workspace.root) == before


def test_across_real_file_systems(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if (
        not memory.is_dir()
        or not os.access(memory, os.W_OK)
        or memory.stat().st_dev == tmp_path.stat().st_dev
    ):
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=memory) as name:
        make_folder(tmp_path / "set")
        workspace = Workspace.open(tmp_path / "set", Path(name) / "workspace")
        workspace.write("plan", make_plan(workspace.root))
        before = snapshot(workspace.root)
        assert journal.apply(workspace).files == REMOVED
        assert journal.undo(workspace).files == REMOVED
        assert snapshot(workspace.root) == before


def test_a_copy_that_differs_is_not_believed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(workspace.root)
    on_another_device(monkeypatch, workspace.path)
    monkeypatch.setattr(shutil, "copyfileobj", lambda reader, writer, length: writer.write(b"rot"))
    with pytest.raises(UserError, match="the copy differs from the file"):
        journal.apply(workspace)
    assert snapshot(workspace.root) == before
    assert not quarantined(workspace)


LIMITED = """
import resource, sys
from curate import journal
from curate.errors import UserError
from curate.workspace import Workspace
sys.path.insert(0, sys.argv[3])
workspace = Workspace(sys.argv[1], sys.argv[2])
workspace.read("plan")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
try:
    journal.apply(workspace)
except UserError as error:
    print(error.message, error.remedy)
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the process and /dev/shm")
@pytest.mark.parametrize("limit", [700, 2900, 100_000])
def test_a_full_disk_stops_with_one_line_and_loses_nothing(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files stands for the full disk: first the journal, then the copy does not fit."""
    memory = Path("/dev/shm")
    other = memory.is_dir() and memory.stat().st_dev != tmp_path.stat().st_dev and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(dir=memory if other else tmp_path) as name:
        make_folder(tmp_path / "set")
        (tmp_path / "set/dog/photo.jpg").write_bytes(b"p" * 90_000)
        workspace = Workspace.open(tmp_path / "set", Path(name) / "workspace")
        workspace.write("plan", make_plan(workspace.root))
        before = snapshot(workspace.root)
        command = [sys.executable, "-c", LIMITED, workspace.root, workspace.path, Path.cwd(), str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if limit == 100_000:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 2, done.stderr
            assert "the disk is full" in done.stdout
            assert "Make room, then run `curate apply" in done.stdout
        journal.undo(workspace)
        assert snapshot(workspace.root) == before


# A clean tree ------------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> Workspace:
    """Real pictures: two kept in two formats under one stem, one in review, one removed, one that nobody could read."""
    root = tmp_path / "set"
    rows = []
    for name, action, stage in [
        ("cat/a.jpg", "keep", ""),
        ("cat/a.png", "keep", ""),
        ("dog/b.png", "review", "filter-photos"),
        ("dog/c.png", "remove", "filter-photos"),
        ("dog/d.png", "review", "scan"),
        ("e.png", "keep", ""),
    ]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((20, 40, 3), np.uint8)
        pixels[:, :20] = (255, 0, 0)
        Image.fromarray(pixels).save(path)
        path.chmod(0o640)
        os.utime(path, ns=(10**18, 10**18 + 5))
        about, label = path.stat(), name.split("/")[0] if "/" in name else ""
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append((name, content, about.st_size, about.st_mtime_ns, label, action, stage, "", 0.5, ""))
    made = Workspace.open(root)
    made.write("plan", pd.DataFrame(rows, columns=list(PLAN.columns)))
    return made


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("exists", [False, True])
def test_a_clean_copy(pictures: Workspace, tmp_path: Path, exists: bool) -> None:
    out = tmp_path / "new" / "clean"
    if exists:
        out.mkdir(parents=True)
    before = snapshot(pictures.root)
    result = journal.apply(pictures, copy_to=out)
    assert (result.how, result.files, result.place) == ("copy", 4, str(out))
    assert snapshot(pictures.root) == before
    assert names(out) == {"cat/a.jpg", "cat/a.png", "dog/b.png", "e.png"}
    assert snapshot(out)[b"cat/a.jpg"] == before[b"cat/a.jpg"]
    assert {path.name for path in out.parent.iterdir()} == {"clean"}
    assert journal.state(pictures).files == 0


@pytest.mark.parametrize(("fit", "middle", "top"), [("pad", 255, 255), ("crop", 0, 0), ("stretch", 0, 0)])
def test_a_copy_of_one_size(pictures: Workspace, tmp_path: Path, fit: str, middle: int, top: int) -> None:
    out = tmp_path / "clean"
    journal.apply(pictures, copy_to=out, size=8, fit=fit)
    assert names(out) == {"cat/a.png", "cat/a.png.png", "dog/b.png", "e.png"}
    with Image.open(out / "e.png") as image:
        assert (image.format, image.size, image.mode) == ("PNG", (8, 8), "RGB")
        assert image.getpixel((7, 0)) == (top,) * 3  # right half: black, or the white border above it
        assert image.getpixel((0, 4)) == (255, 0, 0)


def test_a_clean_tree_of_links(pictures: Workspace, tmp_path: Path) -> None:
    link = pictures.root / "cat" / "link.png"
    link.symlink_to("a.png")
    plan = pictures.read("plan")
    pictures.write("plan", pd.concat([plan, plan[plan.path == "cat/a.png"].assign(path="cat/link.png")]))
    out = tmp_path / "clean"
    journal.apply(pictures, link_to=out)
    assert (out / "cat/a.png").samefile(pictures.root / "cat/a.png")
    assert not (out / "cat/a.png").is_symlink()
    assert (out / "cat/link.png").samefile(pictures.root / "cat/a.png")


def test_links_where_there_are_no_hard_links(
    pictures: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_hard_links(monkeypatch)
    journal.apply(pictures, link_to=tmp_path / "clean")
    assert (tmp_path / "clean/e.png").is_symlink()
    assert (tmp_path / "clean/e.png").samefile(pictures.root / "e.png")


def test_a_dry_copy_writes_nothing(pictures: Workspace, tmp_path: Path) -> None:
    result = journal.apply(pictures, copy_to=tmp_path / "clean", dry_run=True)
    assert "4 files" in result.sentence
    assert "would be copied" in result.sentence
    assert not (tmp_path / "clean").exists()


def test_what_a_killed_copy_left_is_cleared_away(pictures: Workspace, tmp_path: Path) -> None:
    left = tmp_path / ".clean.curate-part"
    left.mkdir()
    (left / "half.png").write_bytes(b"half")
    journal.apply(pictures, copy_to=tmp_path / "clean")
    assert not left.exists()
    assert "half.png" not in names(tmp_path / "clean")


def test_a_copy_of_a_changed_folder_is_refused(pictures: Workspace, tmp_path: Path) -> None:
    (pictures.root / "e.png").write_bytes(b"changed")
    with pytest.raises(Refused, match=r"e.png changed since it was scanned"):
        journal.apply(pictures, copy_to=tmp_path / "clean")
    assert not (tmp_path / "clean").exists()


def test_a_copy_that_fails_leaves_nothing(
    pictures: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: str, target: str) -> None:
        Path(target).write_bytes(b"ha")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    monkeypatch.setattr(cleantree.shutil, "copy2", full)
    with pytest.raises(UserError, match="the disk is full"):
        journal.apply(pictures, copy_to=tmp_path / "clean")
    assert {path.name for path in tmp_path.iterdir()} == {"set", "set.curate"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copy_to": "OUT", "link_to": "OUT"}, "exclude each other"),
        ({"link_to": "OUT", "size": 8}, "--size changes pictures"),
        ({"size": 8}, "--size changes pictures"),
        ({"copy_to": "OUT", "size": 0}, "--size 0"),
        ({"copy_to": "OUT", "size": 8, "fit": "squeeze"}, "--fit squeeze"),
        ({"copy_to": "SET/cat/new"}, "lies inside the folder"),
        ({"copy_to": "SET"}, "lies inside the folder"),
        ({"copy_to": "FULL"}, "is not empty"),
        ({"copy_to": "FILE"}, "is a file"),
        ({"copy_to": "FILE/out"}, "cannot be written"),
    ],
)
def test_options_that_cannot_be(
    pictures: Workspace, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    places = {"OUT": "out", "SET": "set", "FULL": "full", "FILE": "file"}
    for name, value in options.items():
        if isinstance(value, str) and value.split("/")[0] in places:
            head = value.split("/")[0]
            options = options | {name: tmp_path / value.replace(head, places[head], 1)}
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        journal.apply(pictures, **options)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    assert snapshot(tmp_path) == before


# Killed ------------------------------------------------------------------------------------------------------------

WATCHED = {module.__file__ for module in (journal, ledger, moving)}
STEP = re.compile(
    r"\b(link|symlink|unlink|rename|rmdir|makedirs|write|fsync|utime|chmod|chown|copystat|copyfileobj|sync_folder|open)\("
)
"""What can change the disk: between two of these lines nothing does."""


FEW = (b"cat/keep.png", b"cat/copy.png", b"cat/sub folder/\xc3\xa9.png")
"""The kill tests do with these, and the link."""


def killed(function: Callable[[], Any], die_at: int) -> bool:
    """Run `function` in a forked process that kills itself before its `die_at`th step; whether it came to that."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    steps = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal steps
        name = frame.f_code.co_filename
        if name not in WATCHED:
            return None
        if event == "line" and STEP.search(linecache.getline(name, frame.f_lineno)):
            steps += 1
            if steps == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    status = 1
    try:
        sys.settrace(trace)
        function()
        status = 0
    finally:
        os._exit(status)


def drive(base: Path, file_system: str) -> int:
    """Kill apply, then undo, at each step in turn; run apply or undo after it; compare. Returns the number of kills."""
    root = base / "set"
    files = {name: FILES[name] for name in FEW}
    make_folder(root, files)
    plan, workspace = make_plan(root, files), Workspace.open(root)
    with pytest.MonkeyPatch.context() as patch:
        if file_system == "no_links":
            without_hard_links(patch)
        elif file_system == "two_devices":
            on_another_device(patch, workspace.path)
        patch.setattr(
            os, "fsync", lambda handle: None
        )  # a killed process loses nothing that it wrote: only time
        patch.setattr(Workspace, "read", lambda self, name: plan)
        orders = itertools.product((journal.apply, journal.undo), (journal.apply, journal.undo))
        return sum(kill_at_each_step(workspace, *order) for order in orders)


def kill_at_each_step(
    workspace: Workspace, command: Callable[[Workspace], Any], then: Callable[[Workspace], Any]
) -> int:
    before = snapshot(workspace.root)
    journal.apply(workspace)
    applied = snapshot(workspace.root).keys()
    journal.undo(workspace)
    for step in itertools.count(1):
        (workspace.path / ledger.NAME).unlink(missing_ok=True)
        if command is journal.undo:
            journal.apply(workspace)
        if not killed(lambda: command(workspace), step):
            journal.undo(workspace)
            return step - 1
        where = f"{command.__name__} killed at step {step}, then {then.__name__}"
        found = {inside for inside, _, _ in snapshot(workspace.root.parent).values()}
        assert found >= {inside for inside, _, _ in before.values()}, f"{where}: bytes were lost"
        then(workspace)
        if then is journal.apply:
            assert snapshot(workspace.root).keys() == applied, f"{where}: apply did not finish"
            journal.undo(workspace)
        assert snapshot(workspace.root) == before, f"{where}: undo did not restore"
        assert not list(workspace.path.glob("quarantine*")), f"{where}: something is left in quarantine"
    raise AssertionError


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("file_system", ["plain", "no_links", "two_devices"])
def test_killed_at_any_step_nothing_is_lost(tmp_path: Path, file_system: str) -> None:
    script = [sys.executable, __file__, tmp_path, file_system]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(script, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100


if __name__ == "__main__":
    print(drive(Path(sys.argv[1]), sys.argv[2]))
