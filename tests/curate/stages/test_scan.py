"""The walk, the rows, and scans that are killed, repeated and spread over workers."""

from __future__ import annotations

import errno
import hashlib
import importlib
import io
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curate import images
from curate.errors import UserError
from curate.paths import path_from_text, path_to_text
from curate.pipeline import Context
from curate.tables import FILES
from curate.walk import changes, walk
from curate.workspace import Workspace

scan = importlib.import_module("curate.stages.scan")  # the package also has a function of this name


def picture(seed: int = 0, size: tuple[int, int] = (48, 32), form: str = "PNG", **options: Any) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, form, **options)
    return buffer.getvalue()


def put(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def run(root: Path, workers: int = 1, keep: bool = True, said: list[str] | None = None) -> pd.DataFrame:
    """Scan into the workspace beside `root`, and store the table as the pipeline does where `keep`."""
    workspace = Workspace.open(root)
    say = (lambda text: None) if said is None else said.append
    frame: pd.DataFrame = scan.run(Context(workspace, workers, say=say), scan.ScanSettings())["files"]
    if keep:
        workspace.write("files", frame, version=scan.VERSION)
    return frame


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were read, in order (with one worker)."""
    paths: list[str] = []
    original = scan.read_row

    def noting(root: str, path: str, *rest: int) -> dict[str, Any]:
        paths.append(path)
        row: dict[str, Any] = original(root, path, *rest)
        return row

    monkeypatch.setattr(scan, "read_row", noting)
    return paths


# The walk ---------------------------------------------------------------------------------------------------------


def test_what_is_taken_and_what_is_left_out(root: Path, tmp_path: Path) -> None:
    put(
        root,
        {
            "b/two.PNG": picture(1),
            "a/one.jpg": picture(0, form="JPEG"),
            "a/deep/er/three.webp": picture(2, form="WEBP"),
            "top.gif": picture(3, form="GIF"),
            "no_ending": picture(4),
            "wrong.txt": picture(5),
            "a/.hidden.png": picture(6),
            ".git/one.png": picture(7),
            "notes.txt": b"text",
            "a/LIST.CSV": b"a,b",
            "a/more.txt": b"",
            "Thumbs.db": b"x",
            "desktop.ini": b"x",
            "__MACOSX/a/one.jpg": b"x",
            "old.curate/workspace.json": b"{}",
            "old.curate/quarantine/q.png": picture(8),
            "not.curate/kept.png": picture(9),
        },
    )
    put(tmp_path / "elsewhere", {"far.png": picture(10), "inner.png": picture(11)})
    (root / "a" / "link.png").symlink_to(tmp_path / "elsewhere" / "far.png")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)  # a socket's address is short
        server.bind("socket.png")
        os.chdir(here)
        found = walk(str(root))
    assert [path for path, _, _ in found.files] == [
        "a/deep/er/three.webp",
        "a/link.png",
        "a/one.jpg",
        "b/two.PNG",
        "no_ending",
        "not.curate/kept.png",
        "top.gif",
        "wrong.txt",
    ]
    left = {"hidden": 2, "other": 3, "system": 3, "linked": 2, "special": 2, "workspace": 1}
    assert dict(found.left_out) == left
    assert found.suffixes == {".txt": 2, ".csv": 1}
    sizes = {path: (size, mtime) for path, size, mtime in found.files}
    about = (root / "a" / "one.jpg").stat()
    assert sizes["a/one.jpg"] == (about.st_size, about.st_mtime_ns)


def test_what_was_left_out_is_told_in_one_sentence(root: Path) -> None:
    put(root, {"a.png": picture(), "b.png": b"", ".x": b"", "n.txt": b"t", "m.txt": b"t", "l.csv": b"t"})
    said: list[str] = []
    run(root, said=said)
    assert said == [
        "2 pictures, 1 of them unreadable (1 empty); left out: 1 hidden file or folder, 3 other files (2 .txt, 1 .csv)."
    ]
    said.clear()
    (root / ".x").unlink()
    run(root, said=said)
    assert said[0].startswith(
        "2 pictures, 1 of them unreadable (1 empty), 2 unchanged since they were last read; left"
    )


def test_a_folder_that_may_not_be_read_is_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, {"open/a.png": picture(), "closed/b.png": picture(1)})
    scandir = os.scandir

    def guarded(path: str) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(scan.os, "scandir", guarded)
    found = walk(str(root))
    assert [path for path, _, _ in found.files] == ["open/a.png"]
    assert found.left_out == {"closed": 1}


def test_a_root_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(scan.os, "scandir", refuse)
    with pytest.raises(UserError, match=r"pictures: cannot be read \(Permission denied\)\."):
        walk(str(root))


@pytest.mark.parametrize(
    ("files", "holds"),
    [
        ({}, "it is empty"),
        ({"a.txt": b"t"}, r"1 other file \(1 \.txt\)"),
        (
            {"a.txt": b"t", "b.txt": b"t", ".c.png": picture()},
            r"1 hidden file or folder, 2 other files \(2 \.txt\)",
        ),
        ({"README": b"text", "LICENSE": b"text"}, "2 files without an ending that are no picture"),
        (
            {"README": b"text", "a.py": b"x"},
            r"1 file without an ending that is no picture, 1 other file \(1 \.py\)",
        ),
    ],
)
def test_a_folder_without_a_picture(root: Path, files: dict[str, bytes], holds: str) -> None:
    put(root, files)
    with pytest.raises(UserError, match=rf"pictures: holds no pictures: {holds}\.") as caught:
        run(root)
    assert caught.value.remedy.startswith("Give a folder with pictures in it")
    assert not (Workspace(root).path / "scan.parts").exists()


# The rows ---------------------------------------------------------------------------------------------------------


def test_a_row(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = picture(0, (400, 200), "JPEG", exif=exif)
    put(root, {"cat/sub/a.png": data})
    os.utime(root / "cat/sub/a.png", ns=(1, 1_700_000_000_123_456_789))
    (row,) = run(root).to_dict("records")
    assert list(row) == list(FILES.columns)
    expected = {
        "path": "cat/sub/a.png",
        "content": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "mtime_ns": 1_700_000_000_123_456_789,
        "label": "cat",
        "status": "ok",
        "reason": "",
        "detail": "",
        "width": 200,
        "height": 400,
        "mode": "RGB",
        "format": "JPEG",
        "frames": 1,
        "orientation": 6,
        "transparency": 0.0,
    }
    assert {name: row[name] for name in expected} == expected
    assert 0.2 < row["brightness"] < 0.8


def test_label_of_a_flat_folder_is_empty(root: Path) -> None:
    put(root, {"a.png": picture()})
    assert list(run(root)["label"]) == [""]


def test_unreadable_files_are_rows_with_their_reason(root: Path) -> None:
    jpeg, png = picture(0, (96, 96), "JPEG"), picture(0, (96, 96))
    rng = np.random.default_rng(0)
    put(
        root,
        {
            "empty.jpg": b"",
            "random.jpg": rng.bytes(4000),
            "page.jpg": b"<html><body>Not found</body></html>",
            "text.png": b"just text",
            "README": b"just text",
            "half.jpg": jpeg[: len(jpeg) // 2],
            "end.jpg": jpeg[:-2],
            "half.png": png[: len(png) // 2],
            "half.webp": picture(0, (96, 96), "WEBP")[:200],
            "half.gif": picture(0, (96, 96), "GIF")[:2000],
            "good.jpg": jpeg + b"trailing bytes",
        },
    )
    (root / "folder.jpg").mkdir()
    (root / "nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "self.png").symlink_to(root / "self.png")
    frame = run(root).set_index("path")
    assert frame["reason"].to_dict() == {
        "README": "not_an_image",
        "empty.jpg": "empty",
        "end.jpg": "truncated",
        "good.jpg": "",
        "half.gif": "truncated",
        "half.jpg": "truncated",
        "half.png": "truncated",
        "half.webp": "truncated",
        "nowhere.jpg": "vanished",
        "page.jpg": "not_an_image",
        "random.jpg": "not_an_image",
        "self.png": "io_error",
        "text.png": "not_an_image",
    }
    bad = frame[frame["status"] == "unreadable"]
    assert list(frame.index[frame["status"] == "ok"]) == ["good.jpg"]
    assert (bad[["width", "height", "frames"]] == 0).all(axis=None)
    assert bad[["brightness", "ink", "transparency"]].isna().all(axis=None)
    assert frame.loc["empty.jpg", "content"] == hashlib.sha256(b"").hexdigest()
    assert frame.loc["half.jpg", "content"] != ""
    assert frame.loc["nowhere.jpg", "content"] == ""


def test_transparency_frames_format_and_mode(root: Path) -> None:
    half = Image.new("RGBA", (20, 10), (255, 0, 0, 255))
    half.paste((0, 0, 0, 0), (0, 0, 5, 10))
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    half.save(root / "quarter.png")
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        frames[0].save(root / f"many.{form.lower()}", form, save_all=True, append_images=frames[1:])
    frames[0].save(root / "camera.jpg", "MPO", save_all=True, append_images=frames[1:])
    Image.new("L", (9, 9)).save(root / "grey.jpg.png")
    Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(root / "deep.png")
    (root / "liar.png").write_bytes(picture(0, form="BMP"))
    frame = run(root).set_index("path")
    assert frame.loc["quarter.png", "transparency"] == pytest.approx(0.25)
    assert frame["frames"].to_dict() == {
        "camera.jpg": 1,
        "deep.png": 1,
        "grey.jpg.png": 1,
        "liar.png": 1,
        "many.gif": 3,
        "many.png": 3,
        "many.tiff": 3,
        "many.webp": 3,
        "quarter.png": 1,
    }
    assert frame.loc["camera.jpg", "format"] == "JPEG"
    assert frame.loc["liar.png", "format"] == "BMP"
    assert frame.loc[["deep.png", "grey.jpg.png", "quarter.png"], "mode"].tolist() == ["I;16", "L", "RGBA"]
    assert frame.loc["deep.png", "brightness"] == pytest.approx(40000 / 65535, abs=0.01)


def test_names_of_any_bytes(root: Path) -> None:
    names = [
        b"caf\xe9.png",
        b"line\nbreak.png",
        b"back\\x41slash.png",
        "日本.png".encode(),
        b"n" * 250 + b".png",
    ]
    for seed, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(picture(seed))
    frame = run(root, workers=2)
    assert (frame["status"] == "ok").all()
    assert {os.fsencode(path_from_text(path)) for path in frame["path"]} == set(names)
    assert path_to_text(names[0]) in set(frame["path"])


def test_a_file_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    put(root, {"a.png": picture(), "b.png": picture(1)})
    original = images.read_file

    def guarded(path: str) -> Any:
        if path.endswith("b.png"):
            raise images.Unreadable("permission", "Permission denied")
        return original(path)

    monkeypatch.setattr(images, "read_file", guarded)
    frame = run(root).set_index("path")
    assert frame.loc["b.png", ["status", "reason", "detail", "content"]].tolist() == [
        "unreadable",
        "permission",
        "Permission denied",
        "",
    ]
    monkeypatch.setattr(images, "read_file", original)
    read.clear()
    assert (run(root)["status"] == "ok").all()  # the permission was given: no other sign of it
    assert read == ["b.png"]


def test_a_file_that_goes_while_the_scan_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, {"a.png": picture(), "b.png": picture(1)})
    original = scan.read_rows

    def late(*given: Any) -> Any:
        (root / "b.png").unlink()
        return original(*given)

    monkeypatch.setattr(scan, "read_rows", late)
    frame = run(root).set_index("path")
    assert frame["reason"].to_dict() == {"a.png": "", "b.png": "vanished"}


# Again, and after a kill --------------------------------------------------------------------------------------------


def test_a_second_scan_reads_only_what_changed(root: Path, read: list[str]) -> None:
    put(root, {f"c/{number}.png": picture(number) for number in range(6)} | {"c/bad.png": b"no"})
    first = run(root)
    assert len(read) == 7
    read.clear()
    pd.testing.assert_frame_equal(run(root), first)
    assert read == []
    (root / "c/0.png").unlink()
    (root / "c/1.png").rename(root / "c/moved.png")
    (root / "c/2.png").write_bytes(picture(77))
    os.utime(root / "c/3.png", ns=(5, 5))
    put(root, {"c/new.png": picture(9)})
    second = run(root)
    assert read == ["c/2.png", "c/3.png", "c/moved.png", "c/new.png"]
    fresh = scan.read_rows(str(root), walk(str(root)).files)
    assert second["path"].tolist() == [row["path"] for row in fresh]
    assert second["content"].tolist() == [row["content"] for row in fresh]


def test_another_version_reads_all_anew(root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, {"a.png": picture(), "b.png": picture(1)})
    run(root)
    read.clear()
    monkeypatch.setattr(scan, "VERSION", scan.VERSION + 1)
    run(root)
    assert read == ["a.png", "b.png"]


def test_the_number_of_workers_changes_nothing(root: Path) -> None:
    put(root, {f"{number % 3}/{number}.png": picture(number) for number in range(150)})
    put(root, {f"{number % 3}/{number}.jpg": picture(number, (220, 180), "JPEG") for number in range(20)})
    alone = run(root, workers=1, keep=False)
    pd.testing.assert_frame_equal(run(root, workers=2, keep=False), alone, check_exact=True)


KILLED = """
import importlib, os, signal, sys
from curate.pipeline import Context
from curate.workspace import Workspace
scan = importlib.import_module("curate.stages.scan")
scan._Parts._ROWS = 64
flush, calls = scan._Parts.flush, []
def counted(self):
    flush(self)
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
scan._Parts.flush = counted
scan.run(Context(Workspace.open(sys.argv[1]), 1), scan.ScanSettings())
"""


def test_a_killed_scan_goes_on_where_it_stopped(root: Path, tmp_path: Path, read: list[str]) -> None:
    put(root, {f"{number % 3}/{number:03d}.png": picture(number) for number in range(200)})
    put(root, {"0/bad.jpg": b"nothing"})
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(root)], check=False, cwd=Path.cwd()
    )
    assert ended.returncode == -signal.SIGKILL
    parts = Workspace(root).path / "scan.parts"
    assert len(list(parts.iterdir())) == 2
    (root / "0/000.png").write_bytes(picture(999))  # read already, and changed since
    resumed = run(root)
    assert len(read) == 201 - 128 + 1
    assert "0/000.png" in read
    assert not parts.exists()
    read.clear()
    fresh = Workspace.open(root, tmp_path / "fresh")
    whole = scan.run(Context(fresh, 1), scan.ScanSettings())["files"]
    assert len(read) == 201
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)


def test_a_damaged_table_is_made_anew(root: Path, read: list[str]) -> None:
    put(root, {f"{number}.png": picture(number) for number in range(9)})
    whole = run(root)
    file = Workspace.open(root).path / "files.parquet"
    data = bytearray(file.read_bytes())
    data[4:600] = bytes(596)  # the footer stays
    file.write_bytes(data)
    read.clear()
    pd.testing.assert_frame_equal(run(root), whole)
    assert len(read) == 9
    pd.testing.assert_frame_equal(Workspace.open(root).read("files"), whole)


def test_damaged_parts_are_read_anew(root: Path, read: list[str]) -> None:
    put(root, {"a.png": picture(), "b.png": picture(1)})
    parts = Workspace.open(root).path / "scan.parts"
    put(parts, {"000000.parquet": b"PAR1 cut", "000001.parquet": b"", "strange.parquet": b"x"})
    assert run(root)["path"].tolist() == ["a.png", "b.png"]
    assert len(read) == 2
    assert not parts.exists()


def test_an_interrupted_scan_keeps_what_it_read(
    root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, {f"{number:03d}.png": picture(number) for number in range(130)})
    original = scan.read_rows

    def interrupted(folder: str, files: list[Any]) -> Any:
        if files[0][0] == "064.png":
            raise KeyboardInterrupt
        return original(folder, files)

    monkeypatch.setattr(scan, "read_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(root)
    monkeypatch.setattr(scan, "read_rows", original)
    read.clear()
    assert len(run(root)) == 130
    assert read[0] == "064.png"


def test_a_full_disk_is_told_and_the_old_table_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, {"a.png": picture()})
    run(root)
    put(root, {"b.png": picture(1)})

    def full(table: Any, file: Path, **_: Any) -> None:
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device") as caught:
        run(root)
    assert caught.value.remedy.startswith("Make room")
    workspace = Workspace(root)
    assert list(workspace.read("files")["path"]) == ["a.png"]
    assert [file.name for file in workspace.path.rglob("*") if file.name.endswith(".tmp")] == []


def test_nothing_in_the_folder_is_touched(root: Path) -> None:
    put(root, {"a/a.png": picture(), "a/b.jpg": b"bad"})
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    run(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_progress_counts_the_files_that_are_read(root: Path) -> None:
    put(root, {f"{number:03d}.png": picture(number) for number in range(70)})
    seen: list[tuple[int, int]] = []
    workspace = Workspace.open(root)
    scan.run(Context(workspace, 1, progress=lambda *at: seen.append(at)), scan.ScanSettings())
    assert seen == [(0, 70), (64, 70), (70, 70)]


def test_changes_since_a_scan_are_told_apart(tmp_path):
    for name in ("same.png", "gone.png", "changed.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    known = pd.DataFrame(walk(str(tmp_path)).files, columns=["path", "size", "mtime_ns"])
    assert not changes(str(tmp_path), known)
    (tmp_path / "gone.png").unlink()
    Image.new("RGB", (9, 9), "red").save(tmp_path / "changed.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "new.png")
    found = changes(str(tmp_path), known)
    assert (found.new, found.gone, found.changed) == (["new.png"], ["gone.png"], ["changed.png"])
    assert str(found) == "1 new, 1 gone, 1 changed"
