"""Pictures in groups: each is there with its words, a saliency beside its own picture, and nothing is markup."""

from __future__ import annotations

import numpy as np

from reports.groups import errors_page, label_errors_page

RED = np.full((20, 20, 3), (200, 0, 0), np.uint8)


def group(**more: object) -> dict[str, object]:
    pictures = [
        {"picture": RED, "tag": "bee", "text": "97%", "path": "ant/<b>1.png", **more},
        {"picture": None, "tag": "cat", "text": "95%", "path": "ant/2.png"},
    ]
    return {"title": "ant: 2 wrong", "pictures": pictures, "more": 3}


def test_pictures_and_words_are_there():
    page = errors_page("test", ["2 of 9 pictures are wrong."], [group()])
    for text in ("ant: 2 wrong", "2 of 9 pictures are wrong.", "97%", "ant/2.png", "3 more", "errors.csv"):
        assert text in page
    assert "<b>1" not in page
    assert "what spoke for it" not in page
    assert page == errors_page("test", ["2 of 9 pictures are wrong."], [group()])


def test_a_saliency_stands_beside_each_picture():
    page = errors_page("test", [], [group(saliency=np.ones((20, 20), np.float32))])
    assert page.count("what spoke for it") >= 2


def test_suspected_labels():
    page = label_errors_page("pictures", ["None found."], [])
    assert "None found." in page
    assert "column verdict" in page
