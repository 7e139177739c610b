"""Proposals of a search: within their ranges, and the same again when told the same."""

import sys

import pytest

from classify.plan import read_plan
from classify.search import Proposals
from curate.errors import UserError

PLAN = """
train = "pictures"
[search]
trials = 14
seed = 5
optimizer.lr = { low = 0.001, high = 0.1, log = true }
model.width = { low = 8, high = 16 }
data.background = { choices = [[255, 255, 255], [0, 0, 0]] }
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "plan.toml").write_text(PLAN)
    return read_plan(tmp_path / "plan.toml")


def proposed(plan, count, best=0.01):
    proposals, found = Proposals(plan), []
    for number in range(count):
        found.append(proposals.ask())
        proposals.tell(None if number == 2 else -abs(found[-1].settings.optimizer.lr - best))
    return [one.settings for one in found]


def test_the_same_answers_give_the_same_proposals(plan):
    pytest.importorskip("optuna")
    first = proposed(plan, 12)
    assert proposed(plan, 14)[:12] == first
    assert proposed(plan, 14, best=0.1)[:10] == first[:10]
    assert proposed(plan, 14, best=0.1)[10:12] != first[10:12], "what is told must count"
    assert all(0.001 <= one.optimizer.lr <= 0.1 and 8 <= one.model.width <= 16 for one in first)
    assert {one.data.background for one in first} == {(255, 255, 255), (0, 0, 0)}


def test_without_optuna_the_extra_is_named(plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match="needs optuna") as caught:
        Proposals(plan)
    assert "curate-classify[search]" in caught.value.remedy
