"""Wrong pictures of an evaluation: which, in which order, shown how, and bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from classify import models, weights
from classify.cli import app
from classify.errors import find_errors, wrong
from classify.weights import Classifier, Preprocessing
from curate.errors import UserError

ROWS = [  # path, label, p:level, p:upright
    ("level/0.png", "level", 0.9, 0.1),
    ("level/1.png", "level", 0.4, 0.6),
    ("level/2.png", "level", 0.05, 0.95),
    ("upright/3.png", "upright", 0.7, 0.3),
    ("upright/4.png", "upright", 0.2, 0.8),
]


@pytest.fixture
def evaluation(stripes, tmp_path) -> Path:
    place = tmp_path / "evaluation"
    place.mkdir()
    frame = pd.DataFrame(ROWS, columns=["path", "label", "p:level", "p:upright"])
    frame["prediction"] = np.where(frame["p:level"] > 0.5, "level", "upright")
    frame["confidence"] = frame[["p:level", "p:upright"]].max(axis=1)
    frame.to_parquet(place / "predictions.parquet")
    (place / "metrics.json").write_text(
        json.dumps({"folder": str(stripes), "weights": str(tmp_path / "w.safetensors")})
    )
    return place


def page(title, sentences, groups) -> str:
    page.groups = groups
    return title


def test_wrong_pictures_by_class_the_worst_first(evaluation):
    found = find_errors(evaluation, draw=page)
    assert found.table["path"].tolist() == ["level/2.png", "level/1.png", "upright/3.png"]
    assert found.table["margin"].tolist() == pytest.approx([0.9, 0.2, 0.4])
    assert found.table["p_label"].tolist() == pytest.approx([0.05, 0.4, 0.3])
    assert found.sentences[0] == "3 of 5 pictures are wrong (60.0%)."
    assert "Of 1 of them the classifier was sure" in found.sentences[1]
    written = pd.read_csv(evaluation / "errors.csv")
    assert written["path"].tolist() == found.table["path"].tolist()
    content = json.loads((evaluation / "errors.json").read_text())
    assert content["per_class"] == {"level": 2, "upright": 1}
    assert [content["wrong"], content["sure_and_wrong"], content["schema"]] == [3, 1, 1]
    first = page.groups[0]["pictures"][0]
    assert [first["tag"], first["text"], first["saliency"]] == ["upright", "95% sure; level 5%", None]
    assert first["picture"].shape == (160, 160, 3)


def test_none_wrong(evaluation):
    frame = pd.read_parquet(evaluation / "predictions.parquet").iloc[[0, 4]]
    frame.to_parquet(evaluation / "predictions.parquet")
    found = find_errors(evaluation, draw=page)
    assert found.sentences == ["None of 2 pictures are wrong."]
    assert found.table.empty
    assert (evaluation / "errors.csv").read_text().startswith("path,label")


def test_a_saliency_that_is_handed_in_is_asked_about_the_prediction(evaluation, tmp_path):
    options = {"size": 16, "width": 4}
    network = models.create("small-resnet", 2, options)
    weights.save(
        tmp_path / "w.safetensors", network.state_dict(), model="small-resnet", model_options=options,
        classes=["level", "upright"], preprocessing=Preprocessing(16), settings={},
    )  # fmt: skip
    asked = []

    def saliency(classifier):
        def look(picture, index):
            asked.append((classifier.classes[index], picture.shape, picture.dtype))
            return np.eye(16)

        return look

    find_errors(evaluation, saliency=saliency, draw=page)
    assert asked == [(name, (16, 16, 3), np.uint8) for name in ("upright", "upright", "level")]
    shown = page.groups[0]["pictures"][0]
    assert shown["saliency"].shape == (16, 16)
    assert shown["picture"].shape == (16, 16, 3)


def test_where_no_saliency_can_be_had_the_reason_is_said(evaluation):
    said = []
    found = find_errors(evaluation, saliency=lambda classifier: None, draw=page, say=said.append)
    assert found.sentences[-1] == said[-1]
    assert said[-1].startswith("Where the network looked is not shown.")
    assert page.groups[0]["pictures"][0]["picture"].shape == (160, 160, 3)


def test_weights_that_changed_since_are_not_asked_where_they_looked(evaluation, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"others")
    classifier = Classifier(torch.nn.Identity(), ["one", "other"], Preprocessing(16), {}, {})
    metrics = json.loads((evaluation / "metrics.json").read_text())
    (evaluation / "metrics.json").write_text(json.dumps(metrics | {"weights_sha256": "0" * 64}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "load", lambda *arguments: classifier)
        found = find_errors(evaluation, saliency=lambda classifier: pytest.fail("was asked"), draw=page)
    assert "w.safetensors: has changed since. Evaluate anew." in found.sentences[-1]
    assert page.groups[0]["pictures"][0]["picture"].shape == (160, 160, 3)


def test_pictures_that_are_gone_are_named(evaluation):
    metrics = json.loads((evaluation / "metrics.json").read_text())
    (evaluation / "metrics.json").write_text(json.dumps(metrics | {"folder": "/nowhere/at/all"}))
    found = find_errors(evaluation, draw=page)
    assert len(found.table) == 3
    assert "The pictures are not shown" in found.sentences[-1]
    assert page.groups[0]["pictures"][0]["picture"] is None


def test_pictures_of_a_list_with_labels_of_its_own_are_shown(evaluation, stripes, tmp_path):
    table = pd.read_parquet(evaluation / "predictions.parquet")
    names = {"level": "waagrecht", "upright": "senkrecht"}
    shutil.copytree(stripes, tmp_path / "set")
    table["path"] = "set/" + table["path"]
    rows = [f"{path},{names[label]}" for path, label in zip(table["path"], table["label"], strict=True)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    table.to_parquet(evaluation / "predictions.parquet")
    metrics = json.loads((evaluation / "metrics.json").read_text())
    mapped = {other: name for name, other in names.items()}
    metrics |= {"folder": str(tmp_path / "list.csv"), "folders": {"mapped": mapped}}
    (evaluation / "metrics.json").write_text(json.dumps(metrics))
    found = find_errors(evaluation, draw=page)
    assert not any("not shown" in sentence for sentence in found.sentences)
    assert page.groups[0]["pictures"][0]["picture"].shape == (160, 160, 3)


def test_the_label_of_a_row_is_looked_up_by_name():
    frame = pd.DataFrame(
        {"path": ["a"], "label": ["x"], "prediction": ["y"], "confidence": [0.7], "p:y": [0.7], "p:x": [0.3]}
    )
    assert wrong(frame)["p_label"].tolist() == [0.3]


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["errors", *map(str, arguments)], env={"COLUMNS": "500"})
    return done.exit_code, done.stdout, done.stderr


def test_the_command(evaluation, tmp_path):
    code, out, _ = run(evaluation, "--out", tmp_path / "elsewhere")
    assert code == 0
    assert "level/2.png" in out
    assert out.index("level/2.png") < out.index("upright/3.png") < out.index("level/1.png")
    assert "level/2.png" in (tmp_path / "elsewhere" / "errors.html").read_text()
    assert not (evaluation / "errors.csv").exists()
    code, out, _ = run(evaluation, "--json")
    assert len(json.loads(out)["errors"]) == 3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda place: None, "there is no such folder"),
        (lambda place: place.mkdir(), "is no evaluation: predictions.parquet is missing"),
    ],
)
def test_no_evaluation(tmp_path, spoil, message):
    spoil(tmp_path / "place")
    with pytest.raises(UserError, match=message) as error:
        find_errors(tmp_path / "place")
    assert "classify evaluate" in error.value.remedy


def test_a_run_for_its_evaluation(evaluation, tmp_path):
    shutil.copytree(evaluation, tmp_path / "run" / "evaluation")
    with pytest.raises(UserError, match="is no evaluation") as error:
        find_errors(tmp_path / "run")
    assert str(tmp_path / "run" / "evaluation") in error.value.remedy


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("predictions.parquet", b"no table", "cannot be read"),
        ("metrics.json", b"{", "cannot be read"),
        ("metrics.json", b'{"folder": "x"}', "lacks weights"),
        ("metrics.json", b"null", "cannot be read"),
        ("metrics.json", b'{"folder": 3, "weights": null}', "lacks folder, weights"),
    ],
)
def test_a_damaged_evaluation(evaluation, name, data, message):
    (evaluation / name).write_bytes(data)
    before = sorted(evaluation.iterdir())
    code, _, err = run(evaluation)
    assert code == 2
    assert message in err
    assert sorted(evaluation.iterdir()) == before
