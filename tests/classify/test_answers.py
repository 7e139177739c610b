"""What `classify predict` answers: which files, which classes, in which form, and bad input."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from classify import models, weights
from classify.answers import answer, as_csv, as_records
from classify.cli import app
from classify.evaluation import evaluate
from classify.prediction import PROBABILITY
from classify.weights import Preprocessing
from curate.errors import UserError

OPTIONS = {"size": 16, "width": 4}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    network = models.create("small-resnet", 3, OPTIONS)
    torch.nn.init.normal_(network.head.weight)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    weights.save(
        path, network.state_dict(), model="small-resnet", model_options=OPTIONS, classes=["ant", "bee", "cat"],
        preprocessing=Preprocessing(16), settings={"evaluation": {"flip": True, "turn": 8.0}},
    )  # fmt: skip
    return path


@pytest.fixture
def place(make_drawing, tmp_path) -> Path:
    """Four pictures in two class folders, and a file that is none beside them."""
    for index in range(4):
        folder = tmp_path / ("ant", "bee")[index % 2]
        folder.mkdir(exist_ok=True)
        make_drawing(index, 32).save(folder / f"{index}.png")
    (tmp_path / "words.png").write_text("no picture")
    return tmp_path


def test_it_says_what_evaluate_says(file, place, tmp_path):
    judged = evaluate(place, file, out=tmp_path.parent / "judged").predictions
    found = answer([place / "ant", place / "bee"], file, top=3)
    assert [Path(path).name for path in found.path] == ["0.png", "2.png", "1.png", "3.png"]
    beliefs = {Path(row["path"]).name: row for row in judged.to_dict("records")}
    for row in found.to_dict("records"):
        same = beliefs[Path(row["path"]).name]
        assert row["class_1"] == same["prediction"]
        assert row["probability_1"] == pytest.approx(same["confidence"], abs=1e-6)
        assert row["probability_1"] >= row["probability_2"] >= row["probability_3"]
        for rank in (1, 2, 3):
            expected = same[PROBABILITY + row[f"class_{rank}"]]
            assert row[f"probability_{rank}"] == pytest.approx(expected, abs=1e-6)


def test_more_classes_than_there_are_and_files_that_cannot_be_read(file, place):
    found = answer([place / "words.png", place / "ant" / "0.png", place / "gone.png"], file, top=9)
    assert "class_3" in found.columns
    assert "class_4" not in found.columns
    assert found.class_1.tolist() == ["", found.class_1[1], ""]
    assert math.isnan(found.probability_1[0])
    assert ["not those of a picture" in found.fault[0], found.fault[1], "no such file" in found.fault[2]] == [
        True,
        "",
        True,
    ]
    broken, good, _ = as_records(found)
    assert broken["classes"] == []
    assert [len(good["classes"]), good["fault"]] == [3, None]
    assert sum(one["probability"] for one in good["classes"]) == pytest.approx(1, abs=1e-5)


def run(*arguments: object, given: str = "") -> tuple[int, str, str]:
    # Wide, so that no path is folded.
    done = CliRunner().invoke(app, ["predict", *map(str, arguments)], input=given, env={"COLUMNS": "500"})
    return done.exit_code, done.stdout, done.stderr


def test_a_table_csv_and_json_lines(file, place):
    code, out, err = run(file, place)
    assert code == 0
    assert "0.png" in out
    assert "cannot be read: the bytes" in out
    assert "1 of 5 files cannot be read" in err
    code, out, _ = run(file, place / "ant", "--format", "csv", "--top", 2)
    assert pd.read_csv(io.StringIO(out)).columns.tolist() == [
        "path", "class_1", "probability_1", "class_2", "probability_2", "fault",
    ]  # fmt: skip
    assert out == as_csv(answer([place / "ant"], file, top=2))
    names = "".join(f"{path}\n" for path in sorted((place / "bee").iterdir()))
    code, out, _ = run(file, "-", "--format", "jsonl", "--quiet", given=names)
    assert [json.loads(line)["path"] for line in out.splitlines()] == names.splitlines()
    code, out, _ = run(file, place / "ant", "--json")
    assert len(json.loads(out)["pictures"]) == 2


def test_the_ending_says_what_is_written(file, place):
    for name in ("a.csv", "a.jsonl"):
        code, out, _ = run(file, place / "ant", "--out", place / name)
        assert code == 0
        assert "2 pictures" in out
    assert len(pd.read_csv(place / "a.csv")) == len((place / "a.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.png",), "nowhere.png: cannot be read"),
        (("empty",), "there is no picture to classify"),
        (("-",), "there is no picture to classify"),
        (("ant", "--out", "a.txt"), "ends neither in .csv nor in .jsonl"),
        (("ant", "--top", "0"), "Invalid value for '--top'"),
        (("ant", "--format", "xml"), "'xml' is not one of"),
        (("words.png", "words.png"), "and so it is with all 2 files"),
    ],
)
def test_bad_input_is_said_and_nothing_is_written(file, place, monkeypatch, arguments, message):
    monkeypatch.chdir(place)
    (place / "empty").mkdir()
    before = sorted(place.rglob("*"))
    code, _, err = run(file, *arguments)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())
    assert sorted(place.rglob("*")) == before


def test_weights_that_are_none(place):
    code, _, err = run(place / "words.png", place / "ant")
    assert code == 2
    assert "words.png" in err


def test_top_in_python(file, place):
    with pytest.raises(UserError, match="top is 0"):
        answer([place / "ant"], file, top=0)
    assert np.issubdtype(answer([place / "ant"], file).probability_1.dtype, np.float32)
