"""Model cards: every figure from a record, what is missing said, names that cannot break the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from classify import models, weights
from classify.exporting import write_card
from classify.exporting.card import CARD, UNKNOWN, model_card
from classify.exporting.limits import plain
from classify.provenance import file_digest
from classify.weights import Preprocessing
from curate.errors import UserError

OPTIONS = {"size": 16, "width": 2}
CLASSES = ["ant", "bee|wasp", "<b>cat</b>", "dog"]


def save(path: Path, **more) -> Path:
    torch.manual_seed(0)
    network = models.create("small-resnet", 4, OPTIONS)
    weights.save(
        path, network.state_dict(), model="small-resnet", model_options=OPTIONS, classes=CLASSES,
        preprocessing=Preprocessing(16), **{"settings": {}, **more},
    )  # fmt: skip
    return path


def metrics(digest: str | None) -> dict:
    """An evaluation with everything in it; the scores are made up."""
    scores = {"ant": 0.9, "bee|wasp": 0.5, "<b>cat</b>": 0.25, "dog": 0.75}
    return {
        "folder": "/home/somebody/secret/testset",
        "weights": "/home/somebody/run/best.safetensors",
        "weights_sha256": digest,
        "pictures": 123,
        "accuracy": 0.6543,
        "macro_f1": 0.5987,
        "per_class": {
            key: {"precision": value, "recall": value, "f1": value, "support": 100 if key == "ant" else 8}
            for key, value in scores.items()
        },
        "most_confused": [{"label": "dog", "prediction": "ant", "count": 5, "share": 0.31}],
        "intervals": {
            "level": 0.95,
            "accuracy": [0.61, 0.69],
            "macro_f1": [0.55, 0.64],
            "per_class": {"ant": {"f1": [0.81, 0.97]}},
        },
        "calibration": {"ece": 0.032, "ece_without_temperature": 0.101},
        "leaks": {"checked": "all", "count": 4, "without": {"accuracy": 0.633}},
        "classes_without_pictures": ["eel"],
    }


@pytest.fixture
def run(tmp_path) -> Path:
    """A run's folder with all its records; the weights file in it."""
    extra = {"epoch": 2, "val_macro_f1": 0.71, "temperature": 1.25}
    settings = {"data": {"extra": ["/home/somebody/more"], "size": 16}, "training": {"seed": 3}}
    path = save(tmp_path / "best.safetensors", extra=extra, settings=settings)
    record = {
        "start": "random weights, drawn from training.seed",
        "seed": 3,
        "data_sha256": "d" * 64,
        "data": {
            "source": "/home/somebody/pictures",
            "pictures": {"ant": {"train": 400, "val": 40}, "bee|wasp": {"train": 60}, "dog": {"train": 12, "val": 2}},
        },
        "arithmetic": "fp32",
        "computed_on": {"device": "cpu", "threads": 2},
        "versions": {"torch": "2.15.0"},
        "finish": {"ended": "2026-01-02T03:04:05+00:00", "epochs": 7, "sha256": {"best.safetensors": file_digest(path)}},
    }  # fmt: skip
    (tmp_path / "provenance.json").write_text(json.dumps(record))
    (tmp_path / "history.csv").write_text("epoch,macro_f1,accuracy\n1,0.5,0.6\n2,0.71,0.72\n")
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(metrics(file_digest(path))))
    return path


def test_every_record_is_told(run):
    card = model_card(run)
    for told in (
        "| epoch kept | 2 of 7 |",
        "| temperature | 1.250 |",
        "| started from | random weights, drawn from training.seed |",
        "| training pictures | 472 |",
        "| validation pictures | 42 |",
        "| folder or file | pictures |",
        "d" * 64,
        "device cpu, threads 2",
        "macro-F1 0.710, accuracy 0.720",
        "123 test pictures of testset",
        "| accuracy | 0.6543 | 0.610 to 0.690 |",
        "| ant | 100 | 0.900 | 0.900 | 0.900 | 0.810 to 0.970 |",
        "Confidence is off by 0.032",
        "without the temperature 0.101",
        "4 test pictures were found in the training set",
        f"{sum(p.numel() for p in weights.load(run).model.parameters()):,}",
    ):
        assert told in card, told


def test_leaks_that_were_not_looked_for_are_no_limit(run):
    file = run.parent / "evaluation" / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"leaks": None}))
    limits = model_card(run).partition("## Limits")[2]
    assert "in the training set too" not in limits
    assert "Not tested at all: eel" in limits


def test_the_history_of_another_run_is_left_out(run):
    (run.parent / "history.csv").write_text("epoch,macro_f1,accuracy\n1,0.5,0.6\n2,0.981,0.985\n")
    card = model_card(run)
    assert "macro-F1 0.710" in card
    assert "0.985" not in card
    assert "history.csv beside the weights is about others" in card


def test_limits_come_from_the_figures(run):
    limits = model_card(run).partition("## Limits")[2].partition("##")[0]
    assert "The weakest classes are \\<b\\>cat\\</b\\> (F1 0.25" in limits
    assert "dog taken for ant (5, 31% of its pictures)" in limits
    assert "rest on fewer than 20 test pictures" in limits
    assert "Learnt from fewer than 50 pictures each: dog." in limits
    assert "unbalanced: ant has 400 training pictures, dog 12" in limits
    assert "Not tested at all: eel" in limits
    assert "4 test pictures are in the training set too; without them the accuracy is 0.633" in limits


def test_the_front_matter_is_what_hugging_face_reads(run):
    front = model_card(run).split("---\n")[1]
    values = {key: json.loads(value) for key, value in (line.split(": ", 1) for line in front.splitlines())}
    assert values["pipeline_tag"] == "image-classification"
    (result,) = values["model-index"][0]["results"]
    assert result["dataset"]["name"] == "testset"
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [
        ("accuracy", 0.6543),
        ("f1", 0.5987),
    ]


def test_weights_alone_give_a_card_that_invents_nothing(tmp_path):
    card = model_card(save(tmp_path / "w.safetensors"))
    for place in (
        "epoch kept",
        "trained until",
        "started from",
        "training pictures",
        "folder or file",
        "seed",
    ):
        assert f"| {place} | {UNKNOWN} |" in card
    assert "On the validation part: not recorded" in card
    assert "On test pictures: not recorded" in card
    assert "No test is recorded" in card
    assert "The settings are not recorded" in card
    assert "model-index" not in card
    assert "nan" not in card.lower()


def test_records_of_other_weights_are_left_out_and_that_is_said(run):
    save(run, extra={"epoch": 99})
    (run.parent / "evaluation" / "metrics.json").write_text(json.dumps(metrics("e" * 64)))
    card = model_card(run)
    assert "provenance.json beside the weights is about others" in card.replace("\\", "")
    assert "metrics.json is about other weights" in card
    assert "| training pictures | not recorded |" in card
    assert "0.6543" not in card


@pytest.mark.parametrize("name", ["provenance.json", "evaluation/metrics.json", "history.csv"])
@pytest.mark.parametrize("content", ["{", "[]", "epoch\nx\n", '{"finish": null}'])
def test_a_damaged_record_is_left_out_and_that_is_said(run, name, content):
    (run.parent / name).write_text(content)
    card = model_card(run)
    if "null" not in content and (name != "history.csv" or content.startswith("epoch")):
        assert f"{Path(name).name} cannot be read" in card
    assert "## Limits" in card


def test_names_cannot_break_the_page_and_folders_are_not_told(run):
    card = model_card(run)
    rows = [line for line in card.splitlines() if line.startswith("| bee")]
    assert rows
    assert all(row.startswith("| bee\\|wasp |") for row in rows)
    assert "<b>" not in card
    assert "somebody" not in card
    assert 'extra = ["more"]' in card
    assert re.fullmatch(r"a\\\|b c\\\*\\_\\`", plain("a|b\nc*_`"))


def test_it_is_written_beside_the_weights_or_elsewhere(run, tmp_path):
    assert write_card(run) == run.parent / CARD
    (tmp_path / "other").mkdir()
    assert write_card(run, tmp_path / "other").read_text() == model_card(run)
    with pytest.raises(UserError, match="there is no such folder"):
        write_card(run, tmp_path / "nowhere")
    with pytest.raises(UserError, match="there is no such file"):
        write_card(tmp_path / "gone.safetensors")
