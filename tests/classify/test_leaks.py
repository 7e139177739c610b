"""Test pictures that the network was trained on: found from the file beside the weights alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

from classify import fingerprints, weights
from classify.cli import app
from classify.data.cache import read_pictures
from classify.data.dataset import Seen
from classify.data.items import decode
from classify.data.prints import MOST, print_of, read_prints, resolved
from classify.evaluation import evaluate
from classify.evaluation.leaks import find_leaks
from classify.settings import read_settings
from classify.training import train
from curate.images import Unreadable
from curate.lookalikes import Print

TINY = [
    "data.size=16",
    "model.width=4",
    "training.epochs=1",
    "training.minutes=0",
    "training.batch_size=4",
    "training.precision=fp32",
    "training.device=cpu",
]
CLASSES = ["left", "right"]


def trained(pictures, run, *more):
    train(pictures, run, read_settings(None, [*TINY, *more]), workers=1)
    return run / "best.safetensors"


@pytest.fixture(scope="module")
def pictures(scene, tmp_path_factory):
    """Six scenes in each of two classes."""
    root = tmp_path_factory.mktemp("leaks") / "pictures"
    for number in range(12):
        file = root / CLASSES[number % 2] / f"{number:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        scene(number, 96).save(file)
    return root


@pytest.fixture(scope="module")
def model(pictures, tmp_path_factory):
    """The weights of a run on them; the pictures are not looked at again."""
    return trained(pictures, tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def folder(pictures, scene, tmp_path_factory):
    """A copy to the byte, one to the pixel, a crop under another class, and a picture of its own with its mirror image."""
    root = tmp_path_factory.mktemp("test") / "test"
    for name in CLASSES:
        (root / name).mkdir(parents=True)
    shutil.copy(pictures / "left" / "00.png", root / "left" / "a.png")
    Image.open(pictures / "right" / "01.png").save(root / "right" / "b.bmp")
    Image.open(pictures / "left" / "02.png").crop((5, 6, 92, 90)).save(root / "right" / "c.jpg", quality=80)
    scene(50, 96).save(root / "left" / "d.png")
    ImageOps.mirror(scene(50, 96)).save(root / "left" / "e.jpg")
    return root


@pytest.fixture(scope="module")
def judged(folder, model, tmp_path_factory):
    return evaluate(folder, model, out=tmp_path_factory.mktemp("out"), workers=1)


def checked(folder, model):
    """`find_leaks` on the pictures of a folder of class folders."""
    files = sorted(path for path in folder.rglob("*.*") if path.is_file())
    return find_leaks(
        [str(file) for file in files],
        [file.relative_to(folder).as_posix() for file in files],
        [file.parent.name for file in files],
        model,
        weights.load(model),
        workers=1,
    )


# What is found ------------------------------------------------------------------------------------------------------


def test_leaks_of_all_kinds_are_told(judged):
    found = judged.metrics["leaks"]
    assert found["checked"] == "all"
    assert found["count"] == 3
    assert found["paths"] == ["left/a.png", "right/b.bmp", "right/c.jpg"]
    told = [(pair["training_path"], pair["kind"], pair["agrees"]) for pair in found["pairs"]]
    assert told == [
        ("left/00.png", "bytes", True),
        ("right/01.png", "pixels", True),
        ("left/02.png", "near", False),
    ]
    assert {pair["part"] for pair in found["pairs"]} <= {"train", "val"}
    assert found["groups"] == 4


def test_the_scores_without_leaks_are_those_of_the_other_pictures(judged):
    rest = judged.predictions[~judged.predictions["path"].isin(judged.metrics["leaks"]["paths"])]
    without = judged.metrics["leaks"]["without"]
    assert without["pictures"] == 2
    assert without["accuracy"] == (rest["label"] == rest["prediction"]).mean()
    assert "macro_f1" in without
    assert f"Of the other 2 pictures: accuracy {without['accuracy']:.4f}" in judged.text
    assert (
        "3 of 5 test pictures are in the training set (1 to the byte, 1 to the pixel, 1 as edited copies)"
        in judged.text
    )
    assert "1 of them had another class in training." in judged.text


def test_the_training_pictures_may_be_gone(pictures, folder, tmp_path):
    mine = Path(shutil.copytree(pictures, tmp_path / "pictures"))
    model = trained(mine, tmp_path / "run")
    shutil.rmtree(mine)
    moved = shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    found = checked(folder, Path(moved) / model.name)
    assert [leak.kind for leak in found.leaks] == ["bytes", "pixels", "near"]


def test_duplicates_within_the_test_set_share_a_group(folder, model):
    found = checked(folder, model)
    assert found.groups.tolist() == [0, 1, 1, 3, 4]  # a, d, e, b, c
    assert found.groups.dtype == np.int64


def test_where_nothing_leaks_that_is_said(scene, model, tmp_path):
    (tmp_path / "left").mkdir()
    scene(77, 96).save(tmp_path / "left" / "one.png")
    found = checked(tmp_path, model)
    assert (found.leaks, found.checked) == ([], "all")
    assert found.notes == ["None of 1 test picture was found in the training set."]


def test_all_pictures_may_leak(pictures, model, tmp_path):
    found = evaluate(pictures, model, out=tmp_path, workers=1).metrics["leaks"]
    assert found["count"] == 12
    assert found["without"] is None
    assert {pair["kind"] for pair in found["pairs"]} == {"bytes"}
    assert {pair["part"] for pair in found["pairs"]} == {"train", "val"}


def test_a_picture_that_went_away_is_no_leak(folder, model):
    found = find_leaks(
        ["nowhere.png", str(folder / "left" / "a.png")],
        ["nowhere.png", "left/a.png"],
        ["left", "left"],
        model,
        weights.load(model),
        workers=1,
    )
    assert [leak.row for leak in found.leaks] == [1]
    assert found.groups.tolist() == [0, 1]


# What cannot be checked ----------------------------------------------------------------------------------------------


def test_weights_that_were_copied_alone(folder, model, tmp_path):
    alone = Path(shutil.copy(model, tmp_path))
    found = checked(folder, alone)
    assert (found.checked, found.leaks) == ("no", [])
    assert found.groups.tolist() == [0, 1, 1, 3, 4]
    (note,) = found.notes
    assert f"{tmp_path / fingerprints.NAME} is missing; copy it along with the weights" in note
    assert found.measure(pd.DataFrame(), CLASSES)["checked"] == "no"


def test_fingerprints_of_another_run_are_not_believed(folder, pictures, model, tmp_path):
    fewer = Path(shutil.copytree(pictures, tmp_path / "fewer"))
    (fewer / "left" / "00.png").unlink()
    other = trained(fewer, tmp_path / "run")
    shutil.copy(model.parent / fingerprints.NAME, other.parent)
    found = checked(folder, other)
    assert (found.checked, found.leaks) == ("no", [])
    assert "belongs to other weights" in found.notes[0]


@pytest.mark.parametrize("damage", [b"", b"words", None])
def test_a_damaged_file_is_said(damage, folder, model, tmp_path):
    shutil.copytree(model.parent, tmp_path / "run")
    file = tmp_path / "run" / fingerprints.NAME
    file.write_bytes(file.read_bytes()[:-40] if damage is None else damage)
    found = checked(folder, tmp_path / "run" / model.name)
    assert found.checked == "no"
    assert "cannot be read" in found.notes[0]


def test_a_file_of_a_later_layout_is_said(folder, model, tmp_path):
    shutil.copytree(model.parent, tmp_path / "run")
    file = tmp_path / "run" / fingerprints.NAME
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({b"curate-classify-fingerprints": b'{"version": 2}'}), file)
    assert "layout 2" in checked(folder, tmp_path / "run" / model.name).notes[0]


def test_weights_of_an_older_version(folder, model, tmp_path):
    classifier = weights.load(model)
    old = tmp_path / "old.safetensors"
    weights.save(
        old,
        classifier.model.state_dict(),
        model=classifier.metadata["model"]["name"],
        model_options=classifier.metadata["model"]["options"],
        classes=classifier.classes,
        preprocessing=classifier.preprocessing,
        settings={},
    )
    assert "kept nothing of the training pictures" in checked(folder, old).notes[0]


def test_hashes_alone_tell_bytes_and_pixels(folder, pictures, tmp_path):
    model = trained(pictures, tmp_path / "run", "data.fingerprints=hashes")
    found = checked(folder, model)
    assert found.checked == "hashes"
    assert [leak.kind for leak in found.leaks] == ["bytes", "pixels"]
    assert "the same bytes and the same pixels in the training set alone" in found.notes[0]
    assert found.groups.tolist() == [0, 1, 1, 3, 4]


def test_a_run_may_keep_nothing(folder, pictures, tmp_path):
    model = trained(pictures, tmp_path / "run", "data.fingerprints=none")
    assert not (tmp_path / "run" / fingerprints.NAME).exists()
    assert "data.fingerprints = none" in checked(folder, model).notes[0]


def test_too_many_test_pictures_are_compared_by_hashes(folder, model, monkeypatch):
    monkeypatch.setattr("classify.evaluation.leaks.MOST", 4)
    found = checked(folder, model)
    assert found.checked == "hashes"
    assert [leak.kind for leak in found.leaks] == ["bytes", "pixels"]
    assert "more than 4 test pictures" in found.notes[0]


# The file beside the weights ------------------------------------------------------------------------------------------


def test_a_run_keeps_one_small_row_a_picture(pictures, model):
    table = pd.read_parquet(model.parent / fingerprints.NAME)
    assert list(table.columns) == ["path", "label", "part", "content", "pixels", "copy"]
    assert table["path"].tolist() == sorted(f"{CLASSES[n % 2]}/{n:02}.png" for n in range(12))
    assert (table["path"].str.split("/").str[0] == table["label"]).all()
    assert set(table["part"]) == {"train", "val"}
    assert table["copy"].map(len).between(1, 15_000).all()
    assert (
        weights.load(model).metadata["data_sha256"]
        == json.loads((model.parent / "provenance.json").read_text())["data_sha256"]
    )


def test_the_same_run_writes_the_same_bytes(pictures, model, tmp_path):
    again = trained(pictures, tmp_path / "run")
    assert (again.parent / fingerprints.NAME).read_bytes() == (model.parent / fingerprints.NAME).read_bytes()
    assert again.read_bytes() == model.read_bytes()


def test_what_is_packed_comes_back():
    seen = [
        Seen("a/\u00e9.png", "a", "train", Print(b"1" * 32, b"2" * 32, b"3")),
        Seen("b", "b", "val", Print(b"4", b"5")),
    ]
    assert fingerprints.unpack(fingerprints.pack(seen)) == seen
    assert fingerprints.unpack(fingerprints.pack([])) == []


def test_a_run_that_goes_on_keeps_its_fingerprints(pictures, tmp_path):
    model = trained(pictures, tmp_path / "run")
    before = (tmp_path / "run" / fingerprints.NAME).stat().st_mtime_ns
    train(pictures, tmp_path / "run", resume=True, workers=1)
    assert (tmp_path / "run" / fingerprints.NAME).stat().st_mtime_ns == before
    (tmp_path / "run" / fingerprints.NAME).unlink()
    train(pictures, tmp_path / "run", resume=True, workers=1)
    assert fingerprints.beside(model, weights.load(model)).copies


# Prints ---------------------------------------------------------------------------------------------------------------


def test_auto_keeps_copies_of_few_pictures():
    assert [resolved("auto", count) for count in (1, MOST, MOST + 1)] == ["full", "full", "hashes"]
    assert [resolved(mode, 10**6) for mode in ("full", "hashes", "none")] == ["full", "hashes", "none"]


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0)])
def test_prints_do_not_depend_on_what_the_network_sees(background, scene, tmp_path):
    scene(1, 900).save(tmp_path / "large.jpg")
    glass = scene(2, 96)
    glass.putalpha(128)
    glass.save(tmp_path / "glass.png")
    array = np.asarray(scene(3, 64))
    items = [str(tmp_path / "large.jpg"), str(tmp_path / "glass.png"), array]
    sees = weights.Preprocessing(size=32, background=background)
    taken = [print_of(item, *decode(item, sees), sees, copy=True) for item in items]
    assert taken == read_prints(items, copies=True, workers=1)
    assert decode(items[0], sees)[0].width < 900


def test_a_jpeg_that_can_be_decoded_at_a_reduced_scale_alone_is_still_learnt_from(
    scene, tmp_path, monkeypatch
):
    def refuse(data):
        raise Unreadable("corrupt")

    scene(1, 900).save(tmp_path / "large.jpg")
    monkeypatch.setattr("classify.data.prints.open_image", refuse)
    found = read_pictures(
        [str(tmp_path / "large.jpg")], weights.Preprocessing(size=32), workers=1, prints="full"
    )
    assert found.unreadable == []
    assert found.prints[0].copy


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_tells_leaks_and_may_be_told_not_to(folder, model, tmp_path):
    def run(*more):
        arguments = ["evaluate", str(folder), str(model), "--workers", "1", *more]
        return CliRunner().invoke(app, arguments, env={"COLUMNS": "400"})

    told = run("--out", str(tmp_path / "one"))
    assert told.exit_code == 0, told.output
    assert "3 of 5 test pictures are in the training set" in told.output
    silent = run("--no-leaks", "--out", str(tmp_path / "two"))
    assert silent.exit_code == 0, silent.output
    assert "training set" not in silent.output
    assert json.loads((tmp_path / "two" / "metrics.json").read_text())["leaks"] is None
