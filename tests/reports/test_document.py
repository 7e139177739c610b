"""A page of plain data: safe, whole, and with everything that it was given."""

import io
import re

import numpy as np
from PIL import Image

from reports.document import Figure, Gallery, Plot, Plots, Section, Shot, Table, document
from reports.plots import sizes

HOSTILE = "</title><script>alert(1)</script>"


def png():
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(stream, "PNG")
    return stream.getvalue()


def test_hostile_text_stays_text_wherever_it_stands():
    shot = Shot(None, HOSTILE, "go", HOSTILE, HOSTILE)
    parts = [HOSTILE, Table([HOSTILE], [[HOSTILE]], title=HOSTILE), Figure(png(), HOSTILE), Gallery([shot])]
    page = document(
        "classify", HOSTILE, [HOSTILE], [Section(HOSTILE, parts)], HOSTILE, [(HOSTILE, HOSTILE, HOSTILE)]
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 12


def test_the_page_loads_nothing():
    drawn = Plots([Plot(sizes(np.array([20, 30]), np.array([20, 40])), "Sizes")], wide=True)
    shots = [
        Shot(np.zeros((8, 8, 3), np.uint8), "right", "stay", "cat", "cat/1.png"),
        Shot(None, "wrong", "go"),
    ]
    page = document(
        "classify", "t", [], [Section("S", [drawn, Figure(png(), "red"), Gallery(shots, of=2, more=7)])]
    )
    assert all(address.startswith("data:image/") for address in re.findall(r'(?:src|href)="?([^" )]+)', page))
    assert all(address.startswith("data:image/") for address in re.findall(r"url\(([^)]+)\)", page))
    assert "@import" not in page
    assert "7 more are not shown" in page
    assert page.count("<figure") == 3


def test_each_picture_shows_its_own_place_of_the_sheet_even_where_it_stands_twice():
    black, white = (np.full((8, 8, 3), value, np.uint8) for value in (0, 255))
    twice = Shot(black)
    page = document("c", "t", [], [Section("S", [Gallery([twice, Shot(white), twice])])])
    places = re.findall(r"--x:(\d+);--y:(\d+)", page)
    assert places[0] == places[2] != places[1]


def test_numbers_stand_right_and_words_left():
    page = document("c", "t", [], [Section("S", [Table(["a", "b", "c"], [["x", "y", "1"]], left=2)])])
    assert '<td class="n">1</td>' in page
    assert "<td><bdi>y</bdi></td>" in page


def test_a_section_of_nothing_is_left_out():
    assert "Empty" not in document("c", "t", [], [Section("Empty"), Section("Full", ["A."])])
