"""Plans: what is read, what is made of it, and what is said of a wrong one."""

import pytest

from classify.plan import Range, read_plan
from curate.errors import UserError


@pytest.fixture
def plan_of(tmp_path):
    def write(text):
        path = tmp_path / "plan.toml"
        path.write_text(text if text.startswith("#bare") else f'train = "pictures"\n{text}', encoding="utf-8")
        return read_plan(path)

    return write


def test_paths_and_settings_are_relative_to_the_plan(plan_of, tmp_path):
    (tmp_path / "base.toml").write_text("[training]\nminutes = 2\nepochs = 7\nseed = 9\n")
    plan = plan_of(
        'test = "../held"\nsettings = "base.toml"\nseeds = [3, 1]\nminutes = 5\n'
        '[base.training]\nepochs = 4\n[factors]\n"model.width" = [8, 16]\n'
    )
    assert plan.train == tmp_path / "pictures"
    assert plan.test == tmp_path / ".." / "held"
    assert (plan.base.training.minutes, plan.base.training.epochs) == (2, 4)
    assert plan.seeds == (3, 1)
    assert plan.minutes == 5
    assert plan.factors == {"model.width": (8, 16)}


def test_a_grid_has_every_point_once_and_the_base_first(plan_of):
    plan = plan_of(
        "[base]\naugmentation.mixup = 0.5\n[factors]\noptimizer.lr = [0.01, 0.003]\naugmentation.mixup = [0, 0.5, 1]\n"
    )
    names = [one.name for one in plan.combinations()]
    assert names[0] == "lr=0.003, mixup=0.5"
    assert sorted(names) == sorted(
        f"lr={lr}, mixup={mix}" for lr in ("0.01", "0.003") for mix in ("0", "0.5", "1")
    )
    chosen = plan.combinations()[1].settings
    assert (chosen.optimizer.lr, chosen.augmentation.mixup) == (0.01, 0)


def test_a_grid_without_the_base_value_begins_with_the_first(plan_of):
    plan = plan_of("[factors]\nmodel.width = [16, 8]\n")
    assert [one.name for one in plan.combinations()] == ["width=16", "width=8"]


def test_one_at_a_time_changes_one_factor_and_does_not_repeat_the_baseline(plan_of):
    plan = plan_of(
        'way = "one-at-a-time"\n[factors]\noptimizer.lr = [0.003, 0.01]\nmodel.name = ["small-resnet"]\n'
        'optimizer.name = ["sgd"]\ndata.raw = [true]\n'
    )
    found = plan.combinations()
    assert [one.name for one in found] == ["baseline", "lr=0.01", "optimizer.name=sgd", "raw=true"]
    assert found[2].settings.optimizer.lr == 0.1, "the usual rate of sgd"
    assert all(one.settings.training.seed == 0 for one in found)


def test_a_search_has_ranges_in_the_type_of_their_keys(plan_of):
    plan = plan_of(
        "[search]\ntrials = 5\noptimizer.lr = { low = 0.001, high = 1, log = true }\n"
        'model.width = { low = 8, high = 16 }\noptimizer.name = { choices = ["adamw", "sgd"] }\n'
    )
    assert plan.search is not None
    assert plan.search.trials == 5
    assert plan.search.ranges == {
        "optimizer.lr": Range(0.001, 1.0, True),
        "model.width": Range(8, 16),
        "optimizer.name": Range(choices=("adamw", "sgd")),
    }
    assert type(plan.search.ranges["optimizer.lr"].high) is float
    assert [one.name for one in plan.combinations()] == ["baseline"]


WIDTHS = "[factors]\nmodel.width = [8]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#bare\n" + WIDTHS, "does not say what to train on"),
        ("seed = [1]\n" + WIDTHS, "Did you mean 'seeds'"),
        ('way = "gird"\n' + WIDTHS, "Did you mean 'grid'"),
        ('compare = "val_f1"\n' + WIDTHS, "Did you mean 'val_macro_f1'"),
        ("seeds = []\n" + WIDTHS, "seeds is a list of different whole numbers"),
        ("seeds = [1, 1]\n" + WIDTHS, "seeds is a list of different whole numbers"),
        ("minutes = -1\n" + WIDTHS, "minutes is a number from 0 on"),
        ("minutes = nan\n" + WIDTHS, "minutes is a number from 0 on"),
        ("test = 3\n" + WIDTHS, "test is a text"),
        ('settings = "none.toml"\n' + WIDTHS, "no such settings file"),
        ("base = 3\n" + WIDTHS, "base is a table"),
        ("[base]\nepochs = 3\n" + WIDTHS, "'epochs' is not of the form section.key"),
        ("[base]\ntraining.epoch = 3\n" + WIDTHS, "Did you mean 'epochs'"),
        ("[base]\ntraining.epochs = 0\n" + WIDTHS, "must be 1 or more"),
        ("[base]\ntraining.seed = 3\n" + WIDTHS, "seeds = [0, 1, 2]"),
        ("", "neither [factors] nor [search]"),
        (
            WIDTHS + "[search]\ntrials = 1\nmodel.width = { low = 8, high = 9 }\n",
            "both [factors] and [search]",
        ),
        ("[factors]\ntraining.seed = [1]\n", "seeds = [0, 1, 2]"),
        ("[factors]\nmodel.widht = [8]\n", "Did you mean 'width'"),
        ("[factors]\nmodl.width = [8]\n", "Did you mean 'model'"),
        ("[factors]\nmodel.width = 8\n", "is a list of values"),
        ("[factors]\nmodel.width = []\n", "is a list of values"),
        ("[factors]\nmodel.width = [8, -1]\n", "model.width is -1; it must be from 0 to 1024"),
        ("[factors]\nmodel.width = [8, 8]\n", "holds a value twice"),
        ("[search]\nmodel.width = { low = 8, high = 9 }\n", "trials is a whole number from 1 on"),
        ("[search]\ntrials = 3\n", "has no ranges"),
        ("[search]\ntrials = 3\nmodel.width = [8, 9]\n", "is a range"),
        ("[search]\ntrials = 3\nmodel.width = { low = 8, hihg = 9 }\n", "Did you mean 'high'"),
        ("[search]\ntrials = 3\nmodel.width = { low = 8 }\n", "has low and high"),
        ("[search]\ntrials = 3\nmodel.width = { low = 9, high = 8 }\n", "is no range"),
        (
            "[search]\ntrials = 3\noptimizer.lr = { low = 0, high = 1, log = true }\n",
            "above 0 where log is true",
        ),
        ("[search]\ntrials = 3\nmodel.width = { low = -1, high = 8 }\n", "it must be from 0 to 1024"),
        ('[search]\ntrials = 3\nmodel.name = { low = "a", high = "b" }\n', "is no number"),
        ("[search]\ntrials = 3\nmodel.width = { choices = [8], low = 1 }\n", "stands alone"),
        ('[search]\ntrials = 3\ndata.fit = { choices = ["padd"] }\n', "Did you mean 'pad'"),
        ("[factors\n", "not valid TOML"),
    ],
)
def test_a_wrong_plan_says_what_is_wrong(plan_of, text, message):
    with pytest.raises(UserError) as caught:
        plan_of(text)
    assert message in str(caught.value)
    assert "plan.toml" in caught.value.message or "none.toml" in caught.value.message


def test_values_that_do_not_go_together_are_told_before_anything_runs(plan_of):
    plan = plan_of("[base]\ndata.size = 16\n[factors]\ntraining.first_size = [8, 200]\n")
    with pytest.raises(UserError, match="first_size is 200; it must be from 8 to"):
        plan.combinations()


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such plan file"):
        read_plan(tmp_path / "none.toml")
