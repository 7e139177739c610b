"""The schemas, and paths as text."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import UserError
from curate.tables import FILES, TABLES, path_from_text, path_to_text, write_csv


@pytest.mark.parametrize("name", TABLES)
def test_schema(name: str) -> None:
    table = TABLES[name]
    assert table.name == name
    assert table.version >= 1
    assert set(table.key) <= set(table.columns)
    assert table.arrow_schema().names == list(table.columns)
    assert all(column.meaning for column in table.columns.values())


@pytest.mark.parametrize("name", TABLES)
def test_empty_frame_has_the_columns(name: str) -> None:
    frame = TABLES[name].empty()
    assert list(frame.columns) == list(TABLES[name].columns)
    assert len(frame) == 0


def test_empty_frame_has_the_types() -> None:
    frame = FILES.empty()
    assert frame["size"].dtype == np.int64
    assert frame["brightness"].dtype == np.float32


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain/name.png", "plain/name.png"),
        ("日本/é.png".encode(), "日本/é.png"),
        (b"caf\xe9.png", "caf\\xe9.png"),
        (b"back\\slash.png", "back\\slash.png"),
        (b"back\\x41.png", "back\\x5cx41.png"),
        (b"a\nb\t.png", "a\nb\t.png"),
    ],
)
def test_paths(raw: bytes, text: str) -> None:
    assert path_to_text(raw) == text
    assert os.fsencode(path_from_text(text)) == raw


@given(st.binary(max_size=40))
def test_any_bytes_come_back(raw: bytes) -> None:
    text = path_to_text(raw)
    text.encode("utf-8")  # valid Unicode, so that Parquet and CSV take it
    assert os.fsencode(path_from_text(text)) == raw


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=2, unique=True))
def test_different_paths_stay_different(pair: list[bytes]) -> None:
    assert path_to_text(pair[0]) != path_to_text(pair[1])


def test_csv_leaves_out_bytes_and_vectors(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"path": ["a,b.png", "é.png"], "n": [1, 2], "hash": [b"\0", b"\1"], "vector": [np.zeros(2)] * 2}
    )
    write_csv(frame, tmp_path / "out.csv")
    back = pd.read_csv(tmp_path / "out.csv")
    assert list(back.columns) == ["path", "n"]
    assert back["path"].tolist() == ["a,b.png", "é.png"]
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_csv_to_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"out\.csv: cannot be written") as caught:
        write_csv(FILES.empty(), tmp_path / "missing" / "out.csv")
    assert caught.value.remedy == "Give another place with --csv."
