"""Plots: well-formed SVG, bars that hold the counts, round ticks, no colour of their own."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from reports.plots import histogram, number, sizes, ticks


def bars(svg: str, kind: str) -> list[float]:
    root = ElementTree.fromstring(svg)
    return [float(node.get("height", "0")) for node in root.iter("rect") if node.get("class") == kind]


def test_bars_are_as_high_as_their_counts() -> None:
    values = np.array([0.1] * 30 + [0.9] * 10)
    stays = np.array([True] * 20 + [False] * 10 + [True] * 10)
    svg = histogram(values, stays, name="brightness", limits=(0, 1))
    low, high = bars(svg, "stay")
    (gone,) = bars(svg, "go")
    assert low / gone == pytest.approx(2, rel=0.01)
    assert low / high == pytest.approx(2, rel=0.01)
    assert "brightness of 40 pictures: median 0.1, nine in ten between 0.1 and 0.9" in svg


def test_values_beyond_the_axis_count_in_the_last_bar() -> None:
    svg = histogram(np.array([0.5, 7.0, 0.5, 9.0]), np.ones(4, bool), name="x", limits=(0, 1))
    assert len(bars(svg, "stay")) == 2


def test_what_cannot_be_placed_is_left_out() -> None:
    values = np.array([np.nan, 0.0, -1.0, 10.0, 100.0])
    svg = histogram(values, np.ones(5, bool), name="x", log=True)
    assert "x of 2 pictures" in svg
    assert histogram(np.array([np.nan]), np.ones(1, bool), name="x") == ""
    assert len(bars(histogram(np.full(9, 3.0), np.ones(9, bool), name="x"), "stay")) == 1


def test_colours_come_from_the_page() -> None:
    svg = histogram(np.arange(50.0), np.arange(50) % 3 > 0, name="x") + sizes(
        np.arange(20, 90), np.arange(20, 90)
    )
    assert not re.search(r"fill=\"#|stroke=\"#|rgb\(|style=", svg)


def test_a_name_cannot_break_out() -> None:
    svg = histogram(np.arange(5.0), np.ones(5, bool), name='"><script>alert(1)</script>')
    assert "<script" not in svg
    ElementTree.fromstring(svg)


def test_sizes_are_darker_where_pictures_are_more() -> None:
    widths, heights = np.array([100] * 90 + [400] * 10), np.array([100] * 90 + [300] * 10)
    root = ElementTree.fromstring(sizes(widths, heights))
    shades = sorted(float(node.get("fill-opacity", "0")) for node in root.iter("rect"))
    assert len(shades) == 2
    assert shades[0] < 0.5
    assert shades[1] == 1
    assert sizes(np.array([0]), np.array([0])) == ""


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1) == [
        (0, "0"),
        (0.2, "0.2"),
        (0.4, "0.4"),
        (0.6000000000000001, "0.6"),
        (0.8, "0.8"),
        (1, "1"),
    ]
    assert [text for _, text in ticks(np.log10(50), np.log10(5000), log=True)] == [
        "100",
        "300",
        "1,000",
        "3,000",
    ]
    for low, high in ((1.81, 2.4), (-0.2, 0.2), (-3.5, -0.8), (2.0, 2.05)):
        places = ticks(low, high, log=True)
        assert 2 <= len(places) <= 8
        assert all(low <= at <= high for at, _ in places)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.7612, "0.76"), (12.3, "12"), (3658, "3,658"), (0.00213, "0.0021"), (1.5, "1.5")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_ticks_of_a_narrow_axis_have_texts_of_their_own() -> None:
    for low, high in ((0.1967, 0.2216), (0.0, 1.0), (12.0, 19.0), (0.5, 0.501), (3000.0, 9000.0)):
        texts = [text for _, text in ticks(low, high)]
        assert len(set(texts)) == len(texts) >= 2
        assert all(abs(float(text.replace(",", "")) - at) < 1e-9 for at, text in ticks(low, high))
