"""The schemas."""

from __future__ import annotations

import numpy as np
import pytest

from curate.tables import FILES, TABLES


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
