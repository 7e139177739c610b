"""Paths as text."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.paths import path_from_text, path_to_text


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
