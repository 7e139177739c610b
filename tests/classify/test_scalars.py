"""Curves for TensorBoard: what is written, and what is said where it is not installed."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest

from classify.history import Epoch
from classify.scalars import FOLDER, scalars
from classify.settings import Settings, read_settings
from classify.training import train
from curate.errors import UserError

ON = read_settings(None, ["training.tensorboard=true"])


def epoch(number: int, loss: float) -> Epoch:
    return Epoch(number, loss, math.nan, 0.5, 0.002, 1.0, 0.1, 640.0, 0.05, 64, 0.5, 9.0)


def read(run: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run / FOLDER))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def test_each_epoch_is_a_point_and_is_passed_on(tmp_path):
    pytest.importorskip("tensorboard")
    seen = []
    with scalars(tmp_path, ON, 0, seen.append) as write:
        for number in (1, 2):
            write(epoch(number, 4.0 / number))
    assert [one.epoch for one in seen] == [1, 2]
    curves = read(tmp_path)
    assert curves["training/loss"] == [(1, 4.0), (2, 2.0)]
    assert curves["training/pictures_per_second"] == [(1, 640.0), (2, 640.0)]
    assert curves["validation/accuracy"] == [(1, 0.5), (2, 0.5)]
    assert "validation/macro_f1" not in curves, "there was none"
    assert len(curves) == 4


def test_a_resumed_run_goes_on_with_its_curves(tmp_path):
    pytest.importorskip("tensorboard")
    for done, losses in ((0, (8.0, 7.0, 6.0)), (2, (5.0, 4.0))):
        with scalars(tmp_path, ON, done, lambda epoch: None) as write:
            for number, loss in enumerate(losses, done + 1):
                write(epoch(number, loss))
    assert read(tmp_path)["training/loss"] == [(1, 8.0), (2, 7.0), (3, 5.0), (4, 4.0)]


def test_nothing_is_written_unasked(tmp_path):
    seen = []
    with scalars(tmp_path, Settings(), 0, seen.append) as write:
        write(epoch(1, 4.0))
    assert len(seen) == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_said_before_anything_is_read(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "tensorboard" else find(name, *more)
    )
    with pytest.raises(UserError, match="not installed") as caught:
        train(tmp_path / "missing folder", tmp_path / "run", ON)
    assert "curate-classify[tensorboard]" in caught.value.remedy
    assert not list(tmp_path.iterdir())
