"""The embeddings table: each content once, whatever its names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate.photos import look
from curate.photos.look import update_embeddings
from curate.tables import EMBEDDINGS


@pytest.fixture
def folder(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "broken.png").write_bytes(b"nothing")
    return tmp_path


def files_of(folder: Path) -> pd.DataFrame:
    rows = [
        (
            file.name,
            hashlib.sha256(file.read_bytes()).hexdigest(),
            "unreadable" if "broken" in file.name else "ok",
        )
        for file in sorted(folder.glob("*.png"))
    ]
    return pd.DataFrame(rows, columns=["path", "content", "status"])


def update(folder: Path, known: pd.DataFrame, files: pd.DataFrame | None = None) -> pd.DataFrame:
    return update_embeddings(
        files_of(folder) if files is None else files, known, "builtin", str(folder), workers=1
    )


def test_a_row_for_each_readable_content(folder):
    found = update(folder, EMBEDDINGS.empty())
    assert list(found.columns) == list(EMBEDDINGS.columns)
    assert len(found) == 3
    np.testing.assert_allclose([np.linalg.norm(vector) for vector in found["vector"]], 1, rtol=1e-5)
    assert len({len(cues) for cues in found["cues"]}) == 1


def test_what_is_known_is_not_read_again(folder, monkeypatch):
    known = update(folder, EMBEDDINGS.empty())
    Image.new("RGB", (20, 20), "red").save(folder / "new.png")
    (folder / "a.png").rename(folder / "renamed.png")
    read: list[str] = []
    prepare = look._prepare
    monkeypatch.setattr(
        look, "_prepare", lambda paths, preparations: (read.extend(paths), prepare(paths, preparations))[1]
    )
    found = update(folder, known)
    assert [Path(path).name for path in read] == ["new.png"]
    assert len(found) == 4
    merged = known.merge(found, on="content", suffixes=("", "_later"))
    assert all((row.vector == row.vector_later).all() for row in merged.itertuples())


def test_what_is_gone_from_the_folder_is_gone_from_the_table(folder):
    known = update(folder, EMBEDDINGS.empty())
    (folder / "b.png").unlink()
    assert len(update(folder, known)) == 2


def test_a_file_that_vanished_since_the_scan_has_no_row(folder):
    files = files_of(folder)
    (folder / "b.png").unlink()
    found = update(folder, EMBEDDINGS.empty(), files)
    gone = files.loc[files["path"] == "b.png", "content"].item()
    assert len(found) == 2
    assert gone not in set(found["content"])


def test_workers_do_not_change_the_result(folder, monkeypatch):
    monkeypatch.setattr(look, "_CHUNK", 1)
    one = update(folder, EMBEDDINGS.empty())
    two = update_embeddings(files_of(folder), EMBEDDINGS.empty(), "builtin", str(folder), workers=2)
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True))


def test_a_folder_without_a_readable_picture(folder):
    files = files_of(folder).assign(status="unreadable")
    assert update(folder, EMBEDDINGS.empty(), files).empty
