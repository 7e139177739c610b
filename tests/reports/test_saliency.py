"""Overlays and sheets of saliency maps."""

import io

import numpy as np
from PIL import Image

from reports.saliency import overlay, saliency_sheet_png


def test_where_the_map_is_nothing_the_picture_is_grey_and_where_it_is_high_red():
    picture = np.full((4, 4, 3), (10, 20, 60), dtype=np.uint8)
    saliency = np.zeros((4, 4), dtype=np.float32)
    saliency[0, 0], saliency[0, 1] = 1, 0.5
    found = overlay(picture, saliency)
    assert found.dtype == np.uint8
    assert (found[1:] == 30).all()
    red = found[..., 0].astype(int) - found[..., 1]
    assert red[0, 0] > red[0, 1] > red[1, 1] == 0


def test_a_sheet_holds_rows_of_two_and_of_three():
    picture = np.full((64, 64, 3), 200, dtype=np.uint8)
    one = np.ones((64, 64), dtype=np.float32)
    rows = {"Wrong": [("a" * 80, "predicted cat 0.90\ntrue class dog 0.05", picture, [one, one])]}
    short = Image.open(io.BytesIO(saliency_sheet_png("Title", rows)))
    rows["Right"] = [("b.png", "predicted cat 0.90", picture, [one])]
    image = Image.open(io.BytesIO(saliency_sheet_png("Title", rows)))
    assert image.format == "PNG"
    assert image.height > short.height
    red = np.asarray(image.convert("RGB"), dtype=int)
    assert ((red[..., 0] - red[..., 1]) > 100).sum() == 3 * 128 * 128
