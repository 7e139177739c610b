"""The page of an evaluation: whole, safe, and with what metrics and predictions say."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
from PIL import Image

from classify.evaluation import measure, uncertainty
from reports.confusion import confusion_matrix_png
from reports.evaluation import evaluation_page, ranges, reliability

HOSTILE = "<script>alert(1)</script>"


def judged(names, wrong=2, each=4):
    labels = [name for name in names for _ in range(each)]
    guesses = [*labels[:-wrong], *[names[0]] * wrong]
    table = pd.DataFrame(
        {"path": [f"{name}/{i}.png" for i, name in enumerate(labels)], "label": labels, "prediction": guesses}
    )
    for i, name in enumerate(names):
        table[f"p:{name}"] = np.where(
            table["prediction"] == name, 0.6 + 0.01 * i, 0.4 / max(1, len(names) - 1)
        ).astype(np.float32)
    table["confidence"] = table[[f"p:{name}" for name in names]].max(axis=1)
    metrics = {
        "folder": "test", "weights": "best.safetensors", "unreadable": [{"path": HOSTILE, "detail": HOSTILE}],
        **measure(table, names), **uncertainty(table, names, 1.5),
    }  # fmt: skip
    return metrics, table


def page_of(names, read=lambda row: Image.new("RGB", (8, 8), "red"), **more):
    metrics, table = judged(names)
    matrix = np.array(metrics["confusion_matrix"]["counts"])
    png = confusion_matrix_png(matrix, metrics["confusion_matrix"]["classes"])
    return evaluation_page(metrics | more, table, png, read, ["A sentence."]), metrics


def test_the_page_says_what_the_metrics_say():
    page, metrics = page_of(["cat", "dog", "emu"])
    assert f"<dd>{metrics['macro_f1']:.3f}</dd>" in page
    assert "{:.3f} to {:.3f}".format(*metrics["intervals"]["macro_f1"]) in page
    assert "A sentence." in page
    assert page.count("instead of emu") == 4  # two wrong ones, in the sample and in their own grid
    assert "temperature 1.50" in page


def test_hostile_names_stay_text_and_nothing_is_loaded():
    page, _ = page_of(["cat", HOSTILE])
    assert "<script" not in page
    addresses = re.findall(r'(?:src|href)="([^"]+)', page) + re.findall(r"url\(([^)]+)\)", page)
    assert addresses
    assert all(address.startswith("data:image/") for address in addresses)


def test_a_picture_that_has_gone_leaves_a_grey_cell():
    def gone(row):
        raise OSError

    page, _ = page_of(["cat", "dog"], gone)
    assert page.count("(cannot be shown)") > 4


def test_leaks_are_shown_with_the_score_without_them():
    pairs = [{"path": "cat/0.png", "training_path": "train/cat/9.png", "kind": "near"}]
    leaks = {"count": 1, "pairs": pairs, "checked": "all", "without": {"accuracy": 0.5, "macro_f1": 0.25}}
    page, _ = page_of(["cat", "dog"], leaks=leaks)
    assert "1 of the 8 test pictures stand in the training data." in page
    assert "accuracy 0.500, macro-F1 0.250" in page
    assert "train/cat/9.png" in page


def test_a_dot_stands_at_its_value_and_its_line_over_the_interval():
    root = ElementTree.fromstring(ranges([("a", 0.5, (0.25, 0.75)), ("b", 1.0, (0.9, 1.0))], 0.75, "F1"))
    places = [float(node.get("cx")) for node in root.iter("circle")]
    lines = [node.get("d") for node in root.iter("path") if node.get("class") == "mean"]
    low, high = map(float, re.match(r"M([\d.]+) \d+H([\d.]+)", lines[0]).groups())
    assert low < places[0] < high < places[1]
    assert abs((low + high) / 2 - places[0]) < 0.2


def test_a_bin_of_all_pictures_has_the_largest_dot():
    bins = [
        {"pictures": 1, "confidence": 0.2, "accuracy": 0.0},
        {"pictures": 99, "confidence": 0.9, "accuracy": 1.0},
    ]
    small, large = ElementTree.fromstring(reliability(bins)).iter("circle")
    assert float(small.get("r")) < float(large.get("r"))
    assert float(small.get("cy")) > float(large.get("cy"))
