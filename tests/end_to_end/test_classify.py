"""`classify train` and `classify evaluate` as processes, on the demo set."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import classification_report

SMALL = [f"--set={s}" for s in ("training.epochs=1", "training.minutes=0", "data.size=32", "model.width=8")]


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def trained(demo_small, curated, tmp_path_factory) -> tuple[Path, Path]:
    """(demo folder, run folder) of a short training on the curated demo set."""
    place = tmp_path_factory.mktemp("trained")
    done = run("classify", "train", curated.workspace, "--out", place / "run", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "curated set" in done.stdout
    assert "macro-F1" in done.stdout
    assert f"Next: classify evaluate {curated.workspace} {place / 'run'}/best.safetensors" in done.stdout
    return demo_small, place / "run"


def test_without_a_part_that_was_held_back_a_test_folder_is_asked_for(demo_small, tmp_path):
    done = run("classify", "train", demo_small / "test", "--out", tmp_path / "my run", *SMALL)
    assert done.returncode == 0, done.stderr
    assert f"Next: classify evaluate TEST '{tmp_path / 'my run'}/best.safetensors'" in done.stdout


def test_the_printed_report_is_scikit_learns(trained, tmp_path):
    demo, folder = trained
    done = run("classify", "evaluate", demo / "test", folder / "best.safetensors", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    present = sorted(table.label.unique())
    expected = classification_report(table.label, table.prediction, labels=present, zero_division=0)
    assert expected.strip() in done.stdout
    assert f"Next: classify errors {tmp_path / 'out'}" in done.stdout
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["pictures"] == len(table) == len([p for p in (demo / "test").rglob("*.*") if p.is_file()])
    assert list(table.columns[:4]) == ["path", "label", "prediction", "confidence"]
    assert (tmp_path / "out" / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_not_overwritten_and_both_weights_are_there(trained):
    demo, folder = trained
    assert (folder / "last.safetensors").exists()
    done = run("classify", "train", demo / "train", "--out", folder, *SMALL)
    assert done.returncode == 2
    assert "--resume" in done.stderr


def test_models_lists_the_networks_for_people_and_programs():
    done = run("classify", "models")
    assert done.returncode == 0, done.stderr
    assert "small-resnet" in done.stdout
    assert "timm:NAME" in done.stdout
    assert "1,598,378" in done.stdout
    done = run("classify", "models", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["models"]
    assert all(set(row) == {"name", "about", "weights"} for row in rows)
    assert {row["name"]: row["weights"] for row in rows}["small-resnet"] == 1_598_378
    done = run("classify", "models", "resnet")
    assert done.returncode == 2
    assert "unexpected extra argument" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "nowhere"), "no such folder"),
        (("train", "flat"), "class"),
        (("train", "one"), "one class"),
        (("train", "flat/x.png"), "is a file"),
        (("evaluate", "flat", "nothing.safetensors"), "nothing.safetensors"),
        (("evaluate", "flat", "flat/x.png"), "x.png"),
    ],
)
def test_bad_input_is_one_clear_line(make_drawing, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    for name in ("flat/x.png", "one/cat/a.png", "one/cat/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        make_drawing(len(name)).save(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    done = run("classify", *arguments)
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert words in errors[0]
    assert sorted(tmp_path.rglob("*")) == before, "something was left behind"
