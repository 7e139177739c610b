"""Wrong labels of a training set: found, written as suggestions, decided by a person, and never suggested again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from classify import label_errors
from classify.cli import app
from classify.data.sources import find_source
from classify.label_errors import find_label_errors
from curate.errors import UserError
from curate.pipeline import bring_up_to_date, session
from curate.tables import EMBEDDINGS
from curate.verdicts import labels_said, read_said, read_verdicts, record
from curate.workspace import Workspace

WRONG = {"level/90.png": "upright", "level/91.png": "upright", "upright/92.png": "level"}
"""Path of each mistake, and the class that it belongs to."""


def draw(upright: bool, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    wave = np.sin(np.arange(24) * random.uniform(0.6, 1.2) + random.uniform(0, 6))
    plane = np.tile(wave if upright else wave[:, None], (24, 1) if upright else (1, 24))
    pixels = 128 + 80 * plane[..., None] + random.normal(0, 10, (24, 24, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def make(root: Path, count: int = 30, wrong: dict[str, str] = WRONG) -> Path:
    places = {f"{name}/{i}.png": name for i in range(count) for name in ("level", "upright")} | wrong
    for seed, (path, truth) in enumerate(places.items()):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        draw(truth == "upright", seed).save(root / path)
    return root


@pytest.fixture(autouse=True)
def looked(monkeypatch):
    """In the encoder's stead: how much a picture changes to the right and downwards, in noise. Collects what was known."""
    known_of = []

    def embedded(images, contents, known, progress):
        known_of.append(len(known))
        pixels = images.astype(np.float32).mean(3)
        energy = np.stack([np.abs(np.diff(pixels, axis=axis)).mean((1, 2)) for axis in (1, 2)], 1)
        noise = np.random.default_rng(0).normal(0, 0.02, energy.shape)
        return (energy / np.linalg.norm(energy, axis=1, keepdims=True) + noise).astype(np.float32)

    monkeypatch.setattr(label_errors, "embedded", embedded)
    return known_of


def test_planted_mistakes_are_suggested(tmp_path):
    folder = make(tmp_path / "set")
    before = {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}
    pages = []
    found = find_label_errors(
        folder, tmp_path / "out", workers=1, draw=lambda *page: pages.append(page) or "<p>"
    )
    suggested = found.suspects[: found.cut]
    assert dict(zip(suggested["path"], suggested["suggested"], strict=True)) == WRONG
    assert suggested["score"].is_monotonic_decreasing
    assert (suggested["p_label"] < suggested["p_suggested"]).all()
    estimate = found.report["estimate"]
    assert estimate["low"] <= 3 / 63 <= estimate["high"]
    assert found.report["pairs"][0] == {
        "label": "level", "suggested": "upright", "suspects": 2,
        "errors": pytest.approx(suggested["score"].sum() * 2 / 3, rel=0.5),
    }  # fmt: skip
    assert found.report["agreement"] == pytest.approx(60 / 63)
    assert any("of 63 labels" in sentence for sentence in found.sentences)
    table = pd.read_csv(tmp_path / "out" / "label_errors.csv", keep_default_na=False)
    assert list(table) == ["path", "label", "suggested", "verdict", "score", "p_label", "p_suggested"]
    assert (table["verdict"] == "").all()
    assert json.loads((tmp_path / "out" / "label_errors.json").read_text())["schema"] == 1
    beliefs = pd.read_parquet(tmp_path / "out" / "out_of_fold.parquet")
    assert beliefs[["p:level", "p:upright"]].sum(axis=1).to_numpy() == pytest.approx(np.ones(63), abs=1e-5)
    groups = pages[0][2]
    assert [len(group["pictures"]) for group in groups] == [2, 1]
    assert groups[0]["pictures"][0]["picture"].shape == (160, 160, 3)
    assert {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))} == before


def test_none_found(tmp_path):
    found = find_label_errors(make(tmp_path / "set", wrong={}), tmp_path / "out", workers=1)
    assert found.cut == 0
    assert found.sentences[-1].startswith("None found")
    assert len(pd.read_csv(tmp_path / "out" / "label_errors.csv")) == found.report["suspects"]


def test_what_people_decide_lasts(tmp_path):
    folder = make(tmp_path / "set")
    first = find_label_errors(folder, tmp_path / "out", workers=1)
    assert first.folder == folder
    file = tmp_path / "out" / "label_errors.csv"
    table = pd.read_csv(file, keep_default_na=False)
    table["verdict"] = table["path"].map(
        {"level/90.png": "take", "level/91.png": "ok", "upright/92.png": "no-class"}
    )
    table.to_csv(file, index=False)
    with session(folder) as workspace:
        bring_up_to_date(workspace, ["scan"], workers=1)
        record(workspace, read_said(file))
        assert sorted(labels_said(read_verdicts(workspace)).values()) == ["", "level", "upright"]
    os.rename(folder / "level" / "91.png", folder / "level" / "renamed.png")  # noqa: PTH104
    said = []
    again = find_label_errors(folder, tmp_path / "again", workers=1, say=said.append)
    assert not {"level/90.png", "level/renamed.png", "upright/92.png"} & set(again.suspects["path"])
    assert again.report["decided_by_people"] == 2
    assert again.report["pictures"] == 62
    assert any("1 picture is left out" in sentence for sentence in said)
    beliefs = pd.read_parquet(tmp_path / "again" / "out_of_fold.parquet").set_index("path")
    assert beliefs.loc["level/90.png", "label"] == "upright"


def test_training_takes_the_corrected_labels_and_says_where_they_are_newer(tmp_path):
    import curate

    folder = make(tmp_path / "set", count=6)
    curate.run(folder, workers=1)
    with session(folder) as workspace:
        record(workspace, [("level/90.png", "", "label:upright"), ("upright/92.png", "", "no-class")])
    assert any("since the split was made" in note for note in find_source(folder).notes)
    curate.run(folder, workers=1)
    source = find_source(folder)
    labels = dict(zip(source.paths, source.labels, strict=True))
    assert labels["level/90.png"] == "upright"
    assert "upright/92.png" not in labels
    assert not any("since the split was made" in note for note in source.notes)


def test_embeddings_of_the_workspace_are_taken(tmp_path, looked):
    folder = make(tmp_path / "set")
    workspace = Workspace.open(folder)
    frame = pd.DataFrame(
        {"content": ["a"], "vector": [np.ones(192, np.float32)], "cues": [np.ones(3, np.float32)]}
    )
    for settings, count in (({"encoder": "", "backend": "embedded"}, 1), ({"encoder": "open_clip:x/y"}, 0)):
        workspace.write("embeddings", frame[list(EMBEDDINGS.columns)], settings=settings)
        find_label_errors(folder, tmp_path / f"out{count}", workers=1)
        assert looked[-1] == count


def test_classes_that_cannot_be_judged_are_said(tmp_path):
    folder = make(tmp_path / "set")
    (folder / "lone").mkdir()
    draw(True, 500).save(folder / "lone" / "1.png")
    (folder / "lone" / "broken.png").write_text("no picture")
    said = []
    found = find_label_errors(folder, tmp_path / "out", workers=1, say=said.append)
    assert found.report["not_judged"] == 1
    assert "lone/1.png" not in set(found.suspects["path"])
    assert any("lone" in sentence and "Too few" in sentence for sentence in said)
    assert any("lone/broken.png" in sentence for sentence in said)


def test_of_few_pictures_nothing_is_estimated(tmp_path):
    found = find_label_errors(make(tmp_path / "set", count=10), tmp_path / "out", workers=1)
    assert found.report["estimate"] is None
    assert "it cannot be estimated" in found.sentences[1]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [(0.0, ""), (0.4, "some percent where none is wrong"), (0.55, "such an estimate is too high")],
)
def test_an_agreement_with_few_labels_is_said(tmp_path, monkeypatch, wrong, sentence):
    def believed(vectors, labels, fold, classes):
        taken = np.where(np.arange(len(labels)) < wrong * len(labels), 1 - labels, labels)
        return np.eye(classes)[taken] * 0.6 + 0.2

    monkeypatch.setattr(label_errors, "by_embeddings", believed)
    found = find_label_errors(make(tmp_path / "set"), tmp_path / "out", workers=1)
    warned = [said for said in found.sentences if said.startswith("It agrees with")]
    assert [sentence in said for said in warned] == [True] * bool(sentence)


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["label-errors", *map(str, arguments)], env={"COLUMNS": "500"})
    return done.exit_code, done.stdout, done.stderr


def test_the_command(tmp_path):
    folder = make(tmp_path / "set")
    code, out, _ = run(folder, "--out", tmp_path / "out", "--workers", 1)
    assert code == 0
    assert "level/90.png" in out
    assert f"curate verdict {folder} --from" in out
    assert "level/90.png" in (tmp_path / "out" / "label_errors.html").read_text()
    code, out, _ = run(folder, "--out", tmp_path / "other", "--json", "--workers", 1)
    assert json.loads(out)["suggested"]["count"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no such folder"),
        (("set", "--folds", "1"), "Invalid value for '--folds'"),
        (("set", "--folds", "50"), "no class has 50 pictures"),
        (("set", "--minutes", "3"), "minutes are for trainings"),
        (("set", "--with", "training", "--minutes", "0"), "0 minutes are no time"),
        (("set", "--with", "luck"), "'luck' is not one of"),
        (("set", "--out", "set/out"), "would lie inside"),
    ],
)
def test_bad_input_is_said_and_nothing_is_written(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "set", count=6)
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run(*arguments, "--workers", 1)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("classes", "folds", "message"),
    [
        ({"a": range(8), "b": [99]}, 5, "without one of 5 folds only one class is left"),
        ({"a": range(8), "b": [99] * 6}, 5, "without one of 5 folds only one class is left"),
        ({"a": [1] * 6, "b": [2] * 6, "c": [3] * 6}, 5, "fewer than 5 pictures"),
        ({"a": [1] * 6, "b": [2] * 6, "c": [3] * 6}, 3, "each class lies in one fold alone"),
    ],
)
def test_too_few_different_pictures_are_told(tmp_path, scene, classes, folds, message):
    for name, seeds in classes.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        for number, seed in enumerate(seeds):
            scene(seed, 64).save(tmp_path / "set" / name / f"{number}.png")
    with pytest.raises(UserError, match=message) as caught:
        find_label_errors(tmp_path / "set", tmp_path / "out", folds=folds, workers=1)
    assert "--folds" in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_method_that_is_unknown(tmp_path):
    with pytest.raises(UserError, match="method 'luck'"):
        find_label_errors(tmp_path, tmp_path / "out", method="luck")


def test_a_training_for_each_fold_goes_through(tmp_path, tiny):
    folder = make(tmp_path / "set", count=8, wrong={})
    found = find_label_errors(
        folder, tmp_path / "out", method="training", folds=2, settings=tiny, minutes=5, workers=1
    )
    assert found.report["method"] == "training"
    assert (tmp_path / "out" / "folds" / "fold-2" / "best.safetensors").exists()
