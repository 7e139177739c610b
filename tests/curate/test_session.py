"""Results as CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from curate.cli.session import write_table
from curate.errors import UserError
from curate.tables import FILES


def test_csv_leaves_out_bytes_and_vectors(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"path": ["a,b.png", "é.png"], "n": [1, 2], "hash": [b"\0", b"\1"], "vector": [np.zeros(2)] * 2}
    )
    write_table(frame, tmp_path / "out.csv")
    back = pd.read_csv(tmp_path / "out.csv")
    assert list(back.columns) == ["path", "n"]
    assert back["path"].tolist() == ["a,b.png", "é.png"]
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_csv_to_a_folder_is_told(tmp_path: Path) -> None:
    for place in (tmp_path, "."):
        with pytest.raises(UserError, match="is a folder"):
            write_table(pd.DataFrame({"a": [1]}), place)


def test_csv_to_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"out\.csv: cannot be written") as caught:
        write_table(FILES.empty(), tmp_path / "missing" / "out.csv")
    assert caught.value.remedy == "Give another place with --csv."
