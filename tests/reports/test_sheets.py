"""Thumbnails: what lands in which cell, and in what shape."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports.sheets import contact_sheet, labelled_rows_png, missing, place, sprites, thumbnail


def plain(colour: tuple[int, int, int], width: int = 40, height: int = 40) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_a_thumbnail_is_whole_centred_and_on_white() -> None:
    pixels = np.asarray(thumbnail(plain((255, 0, 0), 400, 100), 64))
    assert pixels.shape == (64, 64, 3)
    assert tuple(pixels[32, 2]) == (255, 0, 0)
    assert tuple(pixels[2, 32]) == (255, 255, 255)
    assert tuple(pixels[61, 32]) == (255, 255, 255)


def test_a_small_picture_grows_by_whole_numbers() -> None:
    checks = np.zeros((2, 2, 3), np.uint8)
    checks[0, 0] = checks[1, 1] = 255
    pixels = np.asarray(thumbnail(checks, 65))
    assert set(np.unique(pixels)) == {0, 255}
    assert (pixels[:, :, 0] == 0).sum() == 2 * 32 * 32


def test_pictures_lie_where_place_says() -> None:
    colours = [(i % 4 * 60, i // 4 % 16 * 15, i // 64 * 14) for i in range(1030)]
    sheets = sprites((plain(colour) for colour in colours), cell=8, quality=100)
    assert [(sheet.columns, sheet.rows) for sheet in sheets] == [(32, 32), (6, 1)]
    images = [np.asarray(Image.open(io.BytesIO(sheet.data)).convert("RGB")).astype(int) for sheet in sheets]
    for index in (0, 31, 32, 1023, 1024, 1029):
        sheet, x, y = place(index, sheets)
        assert np.abs(images[sheet][y + 4, x + 4] - colours[index]).max() < 14


def test_a_picture_that_cannot_be_had_is_a_cross_and_takes_its_place() -> None:
    sheets = sprites([plain((0, 0, 0)), None, plain((0, 0, 0))], cell=16)
    pixels = np.asarray(Image.open(io.BytesIO(sheets[0].data)).convert("RGB")).astype(int)
    assert np.abs(pixels[:, 16:32] - np.asarray(missing(16)).astype(int)).mean() < 12
    assert pixels[8, 40].max() < 30
    assert sprites([]) == []


def test_a_contact_sheet_takes_files_and_arrays(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30), (0, 0, 255)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    sheet = contact_sheet(
        [tmp_path / "a.png", plain((255, 0, 0)), tmp_path / "b.png", None], columns=2, cell=60
    )
    pixels = np.asarray(sheet)
    assert tuple(pixels[36, 36]) == (0, 0, 255)
    assert tuple(pixels[36, 102]) == (255, 0, 0)
    assert np.array_equal(pixels[72:132, 6:66], pixels[72:132, 72:132])


def test_a_contact_sheet_has_a_line_of_text_for_each() -> None:
    without = contact_sheet([plain((255, 0, 0))], columns=1)
    with_text = contact_sheet([plain((255, 0, 0))], ["a" * 300], columns=1)
    assert with_text.height == without.height + 16
    assert (np.asarray(with_text)[-20:, :, 0] < 100).any()
    with pytest.raises(ValueError, match="1 labels for 2 pictures"):
        contact_sheet([None, None], ["a"])


def test_labelled_rows_stand_under_their_headings() -> None:
    red, blue = (np.full((2, 64, 64, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    rows = {
        "First": [("one", "short", red)],
        "Second": [("two", "many words " * 60, blue), ("three", "", red)],
    }
    image = Image.open(io.BytesIO(labelled_rows_png("Title", ["left", "right"], rows)))
    pixels = np.asarray(image.convert("RGB")).astype(int)
    column = pixels[:, 300]
    colours = [
        "red" if p[0] > 250 and p[2] < 5 else "blue" if p[2] > 250 and p[0] < 5 else "" for p in column
    ]
    runs = [b for a, b in zip(["", *colours], colours, strict=False) if a != b and b]
    assert runs == ["red", "blue", "red"]
    assert colours.count("red") == 2 * 128
    last_blue, third = max(i for i, c in enumerate(colours) if c == "blue"), len(colours) - 30
    assert third - last_blue > 200, "long words push the next row down"
    assert (pixels[last_blue + 40 : last_blue + 120, 20:250] < 150).any(), "and are not cut off"
