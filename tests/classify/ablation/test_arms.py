"""Which pictures each arm learns from: what comes back, what never does, how often each is drawn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classify.ablation.arms import (
    AS_IT_CAME,
    CLEANED,
    STEPS,
    WITHOUT,
    check_fresh,
    held_out,
    make_arms,
    random_split,
    read_pictures_of,
    why_out,
    write_workspace,
)  # fmt: skip
from classify.data.readers.workspace import test_part as part_to_judge
from classify.data.sources import find_source
from curate.errors import UserError

from .conftest import file, filled, write_tables


def learnt(arm):
    return set(arm.rows["path"][arm.rows["split"] == "train"])


def test_each_arm_brings_back_what_its_step_took_out(messy):
    arms = {arm.name: arm for arm in make_arms(read_pictures_of(messy))}
    cleaned = learnt(arms[CLEANED])
    assert len(cleaned) == 15
    back = {name: {path.partition("/")[2] for path in learnt(arm) - cleaned} for name, arm in arms.items()}
    assert back == {
        CLEANED: set(),
        "with duplicates": {"copy.png"},
        "with photographs": {"photo.png"},
        "with conflicts": {"conflict.png"},
        "not balanced": set(),
        AS_IT_CAME: {"copy.png", "photo.png", "photo_copy.png", "conflict.png"},
    }
    assert {arm.pictures for arm in arms.values()} == {15, 17, 23}


def test_the_validation_part_is_the_same_and_copies_of_it_never_come_back(messy):
    for arm in make_arms(read_pictures_of(messy)):
        sides = {name: set(rows["group"]) for name, rows in arm.rows.groupby("split")}
        assert len(arm.rows[arm.rows["split"] == "val"]) == 6
        assert not sides["train"] & (sides["val"] | sides["test"])


def test_what_shows_a_test_picture_is_in_no_arm_nor_is_its_group(messy):
    for arm in make_arms(read_pictures_of(messy), ["dark/copy.png", "light/photo.png"]):
        gone = {"dark/train0.png", "dark/copy.png", "dark/photo_copy.png", "light/photo.png"}
        assert not learnt(arm) & gone
        assert "light/train0.png" in learnt(arm)


def test_classes_are_drawn_as_often_with_what_came_back(messy):
    for arm in make_arms(read_pictures_of(messy)):
        rows = arm.rows[arm.rows["split"] == "train"]
        if arm.balanced:
            assert rows.groupby("label")["rate"].sum().to_dict() == pytest.approx({"dark": 7.5, "light": 7.5})
        else:
            assert set(rows["rate"]) == {1.0}
    with_copies = make_arms(read_pictures_of(messy))[1].rows.set_index("path")["rate"]
    assert with_copies["light/copy.png"] == pytest.approx(with_copies["light/train0.png"])


def test_pictures_that_balancing_leaves_out_stay_out_but_without_balancing(messy_files, tmp_path):
    workspace = write_tables(
        tmp_path, [one for one in messy_files if one["split"] != "out"], {"dark": 1, "light": 1}
    )
    balance = workspace.read("balance")
    balance.loc[balance["path"] == "dark/train3.png", "copies"] = 0
    workspace.write("balance", balance, inputs={"splits": workspace.digest("splits")})
    arms = make_arms(read_pictures_of(workspace))
    assert [arm.name for arm in arms] == [CLEANED, "not balanced", AS_IT_CAME]
    for arm, count in zip(arms, (14, 15, 15), strict=True):
        source = find_source(arm.write(tmp_path, tmp_path.with_name("arms-of-balance")))
        assert source.splits.count("train") == count


def test_without_a_balance_classes_count_alike_as_training_has_it(messy_files, tmp_path):
    arms = make_arms(read_pictures_of(write_tables(tmp_path, messy_files)))
    rates = arms[0].rows.set_index("path")["rate"]
    assert rates["light/train0.png"] == 2 * rates["dark/train0.png"]
    assert "not balanced" in [arm.name for arm in arms]


def test_steps_that_did_nothing_have_no_arm(tmp_path):
    files = [file(f"{label}/{i}.png", split, 10 * j + i)
             for j, label in enumerate("ab") for i, split in enumerate(("train", "train", "val"))]  # fmt: skip
    arms = make_arms(read_pictures_of(write_tables(tmp_path, files, {"a": 1, "b": 1})))
    assert [arm.name for arm in arms] == [CLEANED, AS_IT_CAME]


def test_an_arm_is_a_workspace_that_training_takes(messy, tmp_path):
    arm = next(arm for arm in make_arms(read_pictures_of(messy)) if arm.name == WITHOUT["photographs"])
    place = arm.write(messy.root, tmp_path)
    source = find_source(place)
    assert set(np.array(source.paths)[np.array(source.splits) == "train"]) == learnt(arm)
    assert source.weights is not None
    assert len(source.items) == 17 + 6
    assert all((messy.root / path).exists() for path in source.paths)
    times = {file: file.stat().st_mtime_ns for file in place.iterdir()}
    assert arm.write(messy.root, tmp_path) == place
    assert times == {file: file.stat().st_mtime_ns for file in place.iterdir()}


def test_an_arm_of_a_folder_that_moved_is_made_anew(messy_files, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    rows = read_pictures_of(write_tables(tmp_path / "one", messy_files))
    for root in (tmp_path / "one", tmp_path / "two"):
        place = write_workspace(root, tmp_path / "arm.curate", rows)
        assert part_to_judge(find(place)).root == root


def find(place):
    from curate.workspace import Workspace

    return Workspace.find(place)


def test_the_random_split_divides_each_class_and_knows_no_copies(messy):
    came = make_arms(read_pictures_of(messy))[-1]
    splits = [random_split(came, seed).rows.set_index("path")["split"] for seed in (0, 0, 1)]
    assert splits[0].equals(splits[1])
    assert not splits[0].equals(splits[2])
    assert set(splits[0].index) == learnt(came)
    counts = random_split(came, 0).rows.groupby(["label", "split"]).size()
    assert counts["dark", "test"] == counts["dark", "val"] == counts["light", "val"] == 1


def test_a_part_held_out_is_judged_as_a_test_part(messy, tmp_path):
    place = write_workspace(messy.root, tmp_path / "val.curate", held_out(read_pictures_of(messy), "val"))
    assert [path.partition("/")[2] for path in part_to_judge(find(place)).paths] == [
        "val0.png",
        "val1.png",
        "val2.png",
    ] * 2


CASES = [
    ({"action": "remove", "keeper": "a/k", "conflict": False}, ("duplicates",)),
    ({"action": "remove", "keeper": "a/k", "conflict": False, "photo": True}, ("duplicates", "photographs")),
    ({"action": "review", "keeper": "a/open", "conflict": True}, ("conflicts",)),
    ({"action": "remove", "keeper": "a/dropped", "conflict": True}, ("conflicts",)),
    ({"action": "remove", "keeper": "b/k", "conflict": True}, ("conflicts",)),
    ({"action": "remove", "keeper": "a/k", "conflict": True}, ("duplicates",)),
    ({"photo": True}, ("photographs",)),
    ({"photo": True, "action": "review", "keeper": "a/open", "conflict": True}, ("photographs", "conflicts")),
    ({}, ()),
]


@pytest.mark.parametrize(("known", "expected"), CASES)
def test_why_a_file_is_out(known, expected):
    kept = {"a/k": "keep", "b/k": "keep", "a/open": "review", "a/dropped": "remove"}
    keepers = [{"path": path, "label": path[0], "keeper": path, "action": action, "conflict": known.get("conflict", False)}
               for path, action in kept.items()]  # fmt: skip
    own = {key: value for key, value in known.items() if key != "photo"}
    duplicates = filled("duplicates", keepers + ([{"path": "a/x", "label": "a"} | own] if own else []))
    photos = filled("photos", [{"path": "a/x", "action": "remove" if known.get("photo") else "keep"}])
    for split, found in (("out", expected), ("train", ())):
        assert why_out(pd.DataFrame({"path": ["a/x"], "split": [split]}), duplicates, photos) == [found]


@settings(max_examples=30, deadline=None)
@given(st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["train", "val", "test", "out"]), st.integers(0, 12),
              st.sets(st.sampled_from(STEPS[:3]), min_size=1)),
    min_size=1, max_size=40,
))  # fmt: skip
def test_no_arm_learns_from_a_group_that_is_held_out(files):
    rows = pd.DataFrame(
        [{"path": str(i), "label": label, "split": split, "group": group, "rate": 1.0 if split == "train" else np.nan,
          "steps": tuple(sorted(steps, key=STEPS.index)) if split == "out" else ()}
         for i, (label, split, group, steps) in enumerate(files)]
    )  # fmt: skip
    held = set(rows["group"][rows["split"].isin(["val", "test"])])
    rows = rows[~(rows["group"].isin(held) & rows["split"].isin(["train", "out"]))]
    leaking = list(rows["path"][:2])
    bad = set(rows["group"][rows["path"].isin(leaking)])
    fit = rows[~rows["group"].isin(bad)]
    if not (fit["split"] == "train").any():
        return
    for arm in make_arms(rows, leaking):
        train = arm.rows[arm.rows["split"] == "train"]
        assert not set(train["group"]) & (held | bad)
        assert train["path"].is_unique
        assert set(fit["path"][fit["split"] == "train"]) <= set(train["path"])
        assert (train["rate"] > 0).all()


def test_tables_that_do_not_belong_together(messy_files, tmp_path):
    workspace = write_tables(tmp_path, messy_files, {"dark": 1, "light": 1})
    check_fresh(workspace)
    splits = workspace.read("splits")
    workspace.write("splits", splits[:-1], inputs=workspace.origin("splits").inputs)
    with pytest.raises(UserError, match="the table 'balance' is older than splits") as caught:
        read_pictures_of(workspace)
    assert "curate run" in caught.value.remedy
    workspace.write("photos", workspace.read("photos")[:-1])
    with pytest.raises(UserError, match="the table 'splits' is older than photos"):
        read_pictures_of(workspace)
    (workspace.path / "splits.parquet").unlink()
    with pytest.raises(UserError, match="the table 'splits' is not there yet"):
        read_pictures_of(workspace)


@pytest.mark.parametrize(("part", "word"), [("val", "validation"), ("train", "training")])
def test_an_empty_part(messy_files, tmp_path, part, word):
    workspace = write_tables(tmp_path, [one for one in messy_files if one["split"] != part])
    with pytest.raises(UserError, match=f"its {word} part is empty"):
        read_pictures_of(workspace)
