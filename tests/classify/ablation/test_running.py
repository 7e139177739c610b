"""`classify impact`: what runs, what is kept, what is said; an interruption, a full budget, bad input."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image
from typer.testing import CliRunner

import classify
from classify import cells
from classify.ablation import impact
from classify.ablation.arms import RANDOM
from classify.cli import app
from classify.data.sources import find_source
from classify.labelled import LabelledPictures
from classify.settings import read_settings
from curate.errors import Locked, UserError
from curate.paths import path_from_text

from .conftest import file, filled, write_tables

ARMS = ["cleaned", "with duplicates", "with photographs", "with conflicts", "not balanced", "as it came"]
TINY = [
    "training.precision=fp32", "training.device=cpu", "training.batch_size=8", "data.size=16", "model.width=4",
    "optimizer.ema=0",
]  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """Training and prediction replaced by a formula; gives the list of (arm, seed) that were trained.

    The more pictures are learnt from, the fewer test pictures are right; of its own test part the random split gets all.
    """
    jobs = []

    def train(folder, job):
        source = find_source(path_from_text(job["train"]))
        name = Path(job["train"]).stem.replace("-", " ")
        jobs.append((name, job["seed"]))
        wrong = max(0, source.splits.count("train") - 15) // 2 + (
            job["settings"]["data"]["balance"] == "none"
        )
        (folder / "wrong").write_text(str(wrong + job["seed"] % 2))
        return {"key": job["key"], "seed": job["seed"], "val_macro_f1": 0.5, "val_accuracy": 0.5, "epochs": 1,
                "seconds": 1.0, "pictures": 64}  # fmt: skip

    def judge(folder, name, test, workers):
        found = LabelledPictures.open(path_from_text(test["folder"]), ["dark", "light"])
        wrong = 0 if name == "own" else int((folder / "wrong").read_text())
        labels = list(found.folders)
        other = {"dark": "light", "light": "dark"}
        guesses = [other[label] if i < wrong else label for i, label in enumerate(labels)]
        file = cells.predictions_of(folder, name)
        file.parent.mkdir(exist_ok=True)
        pd.DataFrame({"path": found.paths, "label": labels, "prediction": guesses}).to_parquet(file)
        accuracy = float(np.mean([a == b for a, b in zip(labels, guesses, strict=True)]))
        return {"digest": test["digest"], "macro_f1": accuracy, "accuracy": accuracy}

    monkeypatch.setattr(cells, "_train", train)
    monkeypatch.setattr(cells, "_judge", judge)
    return jobs


def run(workspace, out, *, test=None, **more):
    said = []
    content = impact(workspace.path, test, out, isolate=False, workers=1, say=said.append, **more).content
    return content, said


def files_below(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_every_arm_with_every_seed(messy, tmp_path, trained):
    before = files_below(messy.path) | files_below(messy.root)
    content, said = run(messy, tmp_path / "out", test=messy.root.with_name("test"), draw=lambda content, columns, rows: rows[0][0])  # fmt: skip
    assert trained == [(name, seed) for seed in range(3) for name in [*ARMS, f"{RANDOM} {seed}"]]
    assert [row["name"] for row in content["arms"]] == ARMS
    assert [effect["step"] for effect in content["effects"]] == [
        "duplicates",
        "photographs",
        "conflicts",
        "balance",
        "all",
    ]
    assert content["effects"][0]["difference"] == pytest.approx(1 / 8), (
        "two more pictures, one more of eight is wrong"
    )
    assert said[0].startswith("21 trainings. ")
    assert said[2].startswith("1/21  cleaned, seed 0: macro-F1 1.000")
    out = tmp_path / "out"
    stored = json.loads((out / "impact.json").read_text(encoding="utf-8"))
    assert stored["schema"] == 1
    assert stored["effects"] == content["effects"]
    assert (out / "impact.html").read_text() == "cleaned"
    assert len((out / "impact.csv").read_text().splitlines()) == 8
    assert "| with photographs | 17 |" in (out / "impact.md").read_text()
    assert files_below(messy.path) | files_below(messy.root) == before, "nothing of the workspace changes"


def test_without_a_test_folder_the_splits_test_part_judges(messy, tmp_path, trained):
    content, _ = run(messy, tmp_path / "out", seeds=1)
    assert content["test_pictures"] == 6
    assert content["test"] == ""
    assert "one seed, which cannot be told from noise" in content["sentences"][0]


def test_copies_of_test_pictures_are_in_no_arm(messy, tmp_path, trained):
    test = tmp_path / "test"
    shutil.copytree(messy.root.with_name("test"), test)
    shutil.copy(messy.root / "dark" / "photo.png", test / "dark" / "same.png")
    shutil.copy(messy.root / "light" / "train0.png", test / "light" / "same.png")
    content, said = run(messy, tmp_path / "out", test=test, seeds=1)
    assert said[0].startswith("2 pictures are copies or look-alikes of test pictures: left out")
    assert {row["name"]: row["pictures"] for row in content["arms"]}["as it came"] == 23 - 4, (
        "and the group of each"
    )


def test_another_folder_that_curate_compared_with_is_not_compared_again(
    messy_files, messy, tmp_path, trained, monkeypatch
):
    root = tmp_path / "pictures"
    shutil.copytree(messy.root, root)
    workspace = write_tables(root, messy_files)
    test = messy.root.with_name("test")
    workspace.write("against", filled("against", []), settings={"folder": str(test.resolve())})
    read = []
    monkeypatch.setattr("classify.ablation.running.copies_of", lambda contents, *more: read.append(len(contents)) or np.zeros(len(contents), bool))  # fmt: skip
    run(workspace, tmp_path / "out", test=test, seeds=1)
    assert read == [8], "the test pictures alone"


def test_it_goes_on_where_it_was_interrupted(messy, tmp_path, trained, monkeypatch):
    formula, count = cells._train, []

    def interrupted(folder, job):
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return formula(folder, job)

    monkeypatch.setattr(cells, "_train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(messy, tmp_path / "out", seeds=1)
    assert len(json.loads((tmp_path / "out" / "impact.json").read_text())["arms"]) == 3
    content, said = run(messy, tmp_path / "out", seeds=1)
    assert said[0].startswith("7 trainings, 3 of them finished already. ")
    assert trained == [(name, 0) for name in [*ARMS, f"{RANDOM} 0"]], "none twice"
    assert len(content["arms"]) == 6
    more, _ = run(messy, tmp_path / "out", seeds=2)
    assert len(trained) == 14
    assert more["effects"][0]["pairs"] == 2


def test_the_time_limit_leaves_trainings_and_says_so(messy, tmp_path, trained):
    content, _ = run(messy, tmp_path / "out", seeds=1, limit=1e-9)
    assert trained == []
    assert content["sentences"] == [
        "No training is finished.", "Not begun, as the time was used: 7 trainings. The same command goes on with them."
    ]  # fmt: skip
    assert content["left"][0] == {"name": "cleaned", "seed": 0}


def test_a_failing_training_is_named_and_the_others_count(messy, tmp_path, trained, monkeypatch):
    formula = cells._train

    def failing(folder, job):
        if "with-photographs" in job["train"]:
            raise MemoryError("no room")
        return formula(folder, job)

    monkeypatch.setattr(cells, "_train", failing)
    content, _ = run(messy, tmp_path / "out", seeds=1)
    assert content["failed"] == [{"name": "with photographs", "seed": 0, "reason": "MemoryError: no room"}]
    assert len(content["arms"]) == 5
    assert (
        "Failed: with photographs, seed 0: MemoryError: no room"
        in (tmp_path / "out" / "impact.md").read_text()
    )


def test_the_budget_is_the_same_for_all(messy, tmp_path, trained):
    run(messy, tmp_path / "minutes", seeds=1, minutes=2.5)
    run(messy, tmp_path / "pictures", seeds=1, pictures=640)
    for name, budget in (("minutes", (2.5, 0)), ("pictures", (0, 640))):
        jobs = [json.loads(file.read_text()) for file in (tmp_path / name / "cells").glob("*/cell.json")]
        assert len(jobs) == 7
        training = [job["settings"]["training"] for job in jobs]
        assert {(one["minutes"], one["pictures"]) for one in training} == {budget}
        assert min(one["epochs"] for one in training) > 10**8


def test_settings_reach_the_trainings_and_no_balance_means_no_arm_without_it(messy, tmp_path, trained):
    settings = read_settings(None, ["data.balance=none", "optimizer.lr=0.01"])
    content, _ = run(messy, tmp_path / "out", seeds=1, settings=settings)
    assert "not balanced" not in [row["name"] for row in content["arms"]]
    assert (
        "Balancing the classes: the classes are not balanced, so there is nothing to measure."
        in content["sentences"]
    )
    job = json.loads(next((tmp_path / "out" / "cells").glob("*/cell.json")).read_text())
    assert job["settings"]["optimizer"]["lr"] == 0.01


# Real training --------------------------------------------------------------------------------------------------


def test_real_training(messy, tmp_path):
    said = []
    result = classify.impact(
        messy.root, messy.root.with_name("test"), tmp_path / "out", pictures=8, seeds=1, isolate=False,
        settings=read_settings(None, TINY), workers=1, say=said.append,
    )  # fmt: skip
    content = result.content
    assert content["failed"] == content["left"] == []
    assert len(content["arms"]) == 6
    assert {row["pictures_seen"] for row in content["arms"]} == {8}
    assert all(0 <= row["mean"] <= 1 for row in content["arms"])
    assert content["inflation"]["cells"][0].keys() == {"seed", "own", "test", "held"}
    assert len(list((tmp_path / "out" / "cells").glob("*/best.safetensors"))) == 7


def test_the_inflation_of_a_random_split_is_seen(tmp_path):
    """Noise under labels that mean nothing, each picture four times: only who has seen a copy can know its label."""
    random = np.random.default_rng(0)
    files = []
    for label in ("a", "b"):
        for i in range(9):
            split = "val" if i >= 6 else "train"
            names = [f"{label}/{i}-{copy}.png" for copy in range(4 if i < 6 else 1)]
            picture = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8))
            number = len(files)
            for name in names:
                (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
                picture.save(tmp_path / "pictures" / name)
                group = {
                    "keeper": names[0],
                    "conflict": False,
                    "action": "keep" if name == names[0] else "remove",
                }
                files.append(file(name, split if name == names[0] else "out", number, **group))
        for i in range(8):
            place = tmp_path / "test" / label / f"{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(place)
    workspace = write_tables(tmp_path / "pictures", files)
    still = [
        f"augmentation.{key}=0"
        for key in ("affine", "flip", "mix", "hue", "tone", "grey", "invert", "erase", "mixup")
    ]
    settings = read_settings(
        None, [*TINY, "model.name=plain-cnn", "model.width=8", "evaluation.flip=false", *still]
    )
    content, _ = run(
        workspace, tmp_path / "out", test=tmp_path / "test", seeds=1, pictures=320, settings=settings
    )
    found = content["inflation"]
    assert found["claimed"] > 0.9
    assert found["test"]["mean"] < 0.75
    assert found["copies"]["share"] > 0.9
    assert found["test"]["difference"] > 0.2


# The command ----------------------------------------------------------------------------------------------------


def command(*arguments):
    # Wide, so that no path is folded.
    done = CliRunner().invoke(app, ["impact", *map(str, arguments)], env={"COLUMNS": "300"})
    return done.exit_code, done.stdout, " ".join(done.stderr.replace("│", " ").split())


@pytest.fixture
def inside(monkeypatch):
    """Cells run in this process, where training is a formula."""
    monkeypatch.setattr("classify.cell_runner.work.start", lambda folder, share: _done(cells.work(folder)))


def _done(nothing):
    return subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)


def test_the_command_prints_a_table_and_sentences(messy, tmp_path, trained, inside):
    code, out, _ = command(
        messy.root, "--out", tmp_path / "out", "--seeds", 1, "--set", "training.precision=fp32"
    )
    assert code == 0
    assert re.search(r"with photographs +17 +0\.\d{3}", out)
    assert "Removing photographs: +0.167 macro-F1 (one seed, which cannot be told from noise)." in out
    assert "would have claimed 1.000" in out
    assert f"Results: {tmp_path / 'out' / 'impact.html'}" in out
    page = (tmp_path / "out" / "impact.html").read_text(encoding="utf-8")
    assert "classify impact" in page
    assert "<svg" in page
    code, out, _ = command(
        messy.path, "--out", tmp_path / "out", "--seeds", 1, "--set", "training.precision=fp32", "--json"
    )
    assert code == 0
    assert len(json.loads(out)["arms"]) == 6
    assert len(trained) == 7


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_the_command_ends_with_2_where_a_training_failed(
    messy, tmp_path, trained, inside, monkeypatch, arguments
):
    monkeypatch.setattr(cells, "_train", lambda folder, job: 1 / 0)
    code, out, err = command(messy.path, "--out", tmp_path / "out", "--seeds", 1, *arguments)
    assert code == 2
    assert "division by zero" in (out if arguments else err)


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (["TEST"], "there is no curate workspace", "curate run"),
        (["nowhere"], "there is no curate workspace", "curate run"),
        (["ROOT", "--test", "nowhere"], "nowhere: there is no such folder", "Check the path"),
        (["ROOT", "--test", "EMPTY"], "holds no class folders", "one folder a class"),
        (["ROOT", "--seeds", "0"], "seeds is 0", "1 or more"),
        (["ROOT", "--minutes", "0"], "minutes is 0", "more than 0"),
        (["ROOT", "--minutes", "nan"], "minutes is nan", "more than 0"),
        (["ROOT", "--pictures", "-1"], "pictures is -1", "0 or more"),
        (["ROOT", "--set", "training.epochs=3"], "training.epochs is 3", "--pictures"),
        (["ROOT", "--set", "training.seed=3"], "training.seed is 3", "--seeds"),
        (["ROOT", "--set", "data.raw=true"], "data.raw is set", "Leave it away"),
        (["ROOT", "--set", "data.extra=more"], "data.extra is set", "Leave it away"),
        (["ROOT", "--set", "model.name=smal-resnet"], "'smal-resnet' is not known", "small-resnet"),
        (["ROOT", "--out", "ROOT/out"], "lies inside", "--out"),
    ],
)  # fmt: skip
def test_bad_input_is_said_and_nothing_is_made(messy, tmp_path, monkeypatch, arguments, message, remedy):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    names = {"TEST": messy.root.with_name("test"), "EMPTY": tmp_path / "empty"}
    given = [str(names.get(word, word)).replace("ROOT", str(messy.root)) for word in arguments]
    code, _, err = command(*given)
    assert code == 2
    assert message in err
    assert remedy in err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_no_test_part_and_no_test_folder(messy_files, tmp_path):
    (tmp_path / "pictures").mkdir()
    workspace = write_tables(tmp_path / "pictures", [one for one in messy_files if one["split"] != "test"])
    with pytest.raises(UserError, match="its split has no test part") as caught:
        impact(workspace.path, out=tmp_path / "out")
    assert "--test" in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_two_at_once_in_one_folder_are_refused(messy, tmp_path, trained):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(Locked, match="another impact is at work"):
        run(messy, tmp_path / "out")
    assert trained == []
