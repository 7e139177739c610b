"""The folder of a run: made, held, and gone again where nothing came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from classify.runs import run_folder
from curate.errors import Locked


def test_a_second_training_in_the_same_run_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    with (
        run_folder(run),
        pytest.raises(Locked, match="another training is at work") as error,
        run_folder(run),
    ):
        pass
    assert "--out" in error.value.remedy
    with run_folder(run):
        pass


def test_a_run_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_folder(tmp_path / "runs" / "one"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.safetensors").write_bytes(b"weights")
    with pytest.raises(ZeroDivisionError), run_folder(tmp_path / "run"):
        raise ZeroDivisionError
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == b"weights"
