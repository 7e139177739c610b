"""The sheet of augmentations: which rows there are, what stands in them, and bad input."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from classify.augmentations import augmentations, operations, show
from classify.cli import app
from classify.data.sources import find_source
from classify.settings import AugmentationSettings, read_settings
from curate.errors import Refused, UserError

SETTINGS = read_settings(None, ["data.size=24", "training.seed=2"])


@pytest.fixture(scope="module")
def folder(make_drawing, tmp_path_factory) -> Path:
    """Ten classes of two drawings; the first of each of three is no picture."""
    root = tmp_path_factory.mktemp("drawings") / "drawings"
    for index in range(20):
        file = root / f"class{index % 10}" / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        make_drawing(index, 48).save(file)
        if index < 3:
            file.write_bytes(b"words")
    return root


def test_every_key_belongs_to_one_operation():
    found = operations()
    keys = [key for name, strengths in found.items() for key in (name, *strengths)]
    assert keys == [field.name for field in dataclasses.fields(AugmentationSettings)]
    assert found["affine"] == ["rotate", "scale", "stretch", "translate", "shear"]
    assert found["mixup"] == ["mixup_alpha"]
    assert found["flip"] == []


def test_each_operation_alone_changes_the_pictures(folder):
    shown = show(find_source(folder), SETTINGS)
    before, alone, together = shown.rows.values()
    assert [row.name for row in alone] == list(operations())
    (untouched,) = before
    assert untouched.images.shape == (8, 24, 24, 3)
    changed = {
        row.name: (row.images != untouched.images).any((1, 2, 3)).mean() for row in (*alone, *together)
    }
    # Mirroring leaves a symmetric drawing, hue and grey a grey one; no operation leaves most of them.
    assert min(changed.values()) > 0.5, changed
    flip = next(row for row in alone if row.name == "flip")
    assert np.abs(flip.images[:, :, ::-1].astype(int) - untouched.images).max() <= 1


def test_pictures_are_of_different_classes_and_follow_the_seed(folder):
    first, again = (show(find_source(folder), SETTINGS) for _ in range(2))
    assert len(set(first.labels)) == 8
    assert first.labels == sorted(first.labels)
    assert first.paths == again.paths
    for one, other in zip(first.rows.values(), again.rows.values(), strict=True):
        assert all(np.array_equal(a.images, b.images) for a, b in zip(one, other, strict=True))
    other = show(find_source(folder), read_settings(None, ["data.size=24", "training.seed=3"]))
    assert other.paths != first.paths


def test_few_classes_are_gone_round_again(make_drawing, tmp_path):
    for index in range(6):
        (tmp_path / "ab"[index % 2]).mkdir(exist_ok=True)
        make_drawing(index).save(tmp_path / "ab"[index % 2] / f"{index}.png")
    assert show(find_source(tmp_path), SETTINGS).labels == ["a"] * 3 + ["b"] * 3


def test_the_rows_tell_their_settings(folder):
    settings = read_settings(None, ["data.size=24", "augmentation.rotate=7", "augmentation.hue=0"])
    alone = {row.name: row.about for row in list(show(find_source(folder), settings).rows.values())[1]}
    assert "p=0.8\nrotate=7 scale=0.25" in alone["affine"]
    assert "off in training" in alone["hue"]


def test_the_command_writes_the_sheet(folder, tmp_path):
    out = tmp_path / "sheet.png"
    arguments = ["augmentations", str(folder), "--out", str(out), "--set", "data.size=16", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"][1:3] == ["affine", "flip"]
    sheet = Image.open(io.BytesIO(out.read_bytes()))
    assert sheet.width > 8 * 128
    assert sheet.height > (len(operations()) + 2) * 128


def test_bad_places_are_said_and_nothing_is_written(folder, tmp_path):
    def draw(*arguments: object) -> bytes:
        return b"png"

    with pytest.raises(UserError, match=r"is a PNG"):
        augmentations(folder, tmp_path / "sheet.jpg", SETTINGS, draw=draw)
    with pytest.raises(Refused, match="among the pictures"):
        augmentations(folder, folder / "class0" / "sheet.png", SETTINGS, draw=draw)
    with pytest.raises(UserError, match="cannot be written"):
        augmentations(folder, tmp_path / "none" / "sheet.png", SETTINGS, draw=draw)
    with pytest.raises(UserError, match="no such folder"):
        augmentations(tmp_path / "none", tmp_path / "sheet.png", SETTINGS, draw=draw)
    broken = tmp_path / "broken"
    for name in "ab":
        (broken / name).mkdir(parents=True)
        (broken / name / "1.png").write_bytes(b"words")
    with pytest.raises(UserError, match=r"none of its 2 files is .* the first is a/1\.png: the bytes"):
        augmentations(broken, tmp_path / "sheet.png", SETTINGS, draw=draw)
    assert not list(tmp_path.glob("*.png"))
