"""Tables are written whole or not at all, know what they were made from, and one run writes at a time."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from curate.errors import Locked, UserError
from curate.tables import TABLES
from curate.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "pictures").mkdir()
    return Workspace.open(tmp_path / "pictures")


def balance(*paths: str) -> pd.DataFrame:
    return pd.DataFrame({"path": paths, "label": "a", "weight": 1.0, "copies": 1, "reason": ""})


def left(workspace: Workspace) -> list[str]:
    return sorted(file.name for file in workspace.path.iterdir())


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Where it is ------------------------------------------------------------------------------------------------------


def test_it_lies_beside_the_folder(workspace: Workspace) -> None:
    assert workspace.path == workspace.root.with_name("pictures.curate")
    assert json.loads((workspace.path / "workspace.json").read_text()) == {"root": str(workspace.root)}
    assert list(workspace.root.iterdir()) == []


def test_another_place(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    workspace = Workspace.open(tmp_path / "pictures", tmp_path / "deep" / "er")
    assert workspace.path == tmp_path / "deep" / "er"
    assert not (tmp_path / "pictures.curate").exists()


def test_a_workspace_of_another_folder_is_not_taken(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    Workspace.open(tmp_path / "a", tmp_path / "w")
    with pytest.raises(UserError, match=r"w: is the workspace of .*/a, not of .*/b") as caught:
        Workspace.open(tmp_path / "b", tmp_path / "w")
    assert "--workspace" in caught.value.remedy
    (tmp_path / "a").rename(tmp_path / "moved")
    assert Workspace.open(tmp_path / "moved", tmp_path / "w").path == tmp_path / "w"
    found = Workspace.find(tmp_path / "w")
    assert found is not None
    assert found.root == tmp_path / "moved"


def test_a_folder_that_was_copied_with_its_workspace_has_its_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    Workspace.open(tmp_path / "a")
    shutil.copytree(tmp_path / "a.curate", tmp_path / "b.curate")
    assert Workspace.open(tmp_path / "b").path == tmp_path / "b.curate"


def test_a_workspace_is_no_folder_of_pictures(workspace: Workspace) -> None:
    with pytest.raises(UserError, match=r"is the workspace of .*pictures, not a folder") as caught:
        Workspace.open(workspace.path)
    assert str(workspace.root) in caught.value.remedy
    assert not workspace.path.with_name("pictures.curate.curate").exists()


def test_whether_it_lies_inside_is_told_by_the_places_not_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "beside").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path / "beside")
    for inside in ("../a/w", "../beside/../a/w", tmp_path / "link" / "w"):
        with pytest.raises(UserError, match="cannot lie inside"):
            Workspace.open("../a", inside)
    assert not list((tmp_path / "a").iterdir())
    monkeypatch.chdir(tmp_path / "a")
    assert Workspace.open(".", "../w").path == tmp_path / "w"


@pytest.mark.parametrize("name", ["loop", "x" * 300, "/"])
def test_places_that_cannot_be_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(UserError) as caught:
        Workspace.open(name)
    assert caught.value.remedy
    assert names_in(tmp_path) == ["loop"]


def test_a_name_too_long_for_its_workspace_is_told(tmp_path: Path) -> None:
    (tmp_path / ("x" * 252)).mkdir()
    with pytest.raises(UserError, match="cannot be written") as caught:
        Workspace.open(tmp_path / ("x" * 252))
    assert "--workspace" in caught.value.remedy


def test_a_lock_that_cannot_be_had_is_told(workspace: Workspace) -> None:
    (workspace.path / ".lock").mkdir()
    with pytest.raises(UserError, match="cannot be written"), workspace.lock():
        pass


def test_a_damaged_table_is_named_with_what_mends_it(workspace: Workspace) -> None:
    workspace.write("balance", balance(*(f"{number}.png" for number in range(500))))
    file = workspace.path / "balance.parquet"
    data = bytearray(file.read_bytes())
    data[4:300] = bytes(296)
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"balance\.parquet: is damaged") as caught:
        workspace.read("balance")
    assert "curate run" in caught.value.remedy


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing: there is no such folder\. Check the path"):
        Workspace.open(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match=r"a\.png: is a file, not a folder\. Give the folder"):
        Workspace.open(tmp_path / "a.png")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("inside", ["", "inner", "inner/deeper"])
def test_not_inside_the_folder(tmp_path: Path, inside: str) -> None:
    root = tmp_path / "pictures"
    root.mkdir()
    with pytest.raises(UserError, match="cannot lie inside the folder that it describes"):
        Workspace.open(root, root / inside)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_parent_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    (tmp_path / "pictures").mkdir()

    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=r"pictures\.curate: the workspace cannot be written") as caught:
        Workspace.open(tmp_path / "pictures")
    assert caught.value.remedy == "Give a folder that you may write to with --workspace W."
    assert [file.name for file in tmp_path.iterdir()] == ["pictures"]


def test_a_file_where_the_workspace_should_be(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures.curate").write_text("mine")
    with pytest.raises(UserError, match="the workspace cannot be written"):
        Workspace.open(tmp_path / "pictures")
    assert (tmp_path / "pictures.curate").read_text() == "mine"


def test_find(workspace: Workspace, tmp_path: Path) -> None:
    for place in (workspace.root, workspace.path):
        found = Workspace.find(place)
        assert found is not None
        assert (found.root, found.path) == (workspace.root, workspace.path)
    assert Workspace.find(tmp_path) is None


def test_find_after_both_were_moved(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    workspace.root.rename(tmp_path / "new" / "pictures")
    workspace.path.rename(tmp_path / "new" / "pictures.curate")
    found = Workspace.find(tmp_path / "new" / "pictures.curate")
    assert found is not None
    assert found.root == tmp_path / "new" / "pictures"


def test_a_damaged_mark(workspace: Workspace) -> None:
    (workspace.path / "workspace.json").write_text("{")
    with pytest.raises(UserError, match=r"workspace\.json: cannot be read .* Make the workspace anew"):
        Workspace.find(workspace.path)


# Tables -----------------------------------------------------------------------------------------------------------


def test_a_table_comes_back_sorted_in_its_schema(workspace: Workspace) -> None:
    frame = balance("b.png", "a.png")
    frame["extra"] = 5
    workspace.write("balance", frame)
    back = workspace.read("balance")
    assert list(back["path"]) == ["a.png", "b.png"]
    assert list(back.columns) == list(TABLES["balance"].columns)
    assert str(back["weight"].dtype) == "float32"
    assert left(workspace) == ["balance.parquet", "workspace.json"]


def test_any_reader_of_parquet_can_read_it(workspace: Workspace) -> None:
    workspace.write("balance", balance("a.png"))
    assert pd.read_parquet(workspace.path / "balance.parquet")["path"].tolist() == ["a.png"]


def test_the_origin_is_kept(workspace: Workspace) -> None:
    digest = workspace.write(
        "balance", balance("a"), settings={"cap": 3}, inputs={"splits": "abc"}, version=7
    )
    origin = workspace.origin("balance")
    assert origin is not None
    assert (origin.settings, origin.inputs, origin.digest, origin.version) == (
        {"cap": 3},
        {"splits": "abc"},
        digest,
        7,
    )
    assert workspace.digest("balance") == digest


def test_the_digest_is_that_of_the_rows(workspace: Workspace) -> None:
    first = workspace.write("balance", balance("a", "b"))
    assert workspace.write("balance", balance("b", "a"), settings={"other": 1}) == first
    assert workspace.write("balance", balance("b", "c")) != first


def test_the_same_rows_are_the_same_bytes(workspace: Workspace) -> None:
    workspace.write("balance", balance("a", "b"))
    first = (workspace.path / "balance.parquet").read_bytes()
    workspace.write("balance", balance("b", "a"))
    assert (workspace.path / "balance.parquet").read_bytes() == first


def test_a_missing_table(workspace: Workspace) -> None:
    assert not workspace.has("balance")
    assert workspace.origin("balance") is None
    assert workspace.digest("balance") == ""
    with pytest.raises(UserError, match=r"there is no table 'balance' yet\. Run `curate run"):
        workspace.read("balance")


@pytest.mark.parametrize("data", [b"", b"PAR1 and no more", b"x" * 1000])
def test_a_damaged_table_counts_as_missing(workspace: Workspace, data: bytes) -> None:
    (workspace.path / "balance.parquet").write_bytes(data)
    assert not workspace.has("balance")


def test_a_table_without_our_mark_or_of_another_schema_counts_as_missing(workspace: Workspace) -> None:
    file = workspace.path / "balance.parquet"
    balance("a").to_parquet(file)
    assert not workspace.has("balance")
    workspace.write("balance", balance("a"))
    table = pq.read_table(file)
    mark = json.loads(table.schema.metadata[b"curate"]) | {"schema": 99}
    pq.write_table(table.replace_schema_metadata({b"curate": json.dumps(mark).encode()}), file)
    assert not workspace.has("balance")


def test_unknown_tables_and_missing_columns(workspace: Workspace) -> None:
    with pytest.raises(KeyError):
        workspace.write("nonsense", balance("a"))
    with pytest.raises(KeyError):
        workspace.write("balance", balance("a").drop(columns="weight"))
    assert left(workspace) == ["workspace.json"]


# All or nothing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_table(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    workspace.write("balance", balance("a"))

    def full(table: Any, file: Path, **_: Any) -> None:
        file.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(
        UserError, match=r"balance\.parquet: cannot be written: .*The table before it is untouched\."
    ) as caught:
        workspace.write("balance", balance("a", "b"))
    assert caught.value.remedy.startswith("Make room")
    assert list(workspace.read("balance")["path"]) == ["a"]
    assert left(workspace) == ["balance.parquet", "workspace.json"]


def test_a_disk_that_is_really_full(workspace: Workspace) -> None:
    script = (
        "import resource, signal, sys, pandas as pd\n"
        "from curate.workspace import Workspace\n"
        "from curate.errors import UserError\n"
        "workspace = Workspace.open(sys.argv[1])\n"
        "frame = pd.DataFrame({'path': [str(hash((n, 'x'))) for n in range(5000)], 'label': '', 'weight': 1.0,"
        " 'copies': 1, 'reason': ''})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n    workspace.write('balance', frame)\n"
        "except UserError as error:\n    print(error.message)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(workspace.root)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path.cwd(),
    )
    assert "balance.parquet: cannot be written" in ended.stdout
    assert left(workspace) == ["workspace.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interruption_leaves_the_old_file(workspace: Workspace, error: type[BaseException]) -> None:
    workspace.write_bytes("note.json", b"old")

    def interrupted() -> None:
        with workspace.replacing("note.json") as temporary:
            temporary.write_bytes(b"ne")
            raise error

    with pytest.raises(error):
        interrupted()
    assert (workspace.path / "note.json").read_bytes() == b"old"
    assert left(workspace) == ["note.json", "workspace.json"]


def test_a_killed_writer_leaves_the_old_table_and_what_it_left_is_swept(workspace: Workspace) -> None:
    workspace.write_bytes("note.json", b"old")
    script = (
        "import os, signal, sys\n"
        "from curate.workspace import Workspace\n"
        "workspace = Workspace.open(sys.argv[1])\n"
        "with workspace.lock(), workspace.replacing('note.json') as temporary:\n"
        "    temporary.write_bytes(b'ne')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(workspace.root)], check=False, cwd=Path.cwd())
    assert ended.returncode == -signal.SIGKILL
    assert (workspace.path / "note.json").read_bytes() == b"old"
    assert any(name.endswith(".tmp") for name in left(workspace))
    with workspace.lock():  # a killed run holds nothing
        assert not any(name.endswith(".tmp") for name in left(workspace))


# One at a time ----------------------------------------------------------------------------------------------------


def test_another_run_is_refused(workspace: Workspace) -> None:
    script = (
        "import sys\n"
        "from curate.workspace import Workspace\n"
        "from curate.errors import Locked\n"
        "try:\n"
        "    with Workspace.open(sys.argv[1]).lock():\n        print('got it')\n"
        "except Locked as error:\n    print(error.exit_code, error)\n"
    )

    def other() -> str:
        command = [sys.executable, "-c", script, str(workspace.root)]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path.cwd()).stdout

    with workspace.lock():
        assert other().startswith(f"5 {workspace.path}: another run is at work in this workspace.")
    assert other() == "got it\n"


def test_the_lock_is_given_back_after_an_error(workspace: Workspace) -> None:
    def failing() -> None:
        with workspace.lock():
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        failing()
    with workspace.lock():
        pass


def test_locking_twice_in_one_process_is_refused(workspace: Workspace) -> None:
    with workspace.lock(), pytest.raises(Locked), Workspace.open(workspace.root).lock():
        pass
