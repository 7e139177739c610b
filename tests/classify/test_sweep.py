"""Sweeps: what runs, what is kept, what is said; a kill, a crash, a full budget."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from classify import cells, loop
from classify.plan import read_plan
from classify.sweep import sweep
from curate.errors import Locked, UserError

DOCS = Path(__file__).parents[2] / "docs" / "sweeps.md"
TINY = """
training.minutes = 0
training.epochs = 1
training.precision = "fp32"
training.device = "cpu"
training.batch_size = 8
data.size = 16
model.width = 4
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folders `pictures` and `test` of two classes, twelve pictures each, light and dark."""
    root = tmp_path_factory.mktemp("sweep")
    random = np.random.default_rng(0)
    for part in ("pictures", "test"):
        for name, low in (("dark", 0), ("light", 128)):
            (root / part / name).mkdir(parents=True)
            for i in range(12):
                pixels = random.integers(low, low + 128, (16, 16, 3), np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


@pytest.fixture
def plan(place, tmp_path):
    def write(text="[factors]\nmodel.width = [4, 8]\n", top="", train=place / "pictures"):
        path = tmp_path / "plan.toml"
        path.write_text(f'train = "{train}"\n{top}\n[base]{TINY}{text}', encoding="utf-8")
        return path

    return write


@pytest.fixture
def trained(monkeypatch):
    """Training replaced by a formula; gives the list of (width, seed) that were trained."""
    jobs = []

    def train(folder, job):
        width, seed = job["settings"]["model"]["width"], job["settings"]["training"]["seed"]
        jobs.append((width, seed))
        score = 0.5 + width / 100 + seed * width / 1000
        return {
            "key": job["key"], "seed": seed, "val_macro_f1": score, "val_accuracy": 1 - score, "epochs": 1,
            "seconds": 1.0, "pictures": 10,
        }  # fmt: skip

    monkeypatch.setattr(cells, "_train", train)
    return jobs


def run(path, out, **more):
    said = []
    result = sweep(path, out, isolate=False, say=said.append, **more)
    return result.content, said


# Real training ------------------------------------------------------------------------------------------------------


def test_the_plan_in_the_documentation_runs(place, tmp_path, monkeypatch):
    text = re.search(r"<!-- plan -->\n```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[1]
    small, count = re.subn(r'training\.minutes.*?training\.precision = "fp32"\n', TINY, text, flags=re.DOTALL)
    assert count == 1
    small = small.replace("seeds = [0, 1, 2]", "seeds = [0, 1]")
    (tmp_path / "plan.toml").write_text(small, encoding="utf-8")
    for name in ("pictures", "test"):
        (tmp_path / name).symlink_to(place / name)
    monkeypatch.chdir(tmp_path)
    content, said = run(
        "plan.toml", None, draw=lambda content, columns, cells: f"{len(content['rows'])} rows"
    )
    out = tmp_path / "sweeps" / "plan"
    assert content["baseline"] == "baseline"
    assert {row["name"]: row["n"] for row in content["rows"]} == {
        "baseline": 2, "lr=0.001": 2, "lr=0.004": 2, "mixup=0": 2,
    }  # fmt: skip
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["rows"] == content["rows"]
    assert (out / "sweep.html").read_text() == "4 rows"
    assert all((out / name).stat().st_size for name in ("results.md", "results.csv"))
    assert all(0 <= row["test_macro_f1"] <= 1 for row in content["rows"])
    cell = content["rows"][0]["cells"][1]
    assert cell["seed"] == 1
    assert cell["value"] == cell["val_macro_f1"]
    assert said[0].startswith("8 trainings. ")
    assert any(sentence.startswith("Held out ") for sentence in content["sentences"])
    assert re.fullmatch(
        r"1/8  baseline, seed 0: validation macro-F1 0\.\d+, \d+ s, about .* min left", said[1]
    )
    folders = sorted((out / "cells").iterdir())
    assert len(folders) == 8
    assert all((folder / "best.safetensors").exists() for folder in folders)


def test_the_search_in_the_documentation_can_be_read(tmp_path):
    text = re.search(r"<!-- search -->\n```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[1]
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    assert read_plan(tmp_path / "plan.toml").search.trials == 20


def test_a_half_done_cell_is_resumed_to_the_same_result(plan, tmp_path, monkeypatch, capsys):
    path = plan("[factors]\nmodel.width = [4]\n")
    path.write_text(path.read_text().replace("training.epochs = 1", "training.epochs = 4"))
    whole, _ = run(path, tmp_path / "whole")
    monkeypatch.setattr(loop, "_SAVE_SECONDS", 0)
    step, count = loop.Learner.step, []

    def interrupted(*arguments):
        count.append(1)
        if len(count) == 5:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop.Learner, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / "half")
    capsys.readouterr()
    half, _ = run(path, tmp_path / "half")
    assert "Going on after epoch" in capsys.readouterr().out
    assert half["rows"][0]["mean"] == whole["rows"][0]["mean"]
    assert half["rows"][0]["pictures"] == whole["rows"][0]["pictures"]


def test_after_kill_9_only_what_is_missing_runs(plan, tmp_path):
    path, out = plan(), tmp_path / "out"
    command = [sys.executable, "-m", "classify", "sweep", str(path), "--out", str(out)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 240
        while not (list(out.glob("cells/*/result.json")) and len(list(out.glob("cells/*/cell.json"))) == 2):
            assert killed.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    (first,) = out.glob("cells/*/result.json")
    before = (first.stat().st_mtime_ns, (first.parent / "best.safetensors").stat().st_mtime_ns)
    done = subprocess.run([*command, "--jobs", "2", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert sorted(row["name"] for row in content["rows"]) == ["width=4", "width=8"]
    assert content["failed"] == content["left"] == []
    assert before == (first.stat().st_mtime_ns, (first.parent / "best.safetensors").stat().st_mtime_ns)
    assert len(list(out.glob("cells/*/result.json"))) == 2
    assert not any("Fatal" in log.read_text() for log in out.glob("cells/*/log.txt")), (
        "processes end in peace"
    )
    assert "<svg" in (out / "sweep.html").read_text(encoding="utf-8")


def test_a_cell_ends_with_its_sweep(plan, tmp_path):
    path = plan("[factors]\nmodel.width = [4]\n")
    path.write_text(path.read_text().replace("training.epochs = 1", "training.epochs = 1000000"))
    (combination,) = read_plan(path).combinations()
    data = cells.Data(read_plan(path).train, "x")
    process = cells.start(cells.Cell(combination, 0, data, {}).prepare(tmp_path / "cells", 1), 1)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(60) == 1


# What runs and what is kept ---------------------------------------------------------------------------------------


def test_finished_cells_are_kept_when_the_plan_changes(plan, tmp_path, trained):
    out = tmp_path / "out"
    run(plan("[factors]\nmodel.width = [8, 16]\n"), out)
    assert trained == [(8, 0), (16, 0)]
    content, said = run(plan("[factors]\nmodel.width = [16, 8]\n"), out)
    assert len(trained) == 2
    assert content["baseline"] == "width=16"
    assert len(said) == 1
    assert said[0].startswith("2 trainings, 2 of them finished already. ")
    run(plan("[factors]\nmodel.width = [8, 16]\ndata.fit = ['pad', 'crop']\n", top="seeds = [0, 1]"), out)
    assert len(trained) == 8, "of eight cells six were missing"
    content, _ = run(
        plan("[factors]\nmodel.width = [8, 16]\n", top='seeds = [1]\ncompare = "val_accuracy"'), out
    )
    assert len(trained) == 8
    assert [row["name"] for row in content["rows"]] == ["width=8", "width=16"]


def test_seeds_go_round_so_that_a_budget_leaves_comparisons(plan, tmp_path, trained):
    run(plan(top="seeds = [3, 1]"), tmp_path / "out")
    assert trained == [(4, 3), (8, 3), (4, 1), (8, 1)]


def test_other_pictures_are_other_cells(plan, place, tmp_path, trained):
    pictures = tmp_path / "mine"
    for name in ("a", "b"):
        (pictures / name).mkdir(parents=True)
        (pictures / name / "1.png").write_bytes(b"12")
    run(plan(train=pictures), tmp_path / "out")
    pictures = pictures.rename(tmp_path / "moved")
    run(plan(train=pictures), tmp_path / "out")
    assert len(trained) == 2, "where the folder lies does not count"
    (pictures / "a" / "2.png").write_bytes(b"12")
    run(plan(train=pictures), tmp_path / "out")
    assert len(trained) == 4


def test_another_test_folder_is_judged_without_training(plan, place, tmp_path, trained, monkeypatch):
    judged = []

    def judge(folder, name, test, workers):
        judged.append(test["folder"])
        return {"digest": test["digest"], "macro_f1": 0.3, "accuracy": 0.2}

    monkeypatch.setattr(cells, "_judge", judge)
    run(plan(), tmp_path / "out")
    for _ in range(2):
        content, _ = run(plan(top=f'test = "{place / "test"}"'), tmp_path / "out")
    assert len(trained) == len(judged) == 2
    assert content["rows"][0]["test_accuracy"] == 0.2
    content, _ = run(plan(), tmp_path / "out")
    assert "test_accuracy" not in content["rows"][0], "the plan names no test any more"


def test_the_budget_leaves_cells_and_says_so(plan, tmp_path, trained):
    content, _ = run(plan(top="minutes = 1e-9"), tmp_path / "out")
    assert trained == []
    assert content["left"] == [{"name": "width=4", "seed": 0}, {"name": "width=8", "seed": 0}]
    assert "Not begun, as the 1e-09 minutes were used: 2 cells" in content["sentences"][-1]
    content, _ = run(plan(), tmp_path / "out")
    assert len(trained) == 2
    assert content["left"] == []


def test_a_failing_cell_does_not_stop_the_others_and_is_tried_again(plan, tmp_path, trained, monkeypatch):
    formula = cells._train

    def failing(folder, job):
        if job["settings"]["model"]["width"] == 4:
            raise MemoryError("no room")
        return formula(folder, job)

    monkeypatch.setattr(cells, "_train", failing)
    content, said = run(plan(), tmp_path / "out")
    assert content["failed"] == [{"name": "width=4", "seed": 0, "reason": "MemoryError: no room"}]
    assert [row["name"] for row in content["rows"]] == ["width=8"]
    assert "1/2  width=4, seed 0: failed: MemoryError: no room" in said
    assert "Failed: width=4, seed 0: MemoryError: no room" in (tmp_path / "out" / "results.md").read_text()
    monkeypatch.setattr(cells, "_train", formula)
    content, _ = run(plan(), tmp_path / "out")
    assert content["failed"] == []
    assert trained == [(8, 0), (4, 0)]


def test_a_crash_of_a_cells_process_is_named(plan, tmp_path, monkeypatch):
    def crash(folder, threads):
        code = "import os; os.kill(os.getpid(), 9)" if "=4" in folder.name else "raise SystemExit(3)"
        return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)

    monkeypatch.setattr(cells, "start", crash)
    content = sweep(plan(), tmp_path / "out", jobs=2).content
    reasons = {cell["name"]: cell["reason"] for cell in content["failed"]}
    assert "signal 9; perhaps the memory was full" in reasons["width=4"]
    assert "ended with code 3" in reasons["width=8"]
    assert content["sentences"] == ["No cell is finished."]


def test_a_search_goes_on_through_its_finished_cells(plan, tmp_path, trained):
    pytest.importorskip("optuna")
    text = "[search]\ntrials = {}\nmodel.width = {{ low = 8, high = 1000 }}\n"
    run(plan(text.format(4), top="seeds = [0, 1]"), tmp_path / "out")
    first = list(trained)
    assert len(first) == 10, "baseline and four trials, two seeds"
    content, _ = run(plan(text.format(6), top="seeds = [0, 1]"), tmp_path / "out")
    assert trained[:10] == first
    assert len(trained) == 14
    assert len(content["rows"]) == 7
    content, _ = run(plan(text.format(6), top="seeds = [0, 1]\nminutes = 1e-9"), tmp_path / "out")
    assert "6 trials" in content["sentences"][-1]


def test_a_proposal_that_cannot_be_is_passed_over(plan, tmp_path, trained):
    pytest.importorskip("optuna")
    text = "[search]\ntrials = 4\ntraining.first_size = { low = 8, high = 40 }\n"
    content, said = run(plan(text), tmp_path / "out")
    told = [sentence for sentence in content["sentences"] if "was passed over" in sentence]
    assert told
    assert all("it must be from 8 to data.size, which is 16" in sentence for sentence in told)
    assert set(told) <= set(said)
    assert len(trained) == 1 + 4 - len(told)
    again, _ = run(plan(text), tmp_path / "out")
    assert again["sentences"] == content["sentences"]


def test_proposed_data_that_cannot_be_read_are_passed_over(plan, tmp_path, trained):
    pytest.importorskip("optuna")
    text = f"[search]\ntrials = 3\ndata.extra = {{ choices = [['{tmp_path / 'nowhere'}']] }}\n"
    content, _ = run(plan(text), tmp_path / "out")
    told = [sentence for sentence in content["sentences"] if "nowhere: there is no such folder" in sentence]
    assert len(told) == 3
    assert len(trained) == 1, "the baseline"


def test_networks_of_other_libraries_are_known(plan, tmp_path, trained):
    content, _ = run(
        plan("[factors]\nmodel.name = ['lite0', 'timm:test_resnet']\nmodel.width = [0]\n"), tmp_path / "out"
    )
    assert not content["failed"]


# Mistakes ---------------------------------------------------------------------------------------------------------


def test_two_sweeps_in_one_folder_are_refused(plan, tmp_path, trained):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(Locked, match="another sweep is at work"):
        run(plan(), tmp_path / "out")
    assert trained == []


def test_what_cannot_run_is_told_before_anything_is_made(plan, place, tmp_path):
    before = {*tmp_path.iterdir(), tmp_path / "plan.toml"}
    for path, out, message in (
        (lambda: plan(train="nowhere"), "out", "no such folder"),
        (lambda: plan(top='test = "nowhere"'), "out", "no such folder"),
        (lambda: plan(top='test = "plan.toml"'), "out", "is a file; the test of a plan is a folder"),
        (lambda: plan("[factors]\nmodel.name = ['small-resnt']\n"), "out", "Did you mean 'small-resnet'"),
        (plan, place / "pictures" / "out", "among the pictures"),
        (plan, tmp_path / "plan.toml" / "out", "cannot be made"),
    ):
        with pytest.raises(UserError, match=message):
            run(path(), tmp_path / out)
        assert {*tmp_path.iterdir()} == before
    assert not (place / "pictures" / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--quiet"]])
def test_the_command_ends_with_2_where_a_cell_failed(plan, tmp_path, trained, monkeypatch, arguments):
    import typer.testing

    from classify import cli

    monkeypatch.setattr(cells, "start", lambda folder, threads: _fail(folder))
    path = plan()
    done = typer.testing.CliRunner().invoke(
        cli.app, ["sweep", str(path), "--out", str(tmp_path / "out"), *arguments]
    )
    assert done.exit_code == 2
    if arguments == ["--json"]:
        assert [cell["reason"] for cell in json.loads(done.stdout)["failed"]] == ["on purpose"] * 2
    else:
        assert "2 cells failed" in done.stderr
        assert "on purpose" in done.stderr
    assert bool(done.stdout) == (arguments != ["--quiet"])


def _fail(folder):
    (folder / "failure.json").write_text('{"reason": "on purpose"}')
    return subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
