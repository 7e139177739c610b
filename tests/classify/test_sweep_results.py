"""Figures of a sweep: paired intervals, order, sentences, and the three files."""

import csv
import io
import json

import pytest
from scipy.stats import ttest_rel

from classify.sweep_results import FIGURES, paired, sentences, summarise, table, to_csv, to_json, to_markdown


def cells(*values, test=None):
    more = {"test": {"macro_f1": test, "accuracy": test}} if test is not None else {}
    return {
        seed: {"seed": seed, "val_macro_f1": value, "seconds": 2.0 + seed, "pictures": 3000, **more}
        for seed, value in enumerate(values)
    }


def rows_of(*results):
    names = ["baseline", *(f"a|{i}" for i in range(1, len(results)))]
    return summarise(names, [{"model.width": 8 * i} for i in range(len(results))], results, "val_macro_f1")


def content_of(rows):
    return {
        "name": "plan", "compare": "val_macro_f1", "keys": ["model.width"], "rows": rows,
        "sentences": sentences(rows, "val_macro_f1"),
        "failed": [{"name": "b", "seed": 1, "reason": "no room"}], "left": [{"name": "c", "seed": 2}],
    }  # fmt: skip


def test_the_interval_is_that_of_the_paired_t_test():
    values, baseline = {0: 0.5, 1: 0.61, 2: 0.48, 7: 0.9}, {2: 0.4, 1: 0.5, 0: 0.44, 9: 0.1}
    found = paired(values, baseline)
    expected = ttest_rel([0.5, 0.61, 0.48], [0.44, 0.5, 0.4]).confidence_interval(0.95)
    assert found.n == 3
    assert found.mean == pytest.approx(0.25 / 3)
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_one_seed_has_a_difference_but_no_interval():
    found = paired({0: 0.5}, {0: 0.4})
    assert (found.low, found.high, found.n) == (None, None, 1)
    assert not found.told
    assert paired({0: 0.5}, {1: 0.4}) is None


def test_what_is_told_from_noise():
    assert paired({0: 0.5, 1: 0.61, 2: 0.7}, {0: 0.4, 1: 0.5, 2: 0.59}).told
    assert not paired({0: 0.5, 1: 0.4}, {0: 0.4, 1: 0.5}).told
    assert not paired({0: 0.5, 1: 0.6}, {0: 0.25, 1: 0.35}).told, "no spread to judge by"


def test_the_best_comes_first_and_costs_are_means():
    rows = rows_of(cells(0.4, 0.5), cells(0.6, 0.8), {}, cells(0.3))
    assert [row["name"] for row in rows] == ["a|1", "baseline", "a|3"]
    assert rows[0]["mean"] == pytest.approx(0.7)
    assert rows[0]["spread"] == pytest.approx(0.2 / 2**0.5)
    assert rows[0]["difference"] == pytest.approx(0.25)
    assert rows[0]["seconds"] == 2.5
    assert rows[1]["difference"] is None
    assert rows[2]["spread"] is None
    assert [cell["value"] for cell in rows[0]["cells"]] == [0.6, 0.8]


def test_a_missing_baseline_leaves_the_differences_out():
    (row,) = rows_of({}, cells(0.6, 0.8))
    assert row["difference"] is None
    assert row["told"] is None


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([cells(0.4), cells(0.6)], "needs two seeds or more"),
        ([cells(0.4, 0.5), cells(0.6, 0.3)], "No difference to the baseline can be told from noise"),
        ([cells(0.4, 0.5), cells(0.6, 0.701)], "a|1 is 0.200 above the baseline (95 % interval +0.194 to +0.207"),
        ([cells(0.4, 0.5), cells(0.2, 0.301)], "a|1 is 0.200 below the baseline"),
        ([cells(0.4, 0.5), cells(0.6, 0.701), cells(0.4, 0.2)], "Of 2 comparisons without any real difference"),
        ([cells(0.4, test=0.5)], "by validation"),
        ([{}], "No cell is finished."),
        ([cells(0.5)], "There is nothing yet to compare it with."),
    ],
)  # fmt: skip
def test_sentences(results, words):
    assert words in " ".join(sentences(rows_of(*results), "val_macro_f1"))


def test_test_figures_do_not_order():
    rows = rows_of(cells(0.4, 0.5, test=0.9), cells(0.6, 0.8, test=0.1))
    assert [row["test_macro_f1"] for row in rows] == pytest.approx([0.1, 0.9])
    columns, lines = table(rows, "val_macro_f1")
    assert columns[-2:] == ["test macro-F1", "test accuracy"]
    assert columns[FIGURES - 1] == "95 % interval"
    assert lines[0][-1] == "0.100"


def test_markdown_csv_and_json_say_the_same():
    content = content_of(rows_of(cells(0.4, 0.5), cells(0.6, 0.8)))
    text = to_markdown(content)
    assert "| a\\|1 | 0.700 | 0.141 | 2 | +0.250 |" in text
    assert "Failed: b, seed 1: no room" in text
    assert "Not begun or not finished: c, seed 2" in text
    widths = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    first, second = csv.DictReader(io.StringIO(to_csv(content)))
    assert (first["combination"], first["model.width"], second["baseline"]) == ("a|1", "8", "True")
    stored = json.loads(to_json(content))
    assert stored["schema"] == 1
    assert float(first["low"]) == stored["rows"][0]["low"]
    assert second["difference"] == ""
