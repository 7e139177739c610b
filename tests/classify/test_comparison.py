"""Two classifiers on the same pictures: figures by hand, intervals by simulation, refusals, files and words."""

from __future__ import annotations

import html
import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import f1_score, recall_score
from typer.testing import CliRunner

from classify.cli import app
from classify.evaluation.comparing import FEW, compare, sentences
from classify.evaluation.comparison import compare_predictions, flips, holm, mcnemar, pair
from classify.evaluation.intervals import group_weights
from curate.errors import Refused, UserError


def table(labels, predictions, classes="abc", groups=None):
    """A predictions table: one picture a letter of `labels`."""
    frame = pd.DataFrame(
        {
            "path": [f"{label}/{i:04}.png" for i, label in enumerate(labels)],
            "label": list(labels),
            "prediction": list(predictions),
            "confidence": np.linspace(0.5, 0.9, len(labels), dtype=np.float32),
        }
    )
    for name in classes:
        frame[f"p:{name}"] = (frame["prediction"] == name).astype(np.float32)
    return frame if groups is None else frame.assign(group=np.array(groups, dtype=np.int64))


def drawn(seed, per_class=12, classes=5, better=0.6, worse=0.5, shared=0.6):
    """Labels and two classifiers' answers, which have `shared` of their luck in common: int64 (N,) each."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    luck, own = random.random((2, len(labels)))
    wrong = (labels + random.integers(1, classes, (2, len(labels)))) % classes
    second = np.where(random.random(len(labels)) < shared, luck, own)
    return labels, np.where(luck < worse, labels, wrong[0]), np.where(second < better, labels, wrong[1])


def named(codes):
    return "".join("abcdefgh"[i] for i in codes)


def compared(seed, n=500, **more):
    labels, a, b = (named(codes) for codes in drawn(seed, **more))
    return compare_predictions(pair(table(labels, a, "abcde"), table(labels, b, "abcde")), n)


# Figures


def test_a_table_by_hand():
    a = table("aaaabbbb", "aabbbbba")
    b = table("aaaabbbb", "aaabbbcb")
    found = compare_predictions(pair(a, b))
    assert found["accuracy"]["a"] == pytest.approx(5 / 8)
    assert found["accuracy"]["b"] == pytest.approx(6 / 8)
    assert found["accuracy"]["difference"] == pytest.approx(1 / 8)
    assert found["macro_f1"]["a"] == pytest.approx((4 / 7 + 6 / 9) / 2)
    assert found["macro_f1"]["b"] == pytest.approx((6 / 7 + 6 / 8) / 2)
    assert found["per_class"]["b"]["recall"]["difference"] == pytest.approx(0)
    assert found["per_class"]["b"]["f1"]["difference"] == pytest.approx(6 / 8 - 6 / 9)
    assert list(found["per_class"]) == ["a", "b"]
    assert found["mcnemar"] == {"a_only": 1, "b_only": 2, "groups_for_a": 1, "groups_for_b": 2, "p": 1.0}
    assert found["flips"] == {"right to wrong": 1, "wrong to right": 2, "wrong to another wrong": 0}
    assert found["pictures"] == found["groups"] == 8


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_figures_are_those_of_scikit_learn(seed, pictures):
    random = np.random.default_rng(seed)
    labels, a, b = ("".join(random.choice(list("abcd"), pictures)) for _ in range(3))
    labels = labels.replace("d", "a")
    found = compare_predictions(pair(table(labels, a, "abcd"), table(labels, b, "abcd")), 20)
    present = sorted(set(labels))
    for name, guess in (("a", a), ("b", b)):
        both = list(labels), list(guess)
        macro = f1_score(*both, labels=present, average="macro", zero_division=0)
        assert found["macro_f1"][name] == pytest.approx(macro)
        recall = recall_score(*both, labels=present, average=None, zero_division=0)
        f1 = f1_score(*both, labels=present, average=None, zero_division=0)
        for i, row in enumerate(found["per_class"].values()):
            assert row["recall"][name] == pytest.approx(recall[i])
            assert row["f1"][name] == pytest.approx(f1[i])
    for figure in (found["accuracy"], found["macro_f1"]):
        assert figure["low"] <= figure["high"]


def test_the_other_way_round_is_the_same_with_the_signs_changed():
    labels, a, b = (named(codes) for codes in drawn(3))
    one, other = table(labels, a, "abcde"), table(labels, b, "abcde")
    there, back = (compare_predictions(pair(*pairing), 300) for pairing in ((one, other), (other, one)))
    assert there["macro_f1"]["low"] == pytest.approx(-back["macro_f1"]["high"])
    assert there["mcnemar"]["p"] == back["mcnemar"]["p"]


# Tests


def test_mcnemar_by_hand():
    """One against five: 2 (1 + 6) / 2^6."""
    right_a = np.array([True] * 3 + [True] + [False] * 5 + [False])
    right_b = np.array([True] * 3 + [False] + [True] * 5 + [False])
    found = mcnemar(right_a, right_b, np.arange(10))
    assert (found["a_only"], found["b_only"]) == (1, 5)
    assert found["p"] == pytest.approx(14 / 64)


def test_mcnemar_of_many_pairs_is_the_sum_of_the_binomial_tail():
    """The counts of Agresti, "Categorical Data Analysis", table 10.1: 150 changed the one way, 86 the other."""
    right_a = np.repeat([True, True, False, False], [794, 150, 86, 570])
    right_b = np.repeat([True, False, True, False], [794, 150, 86, 570])
    tail = sum(math.comb(236, i) for i in range(87)) / 2**236
    assert mcnemar(right_a, right_b, np.arange(1600))["p"] == pytest.approx(2 * tail)


def test_copies_of_a_picture_are_one_observation():
    right_a, right_b = np.zeros(12, dtype=bool), np.ones(12, dtype=bool)
    assert mcnemar(right_a, right_b, np.arange(12))["p"] == pytest.approx(2 / 2**12)
    assert mcnemar(right_a, right_b, np.arange(12) // 6)["p"] == pytest.approx(1 / 2)
    both_ways = np.array([True, False] * 6)
    assert mcnemar(both_ways, ~both_ways, np.arange(12) // 2)["p"] == 1.0


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


# Resamples


def test_resamples_keep_the_classes_and_the_groups():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    groups = np.array([5, 5, 7, 8, 2, 3, 4, 9])
    weights = np.concatenate(list(group_weights(labels, groups, 4000, 1)))
    # In ascending order of the groups: 2, 3, 4 are of class 1; 5, 7, 8 of class 0; 9 alone of class 2.
    assert weights.shape == (4000, 7)
    assert weights[:, :3].sum(1) == pytest.approx(np.full(4000, 3))
    assert weights[:, 3:6].sum(1) == pytest.approx(np.full(4000, 3))
    assert (weights[:, 6] == 1).all()
    assert weights.mean(0) == pytest.approx(np.ones(7), abs=0.06)
    # The spread of a mean over three groups is that of sampling: (s^2 / n) with s^2 over n - 1.
    values = np.array([0.0, 1.0, 5.0])
    assert (weights[:, :3] @ values / 3).var() == pytest.approx(values.var(ddof=1) / 3, rel=0.08)


def test_chunks_do_not_hold_all_resamples(monkeypatch):
    monkeypatch.setattr("classify.evaluation.intervals._CHUNK", 50)
    labels = np.repeat([0, 1], 10)
    chunks = list(group_weights(labels, np.arange(20), 7, 0))
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 1]
    again = list(group_weights(labels, np.arange(20), 7, 0))
    assert all((x == y).all() for x, y in zip(chunks, again, strict=True))


def interval(seed, n=300):
    """The difference in accuracy and its interval, straight from the resamples."""
    labels, a, b = drawn(seed)
    gain = (b == labels).astype(float) - (a == labels)
    weights = np.concatenate(list(group_weights(labels, np.arange(len(labels)), n)))
    return gain.mean(), *np.quantile(weights @ gain / len(gain), [0.025, 0.975])


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    """300 test sets of 60 pictures, twelve a class; the true difference in accuracy is .1."""
    differences, low, high = np.array([interval(seed) for seed in range(300)]).T
    assert 0.92 <= np.mean((low <= 0.1) & (high >= 0.1)) <= 0.98
    assert np.mean(high - low) / (2 * 1.96) == pytest.approx(differences.std(ddof=1), rel=0.12)


def test_the_interval_is_that_of_the_resamples():
    found = compared(7, 300)["accuracy"]
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(interval(7))


def test_what_both_have_in_common_is_no_noise():
    """The pairing: where luck is shared the interval is narrower by far."""
    shared, apart = compared(1, shared=0.95)["accuracy"], compared(1, shared=0.0)["accuracy"]
    assert shared["high"] - shared["low"] < 0.6 * (apart["high"] - apart["low"])


def test_copies_widen_the_interval():
    labels, a, b = (named(codes) for codes in drawn(5, per_class=6))
    single = compare_predictions(pair(table(labels * 4, a * 4), table(labels * 4, b * 4)), 500)
    groups = np.tile(np.arange(len(labels)), 4)
    copies = compare_predictions(pair(table(labels * 4, a * 4, groups=groups), table(labels * 4, b * 4)), 500)
    assert copies["groups"] == len(labels)
    assert copies["grouped"]
    widths = [one["accuracy"]["high"] - one["accuracy"]["low"] for one in (single, copies)]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.3)


# What is refused, and what is not


def test_another_order_of_rows_is_the_same():
    a, b = table("aabbcc", "aabbca"), table("aabbcc", "abbbcc")
    assert compare_predictions(pair(a, b), 50) == compare_predictions(pair(a[::-1], b.sample(frac=1)), 50)


def test_other_pictures_are_refused():
    a = table("aabb", "aabb")
    b = a.assign(path=["a/0000.png", "a/new.png", "b/0002.png", "b/0003.png"])
    with pytest.raises(Refused, match=r"1 picture of 4 is only in A: a/0001\.png"):
        pair(a, b)
    with pytest.raises(Refused, match=r"1 picture of 4 is only in B: b/0003\.png"):
        pair(a[:3], a)


def test_other_labels_are_refused():
    a, b = table("aabb", "aabb"), table("aabb", "aabb")
    b.loc[1, "label"] = "b"
    with pytest.raises(Refused, match=r"1 picture has another class in B than in A: a/0001.png \(a, b\)"):
        pair(a, b)


def test_tables_without_rows_and_with_pictures_twice():
    a = table("aabb", "aabb")
    with pytest.raises(UserError, match="A has no predictions"):
        pair(a[:0], a)
    with pytest.raises(UserError, match=r"B names a picture twice: a/0000\.png"):
        pair(a, pd.concat([a, a[:1]]))


def test_other_classes_of_the_weights_are_allowed_and_said():
    pairs = pair(table("aabb", "aaba", "ab"), table("aabb", "aabc", "abc"))
    found = compare_predictions(pairs, 50)
    assert (found["classes_only_in_a"], found["classes_only_in_b"]) == ([], ["c"])
    assert found["macro_f1"]["b"] == pytest.approx((1 + 2 / 3) / 2)
    assert "1 class is known to B alone: c." in sentences(found)


# Words


def test_the_sentences_say_what_is_more_than_noise():
    better = sentences(compared(0, per_class=200))
    assert any(
        text.startswith("B is better by 0.") and "macro-F1 (95 % interval 0." in text for text in better
    )
    worse = pair(*(table("ab" * 40, guess) for guess in ("ab" * 40, "ab" * 20 + "ba" * 20)))
    said = sentences(compare_predictions(worse))
    assert any(text.startswith("B is worse by 0.500 accuracy (95 % interval 0.") for text in said)
    assert any("A alone is right on 40 pictures, B alone on 0; chance alone is rarely" in x for x in said)
    assert any(
        text.startswith("B makes more mistakes about a, b (McNemar's test, Holm's correction")
        for text in said
    )
    noise = sentences(compare_predictions(pair(table("aabb" * 5, "aabb" * 4 + "abab"), table("aabb" * 5, "aabb" * 4 + "baba"))))  # fmt: skip
    assert "In accuracy no difference can be told from noise: B - A = +0.000" in "\n".join(noise)
    assert any(text.startswith("Of no single class") for text in noise)


def test_the_direction_of_a_class_is_that_of_its_test_not_of_f1():
    """A takes 160 others for `a` and misses none; B misses 100 and takes none: fewer mistakes, but the lower F1."""
    labels = "a" * 200 + "b" * 400
    first = table(labels, "a" * 200 + "a" * 160 + "b" * 240, "ab")
    second = table(labels, "a" * 100 + "b" * 100 + "b" * 400, "ab")
    figures = compare_predictions(pair(first, second))
    row = figures["per_class"]["a"]
    assert row["f1"]["difference"] < 0
    assert (row["groups_for_a"], row["groups_for_b"]) == (100, 160)
    said = sentences(figures)
    assert any(text.startswith("B makes fewer mistakes about a, b") for text in said)
    assert not any("more mistakes" in text for text in said)


def test_equal_predictions_and_small_classes_are_said():
    same = table("aabb", "abbb")
    assert (
        sentences(compare_predictions(pair(same, same)))[-1]
        == "They predict the same class for every picture."
    )
    few = sentences(compare_predictions(pair(table("aabb", "abbb"), table("aabb", "aabb"))))
    assert any(f"2 classes have fewer than {FEW} test pictures" in text for text in few)


def test_the_pictures_that_changed():
    a, b = table("aaaabb", "abbabc"), table("aaaabb", "aacbba")
    found = flips(pair(a, b))
    assert found["change"].tolist() == ["right to wrong", "wrong to right", *["wrong to another wrong"] * 2]
    assert found["path"].tolist() == ["a/0003.png", "a/0001.png", "b/0005.png", "a/0002.png"]
    assert found[["a", "b"]].iloc[0].tolist() == ["a", "b"]


# Files and the command


@pytest.fixture
def evaluations(tmp_path):
    for name, guess in (("one", "aabbabab" * 4), ("two", "aabbaabb" * 4)):
        place = tmp_path / name
        place.mkdir()
        table("aabbaabb" * 4, guess).to_parquet(place / "predictions.parquet")
        (place / "metrics.json").write_text(json.dumps({"weights": f"{name}.safetensors", "folder": "/nowhere/test"}))  # fmt: skip
    return tmp_path


def run(*arguments):
    done = CliRunner().invoke(app, ["compare", *map(str, arguments)], env={"COLUMNS": "300"})
    return done.exit_code, done.stdout, done.stderr


def test_files_are_written_and_can_be_read_back(evaluations):
    result = compare(evaluations / "one", evaluations / "two" / "predictions.parquet")
    assert result.out == evaluations / "two" / "comparison"
    stored = json.loads((result.out / "comparison.json").read_text())
    assert stored["schema"] == 1
    assert stored["a"]["weights"] == "one.safetensors"
    assert stored == {**json.loads(json.dumps(result.figures)), "sentences": result.sentences}
    changed = pd.read_csv(result.out / "flips.csv")
    assert changed["change"].tolist() == ["wrong to right"] * 8
    assert sorted(path.name for path in result.out.iterdir()) == ["comparison.json", "flips.csv"]
    before = (result.out / "comparison.json").read_bytes()
    compare(evaluations / "one", evaluations / "two")
    assert (result.out / "comparison.json").read_bytes() == before


def test_the_command(evaluations):
    code, out, _ = run(evaluations / "one", evaluations / "two", "--out", evaluations / "c")
    assert code == 0
    assert "B is better by 0.250 accuracy" in out
    assert "macro-F1" in out
    assert "8 wrong to right" in out
    assert f"Page: {evaluations / 'c' / 'comparison.html'}" in out
    code, out, _ = run(evaluations / "one", evaluations / "two", "--json")
    assert code == 0
    assert json.loads(out)["accuracy"]["difference"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("a", "message", "code"),
    [
        ("gone", "there is no such file or folder", 2),
        ("empty", "holds no predictions.parquet", 2),
        ("words.parquet", "cannot be read as a Parquet file", 2),
        ("other.parquet", "is no table of predictions, it lacks label, prediction, confidence", 2),
        ("less.parquet", "31 pictures of 32 are only in B", 4),
        ("broken", "metrics.json: cannot be read", 2),
        ("null", "metrics.json: cannot be read (it is no record of an evaluation)", 2),
    ],
)
def test_bad_input_is_said_and_nothing_is_written(evaluations, a, message, code):
    (evaluations / "empty").mkdir()
    (evaluations / "words.parquet").write_text("words")
    pd.DataFrame({"path": ["a.png"]}).to_parquet(evaluations / "other.parquet")
    table("a", "a").to_parquet(evaluations / "less.parquet")
    (evaluations / "broken").mkdir()
    table("a", "a").to_parquet(evaluations / "broken" / "predictions.parquet")
    (evaluations / "broken" / "metrics.json").write_text("{")
    shutil.copytree(evaluations / "broken", evaluations / "null")
    (evaluations / "null" / "metrics.json").write_text("null")
    before = sorted(evaluations.rglob("*"))
    ended, _, err = run(evaluations / a, evaluations / "two")
    assert message in " ".join(err.split())
    assert ended == code
    assert sorted(evaluations.rglob("*")) == before


def test_the_page_shows_the_pictures_that_changed(evaluations):
    tested = evaluations / "tested"
    names = table("aabbaabb" * 4, "a" * 32)["path"]
    for name in names:
        (tested / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(tested / name)
    (evaluations / "two" / "metrics.json").write_text(json.dumps({"folder": str(tested)}))
    ended, printed, _ = run(evaluations / "one", evaluations / "two")
    assert ended == 0
    assert "comparison.html" in printed
    changed = pd.read_csv(evaluations / "two" / "comparison" / "flips.csv")
    (tested / changed["path"][0]).unlink()
    run(evaluations / "one", evaluations / "two", "--out", evaluations / "again")
    page = html.unescape((evaluations / "again" / "comparison.html").read_text())
    assert "Wrong to right: 8" in page
    assert "Right to wrong" not in page
    assert page.count("(cannot be shown)") == 1
    assert page.count('class="thumb g') == 7
    assert all(
        result in page
        for result in json.loads((evaluations / "again" / "comparison.json").read_text())["sentences"]
    )


def test_a_page_without_pictures_says_why(evaluations):
    run(evaluations / "one", evaluations / "two")
    page = (evaluations / "two" / "comparison" / "comparison.html").read_text()
    assert "The pictures are not shown: /nowhere/test: there is no such folder." in page
    (evaluations / "one" / "metrics.json").unlink()
    (evaluations / "two" / "metrics.json").unlink()
    run(evaluations / "one", evaluations / "two")
    page = (evaluations / "two" / "comparison" / "comparison.html").read_text()
    assert "no metrics.json beside the predictions" in page


def test_a_run_for_its_evaluation(evaluations):
    (evaluations / "run").mkdir()
    (evaluations / "one").rename(evaluations / "run" / "evaluation")
    with pytest.raises(UserError, match=r"holds no predictions\.parquet") as caught:
        compare(evaluations / "run", evaluations / "two")
    assert str(evaluations / "run" / "evaluation") in caught.value.remedy


def test_results_never_lie_in_the_test_folder(evaluations):
    tested = evaluations / "tested"
    tested.mkdir()
    (evaluations / "two" / "metrics.json").write_text(json.dumps({"folder": str(tested)}))
    code, _, err = run(evaluations / "one", evaluations / "two", "--out", tested / "deep")
    assert code == 2
    assert "inside the test folder" in err
    assert not list(tested.iterdir())
