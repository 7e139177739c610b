"""The page of a sweep: safe, whole, with a dot for each cell."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from classify.sweep_results import table
from reports.sweep import dots
from reports.sweep import sweep_page as draw

HOSTILE = "</title><script>alert(1)</script>"


def row(name, *values, baseline=False, **more):
    mean = sum(values) / len(values)
    return {
        "name": name, "baseline": baseline, "mean": mean, "spread": None, "n": len(values), "difference": None,
        "low": None, "high": None, "seconds": 3.0, "pictures": 1200.0,
        "cells": [{"seed": i, "value": value} for i, value in enumerate(values)], **more,
    }  # fmt: skip


def content(*rows, **more):
    return {
        "name": "plan", "compare": "val_macro_f1", "rows": list(rows), "sentences": ["Nothing."], "failed": [],
        "left": [], **more,
    }  # fmt: skip


def sweep_page(found):
    return draw(found, *table(found["rows"], found["compare"]))


def test_each_cell_is_a_dot_in_its_place_and_each_mean_a_line():
    root = ElementTree.fromstring(dots([row("a", 0.5, 0.7), row("b", 0.3, baseline=True)]))
    places = [float(node.get("cx")) for node in root.iter("circle")]
    assert places[2] < places[0] < places[1]
    means = [node.get("d") for node in root.iter("path") if node.get("class") == "mean"]
    assert len(means) == 2
    assert float(re.match(r"M([\d.]+)", means[0])[1]) == pytest.approx(sum(places[:2]) / 2, abs=0.1)
    assert len([node for node in root.iter("path") if node.get("class") == "mark"]) == 1
    assert ["".join(node.itertext()) for node in root.iter("text")][:2] == ["a", "b baseline"]


def test_equal_values_and_no_values_can_be_drawn():
    assert ElementTree.fromstring(dots([row("a", 0.5)])).find("circle") is not None
    assert dots([]) == ""


def test_a_hostile_name_stays_text():
    failed = [{"name": HOSTILE, "seed": 0, "reason": HOSTILE}]
    page = sweep_page(content(row(HOSTILE, 0.5), name=HOSTILE, sentences=[HOSTILE], failed=failed))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5


def test_the_page_loads_nothing_and_marks_the_baseline():
    judged = {"test_macro_f1": 0.31, "test_accuracy": 0.42}
    page = sweep_page(
        content(
            row("wide", 0.5, 0.6, difference=0.1, low=-0.2, high=0.4),
            row("narrow", 0.4, baseline=True, **judged),
        )
    )
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert re.search(r'<tr class="strong"><th scope="row"><bdi>narrow \(baseline\)', page)
    assert "-0.200 to +0.400" in page
    assert "0.310" in page
    assert "prefers-color-scheme: dark" in page


def test_what_is_missing_is_listed():
    page = sweep_page(content(left=[{"name": "slow", "seed": 4}]))
    assert "slow, seed 4: not begun" in page
    assert "<svg" not in page
