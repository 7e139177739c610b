"""The pipeline on stages of our own: what runs, what is fresh, which settings are taken."""

import dataclasses
import sys
import types

import pandas as pd
import pytest

from curate import pipeline
from curate.errors import Locked, UserError
from curate.pipeline import Stage, bring_up_to_date, needed, session, staleness


@dataclasses.dataclass(frozen=True)
class Choice:
    level: int = 1


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Two stages: `files` lists what stands in a variable, `plan` keeps everything; each run is noted."""
    module = types.ModuleType("toy_stages")
    module.VERSION = 1
    module.Choice = Choice
    module.ran = []
    module.paths = ["a.png", "b.png"]

    def files(context, settings):
        module.ran.append("scan")
        return {"problems": _problems(module.paths)}

    def plan(context, settings):
        module.ran.append(f"plan {settings.level}")
        return {"balance": _balance(list(context.read("problems").problem))}

    module.files, module.plan = files, plan
    monkeypatch.setitem(sys.modules, "toy_stages", module)
    stages = {
        "scan": Stage("scan", "toy_stages", "files", "Choice", (), ("problems",), "…", always=True),
        "plan": Stage("plan", "toy_stages", "plan", "Choice", ("problems",), ("balance",), "…"),
    }
    monkeypatch.setattr(pipeline, "STAGES", stages)
    (tmp_path / "pictures").mkdir()
    module.root = tmp_path / "pictures"
    return module


def _problems(names):
    return pd.DataFrame(
        [
            {
                "problem": n,
                "severity": "low",
                "count": 1,
                "value": 0.0,
                "sentence": "",
                "command": "",
                "examples": "",
            }
            for n in names
        ]
    )


def _balance(paths):
    return pd.DataFrame([{"path": p, "label": "", "weight": 1.0, "copies": 1, "reason": ""} for p in paths])


def update(toy, **settings):
    toy.ran.clear()
    with session(toy.root) as workspace:
        bring_up_to_date(workspace, ["plan"], settings)
        return list(toy.ran)


def test_only_what_is_stale_runs(toy):
    assert update(toy) == ["scan", "plan 1"]
    assert update(toy) == ["scan"]
    toy.paths.append("c.png")
    assert update(toy) == ["scan", "plan 1"]


def test_settings_are_remembered_and_changed_ones_make_stale(toy):
    update(toy)
    assert update(toy, plan=Choice(5)) == ["scan", "plan 5"]
    assert update(toy) == ["scan"]
    toy.paths.append("c.png")
    assert update(toy) == ["scan", "plan 5"]


def test_another_version_of_the_algorithm_makes_stale(toy):
    update(toy)
    toy.VERSION = 2
    assert update(toy) == ["scan", "plan 1"]


def test_staleness_in_words(toy):
    with session(toy.root) as workspace:
        assert staleness(workspace) == {"scan": "not run", "plan": "not run"}
        bring_up_to_date(workspace, ["plan"])
        assert staleness(workspace) == {"scan": "done", "plan": "done"}
        toy.paths.append("c.png")
        bring_up_to_date(workspace, ["scan"])
        assert staleness(workspace) == {"scan": "done", "plan": "stale"}


def test_what_each_stage_rests_on():
    assert needed("scan") == ["scan"]
    assert needed("dedup") == ["scan", "against", "compare", "dedup"]
    assert needed("balance") == [*needed("dedup"), "filter-photos", "split", "balance"]


def test_a_second_run_in_the_same_workspace_is_refused(toy):
    with session(toy.root), pytest.raises(Locked) as error, session(toy.root):
        pass
    assert "another run" in error.value.message
    assert error.value.exit_code == 5


def test_a_workspace_made_for_nothing_is_removed(toy):
    with pytest.raises(UserError), session(toy.root):
        raise UserError("the folder holds no picture.")
    assert not toy.root.with_name("pictures.curate").exists()


def test_a_workspace_with_something_in_it_stays_when_a_run_fails(toy):
    def fail():
        with session(toy.root) as workspace:
            workspace.write_bytes("journal.jsonl", b"")
            raise UserError("something later.")

    with pytest.raises(UserError):
        fail()
    assert toy.root.with_name("pictures.curate").exists()
