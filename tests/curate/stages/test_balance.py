import hashlib

import numpy as np
import pandas as pd
import pytest

from curate.errors import UserError
from curate.stages.balance import BalanceSettings, balance_files, class_weights
from curate.tables import BALANCE, SPLITS


def make_splits(sizes: dict[str, int]) -> pd.DataFrame:
    """So many training pictures of each class, and one each of val, test and out."""
    rows = []
    for label, count in sizes.items():
        for number in range(count + 3):
            path = f"{label}/{number}.png"
            part = "train" if number < count else ("val", "test", "out")[number - count]
            rows.append((path, hashlib.sha256(path.encode()).hexdigest(), label, part, number, ""))
    return pd.DataFrame(rows, columns=list(SPLITS.columns))


def drawn(frame: pd.DataFrame) -> dict[str, int]:
    return {str(label): int(count) for label, count in frame.groupby("label").copies.sum().items()}


def test_only_the_training_part_is_listed() -> None:
    splits = make_splits({"cat": 5, "dog": 3})
    frame = balance_files(splits, BalanceSettings())
    assert set(frame.path) == set(splits[splits.split == "train"].path)
    assert list(frame.columns) == list(BALANCE.columns)


def test_weights_favour_the_rare_by_less_than_the_imbalance_and_have_mean_one() -> None:
    frame = balance_files(make_splits({"cat": 80, "dog": 40, "emu": 10}), BalanceSettings())
    weight = frame.groupby("label").weight.first()
    assert frame.weight.mean() == pytest.approx(1, abs=1e-6)
    assert weight["emu"] > weight["dog"] > weight["cat"]
    assert 2 < weight["emu"] / weight["cat"] < 8
    assert set(frame.copies) == {1}


def test_weights_follow_the_formula_for_a_given_beta() -> None:
    weights = class_weights({"a": 10, "b": 1}, beta=0.9)
    effective_a, effective_b = (1 - 0.9**10) / 0.1, 1.0
    assert weights["b"] / weights["a"] == pytest.approx(effective_a / effective_b)
    assert (10 * weights["a"] + weights["b"]) / 11 == pytest.approx(1)


def test_equal_classes_weigh_one() -> None:
    assert class_weights({"a": 7, "b": 7}) == pytest.approx({"a": 1, "b": 1})
    assert class_weights({"a": 1}) == pytest.approx({"a": 1})
    assert class_weights({}) == {}


def test_undersample_leaves_the_surplus_out() -> None:
    frame = balance_files(make_splits({"cat": 20, "dog": 6}), BalanceSettings("undersample"))
    assert drawn(frame) == {"cat": 6, "dog": 6}
    assert set(frame.copies) == {0, 1}
    assert set(frame.weight) == {1}
    assert "20 training pictures, 6 drawn" in frame.reason.iloc[0]


def test_oversample_draws_all_as_often_as_the_largest() -> None:
    frame = balance_files(make_splits({"cat": 20, "dog": 6}), BalanceSettings("oversample"))
    assert drawn(frame) == {"cat": 20, "dog": 20}
    assert sorted(frame[frame.label == "dog"].copies) == [3, 3, 3, 3, 4, 4]


def test_oversample_to_a_cap() -> None:
    frame = balance_files(make_splits({"cat": 20, "dog": 6}), BalanceSettings("oversample", cap=12))
    assert drawn(frame) == {"cat": 12, "dog": 12}
    assert set(frame[frame.label == "cat"].copies) == {0, 1}


def test_a_cap_limits_each_class_and_the_weights_fit_what_is_drawn() -> None:
    frame = balance_files(make_splits({"cat": 20, "dog": 6, "emu": 2}), BalanceSettings(cap=8))
    assert drawn(frame) == {"cat": 8, "dog": 6, "emu": 2}
    assert np.average(frame.weight, weights=frame.copies) == pytest.approx(1, abs=1e-6)


def test_none_changes_nothing() -> None:
    frame = balance_files(make_splits({"cat": 20, "dog": 6}), BalanceSettings("none"))
    assert set(frame.copies) == {1}
    assert set(frame.weight) == {1}


def test_what_is_left_out_depends_on_the_seed_and_not_on_the_order_or_the_names() -> None:
    splits = make_splits({"cat": 20, "dog": 6})
    chosen = BalanceSettings("undersample")
    frame = balance_files(splits, chosen)
    assert balance_files(splits.sample(frac=1, random_state=1), chosen).equals(frame)
    assert not balance_files(splits, BalanceSettings("undersample", seed=1)).copies.equals(frame.copies)
    renamed = splits.assign(path=splits.path.str.replace(".png", "-b.png").str[::-1])
    kept = set(splits.merge(frame[frame.copies == 1], on="path").content)
    again = balance_files(renamed, chosen)
    assert set(renamed.merge(again[again.copies == 1], on="path").content) == kept


def test_an_empty_training_part_and_a_flat_folder() -> None:
    assert balance_files(SPLITS.empty(), BalanceSettings()).empty
    frame = balance_files(make_splits({"": 5}), BalanceSettings())
    assert set(frame.weight) == {1}
    assert "the only class has 5" in frame.reason.iloc[0]


@pytest.mark.parametrize(
    ("settings", "message", "remedy"),
    [
        (BalanceSettings("weight"), "no method 'weight'", "Did you mean weights"),
        (BalanceSettings("zzz"), "no method 'zzz'", "Methods: weights, undersample"),
        (BalanceSettings(cap=-1), "cap = -1", "0 for no cap"),
        (BalanceSettings(beta=1.0), "beta = 1 ", "Give 0"),
    ],
)
def test_impossible_settings_are_errors(settings: BalanceSettings, message: str, remedy: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        balance_files(make_splits({"cat": 5}), settings)
    assert remedy in caught.value.remedy
