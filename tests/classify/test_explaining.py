"""What `classify explain` writes: which pictures, which classes, in which order, and bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from classify import models, weights
from classify.cli import app
from classify.explaining import MOST, RIGHT, UNKNOWN, WRONG, explain, sentences, summary
from classify.prediction import predict_paths
from classify.weights import Preprocessing
from curate.errors import UserError

OPTIONS = {"size": 16, "width": 4}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    torch.manual_seed(0)
    network = models.create("small-resnet", 3, OPTIONS)
    torch.nn.init.normal_(network.head.weight)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    weights.save(
        path, network.state_dict(), model="small-resnet", model_options=OPTIONS, classes=["ant", "bee", "cat"],
        preprocessing=Preprocessing(16), settings={},
    )  # fmt: skip
    return path


@pytest.fixture
def place(make_drawing, tmp_path):
    """Two pictures in each of two class folders and one of no class."""
    root = tmp_path / "test"
    for index in range(6):
        folder = root / ("ant", "bee", "other")[index % 3]
        folder.mkdir(exist_ok=True, parents=True)
        make_drawing(index, 32).save(folder / f"{index}.png")
    return root


class Drawn:
    """Takes the place of the drawing function and keeps what it was given."""

    def __init__(self):
        self.sheets = []

    def __call__(self, title, rows):
        self.sheets.append((title, rows))
        return b"picture"


def run(*arguments):
    done = CliRunner().invoke(app, ["explain", *map(str, arguments)], env={"COLUMNS": "500"})
    return done.exit_code, done.stdout, done.stderr


def test_predicted_and_true_class_of_each_picture(file, place, tmp_path):
    draw = Drawn()
    result = explain(file, [place], out=tmp_path / "out", draw=draw)
    paths = sorted(place.rglob("*.png"))
    table = predict_paths(paths, weights.load(file)).set_index("path")
    records = {record["path"]: record for record in result.content["pictures"]}
    assert sorted(records) == [str(path) for path in paths]
    for path, record in records.items():
        folder = path.split("/")[-2]
        truth = folder if folder != "other" else None
        guess = table.loc[path, "prediction"]
        assert (record["prediction"], record["truth"]) == (guess, truth)
        expected = [guess] if truth in (None, guess) else [guess, truth]
        assert [one["class"] for one in record["maps"]] == expected
        for one in record["maps"]:
            assert one["probability"] == pytest.approx(table.loc[path, f"p:{one['class']}"], abs=1e-6)
    ((title, rows),) = draw.sheets
    assert "Grad-CAM, 2 x 2 places" in title
    order = [WRONG, RIGHT, UNKNOWN]
    assert list(rows) == [heading for heading in order if heading in rows]
    for heading, below in rows.items():
        for path, about, picture, maps in below:
            truth = records[path]["truth"]
            right = truth == records[path]["prediction"]
            assert heading == (UNKNOWN if truth is None else RIGHT if right else WRONG)
            assert (picture.shape, picture.dtype) == ((16, 16, 3), np.uint8)
            assert len(maps) == len(about.splitlines()) == 1 + (heading == WRONG)
    assert json.loads((tmp_path / "out" / "explain.json").read_text()) == result.content
    assert (tmp_path / "out" / "explain-001.png").read_bytes() == b"picture"


def test_labels_of_a_list_count_before_folders(file, place, tmp_path):
    listed = tmp_path / "labels.csv"
    listed.write_text("path,label\ntest/other/2.png,cat\ntest/ant/0.png,dog\n")
    result = explain(file, [place / "other", place / "ant"], out=tmp_path / "out", labels=listed)
    truths = {record["path"].split("/")[-1]: record["truth"] for record in result.content["pictures"]}
    assert truths == {"2.png": "cat", "5.png": None, "0.png": None, "3.png": None}


def test_many_pictures_are_several_sheets(file, place, tmp_path, monkeypatch):
    monkeypatch.setattr("classify.explaining.ROWS", 4)
    draw = Drawn()
    result = explain(file, [place], out=tmp_path / "out", draw=draw)
    assert [sheet.name for sheet in result.sheets] == ["explain-001.png", "explain-002.png"]
    assert [sum(map(len, rows.values())) for _, rows in draw.sheets] == [4, 2]
    explain(file, [next(place.rglob("*.png"))], out=tmp_path / "out", draw=Drawn())
    assert sorted(sheet.name for sheet in (tmp_path / "out").glob("*.png")) == ["explain-001.png"]


def test_the_command(file, place, tmp_path):
    (place / "ant" / "words.png").write_text("no picture")
    code, out, err = run(file, place, "--out", tmp_path / "out")
    assert code == 0
    assert "6 pictures; 4 with a known class" in out
    assert "2 x 2 places over 16 pixels" in out
    assert "1 files cannot be read" in err
    assert Image.open(tmp_path / "out" / "explain-001.png").width > 500
    code, out, _ = run(file, place / "bee", "--out", tmp_path / "again", "--json")
    assert code == 0
    assert len(json.loads(out)["pictures"]) == 2


def test_a_summary_by_hand():
    saliency = np.zeros((4, 4), dtype=np.float32)
    assert summary(saliency) == {"centre": None, "area": 0.0}
    saliency[0, 2:] = 1, 0.6
    found = summary(saliency)
    assert found["area"] == 2 / 16
    assert found["centre"] == pytest.approx([(2.5 + 0.6 * 3.5) / 1.6 / 4, 0.5 / 4], abs=1e-4)


def test_empty_maps_are_said():
    maps = [{"class": "ant", "probability": 0.0, "centre": None, "area": 0.0}]
    content = {
        "pictures": [{"path": "a", "prediction": "ant", "truth": "ant", "maps": maps}],
        "layer": {"name": "stages", "side": 4}, "size": 64,
    }  # fmt: skip
    assert "1 map is empty: nothing speaks for that class." in sentences(content)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.png",), "nowhere.png: cannot be read"),
        (("empty",), "there is no picture to classify"),
        (("test", "--labels", "gone.csv"), "gone.csv: is no CSV file"),
        (("test", "--labels", "zoo.csv"), "none of its labels is a class of the weights. Its labels: zebra"),
        (("test", "--out", "test/out"), "inside the test folder"),
    ],
)
def test_bad_input_is_said_and_nothing_is_written(file, place, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "zoo.csv").write_text("path,label\ntest/ant/0.png,zebra\n")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run(file, *arguments)
    assert code == 2
    assert message in " ".join(err.split())
    assert sorted(tmp_path.rglob("*")) == before
    assert not (file.parent / "explanation").exists()


def test_more_pictures_than_anybody_looks_through(file, place):
    with pytest.raises(UserError, match=f"{MOST + 6:,} pictures are more than anybody looks through"):
        explain(file, [*place.rglob("*.png")] + ["more.png"] * MOST)
