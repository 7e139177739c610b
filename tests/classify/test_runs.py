"""The folder of a run: made, held, and gone again where nothing came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from classify import checkpoints
from classify.runs import run_folder, see_apart, settings_of
from classify.settings import Settings, read_settings
from curate.errors import Locked, UserError


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


def test_a_folder_that_cannot_be_held_is_told(tmp_path: Path) -> None:
    (tmp_path / "run" / ".lock").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be written") as error, run_folder(tmp_path / "run"):
        pass
    assert "--out" in error.value.remedy


def test_on_resuming_the_defaults_are_settings_too(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(read_settings(None, ["training.minutes=3"]).resolved().to_toml())
    (tmp_path / checkpoints.NAME).touch()
    assert settings_of(tmp_path, None, resume=True).training.minutes == 3
    with pytest.raises(UserError, match=r"training\.minutes = 3\.0, not 15\.0"):
        settings_of(tmp_path, Settings(), resume=True)


def test_results_do_not_lie_among_the_pictures(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for out in (pictures, pictures / "runs" / "pictures", tmp_path / "other" / ".." / "pictures" / "run"):
        with pytest.raises(UserError, match="among the pictures"):
            see_apart(out, pictures)
    see_apart(tmp_path / "pictures of me", pictures)
    see_apart(pictures, None)


def test_a_run_whose_name_is_not_utf_8_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\\xff: is not UTF-8"):
        settings_of(tmp_path / "run\udcff", None, resume=False)
