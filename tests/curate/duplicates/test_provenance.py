"""Which of two files was made from the other: sources and copies planted as files."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from curate.duplicates.alignment import Picture
from curate.duplicates.fingerprints import fingerprint
from curate.duplicates.provenance import Case, case, examine, find_cases, jobs
from curate.duplicates.registration import plate
from curate.duplicates.traces import Sheet, sheet
from curate.images import read_rgb

Edit = Callable[[Image.Image], Image.Image]


@functools.cache
def drawing(seed: int, side: int = 208) -> Image.Image:
    """Strokes, discs and a soft ground, drawn large and reduced: edges as in a drawing that was scanned."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    ground = np.stack([120 + 90 * np.sin(3 * x + k + seed) * np.cos(2 * y - k) for k in range(3)], axis=2)
    large = Image.fromarray(np.clip(ground, 30, 225).astype(np.uint8)).resize((4 * side, 4 * side))
    draw = ImageDraw.Draw(large)
    for _ in range(14):
        a, b = rng.integers(0, 4 * side, 2), rng.integers(200, 600, 2)
        colour = tuple(int(v) for v in rng.integers(20, 235, 3))
        if rng.random() < 0.5:
            draw.ellipse([*a, *(a + b // 2)], fill=colour)
        else:
            draw.line([*a, *(a + b)], fill=colour, width=int(rng.integers(8, 40)))
    small = np.asarray(large.resize((side, side), Image.Resampling.LANCZOS), np.float32)
    grain = rng.normal(0, 1.0, small.shape)
    return Image.fromarray(np.clip(small + grain, 0, 255).astype(np.uint8))


def resized(factor: float) -> Edit:
    return lambda image: image.resize(
        (round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC
    )


def caption(image: Image.Image) -> Image.Image:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 168, 180, 190), fill="white")
    draw.text((30, 172), "made with something", fill="black")
    return image


def noisy(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, 10, np.asarray(image).shape)
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


EDITS: dict[str, tuple[Edit, str]] = {
    "upscaled 1.5x": (resized(1.5), "enlarged 1.50 times"),
    "upscaled 2x": (resized(2.0), "enlarged 2.00 times"),
    "half size": (resized(0.5), "reduced 2.00 times"),
    "three quarters": (resized(0.75), "reduced 1.33 times"),
    "stretched": (lambda image: image.resize((250, 208)), "enlarged 1.20 times"),
    "mirrored": (ImageOps.mirror, ""),
    "border": (lambda image: ImageOps.expand(image, 14, "white"), "border"),
    "letterbox": (lambda image: ImageOps.expand(image, (40, 0), "black"), "border"),
    "cropped": (lambda image: image.crop((10, 20, 180, 190)), "cropped"),
    "caption": (caption, "laid over"),
    "noise": (noisy, "noise"),
    "blur": (lambda image: image.filter(ImageFilter.GaussianBlur(1.6)), "blurred"),
    "sharpen": (lambda image: image.filter(ImageFilter.UnsharpMask(2, 250, 0)), "sharpened"),
    "grey": (lambda image: image.convert("L").convert("RGB"), "colours are gone"),
    "contrast up": (lambda image: ImageEnhance.Contrast(image).enhance(2.5), ""),
    "contrast down": (lambda image: ImageEnhance.Contrast(image).enhance(0.6), "tones shifted"),
    "rotated": (lambda image: image.rotate(5, Image.Resampling.BICUBIC), "rotated"),
}


def load(path: Path) -> Sheet:
    found = fingerprint(Image.fromarray(read_rgb(path)))
    return sheet(plate(str(path), Picture(found.thumb, found.boxes, found.points, found.descriptors)))


def write(image: Image.Image, path: Path, **how: object) -> Path:
    image.save(path, **how)
    return path


@pytest.fixture(params=["source.png", "source.jpg"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(drawing(3), tmp_path / request.param, quality=88)


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("quality", [70, 95])
def test_the_edited_copy_is_told_from_its_source(
    name: str, quality: int, source: Path, tmp_path: Path
) -> None:
    edit, words = EDITS[name]
    copy = write(edit(Image.open(source).convert("RGB")), tmp_path / "copy.jpg", quality=quality)
    a, b = load(source), load(copy)
    there, back = case(a, b), case(b, a)
    assert there.from_a < there.from_b
    assert back.from_b < back.from_a
    if words:
        assert words in there.b_is_copy or "steps of the other JPEG" in there.b_is_copy


@pytest.mark.parametrize("seed", range(3))
def test_a_jpeg_saved_again_at_any_quality_is_the_copy(seed: int, tmp_path: Path) -> None:
    first = write(drawing(seed), tmp_path / "a.jpg", quality=80)
    source = load(first)
    for quality in (20, 45, 60, 92, 97):
        again = write(Image.open(first), tmp_path / f"{quality}.jpg", quality=quality)
        found = case(source, load(again))
        assert found.from_a < found.from_b, quality
    lossless = write(ImageOps.mirror(Image.open(first)), tmp_path / "mirror.png")
    found = case(source, load(lossless))
    assert "steps of the other JPEG" in found.b_is_copy
    assert found.from_b - found.from_a > 3


def test_a_file_turned_by_its_exif_tag_alone_loses_to_the_upright_one(tmp_path: Path) -> None:
    picture = drawing(5)
    upright = write(picture, tmp_path / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = write(picture.transpose(Image.Transpose.ROTATE_90), tmp_path / "b.jpg", quality=96, exif=exif)
    found = case(load(upright), load(turned))
    assert found.from_a < found.from_b
    assert "EXIF" in found.b_is_copy


def test_pictures_that_cannot_be_registered_say_nothing_of_their_pixels(tmp_path: Path) -> None:
    a, b = (
        write(drawing(1), tmp_path / "a.png"),
        write(Image.new("RGB", (90, 80), "white"), tmp_path / "b.png"),
    )
    found = case(load(a), load(b))
    assert found.from_a == pytest.approx(found.from_b)


def tables(paths: dict[str, Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables fingerprints and pairs: every two of the files a near pair."""
    rows = []
    for content, path in paths.items():
        f = fingerprint(Image.fromarray(read_rgb(path)))
        rows.append(
            {
                "content": content,
                "thumb": f.thumb.tobytes(),
                "boxes": f.boxes.ravel(),
                "points": f.points.tobytes(),
                "descriptors": f.descriptors.tobytes(),
                "real_side": f.real_side,
            }
        )
    near = [(a, b, "near", 0.95, "") for a, b in itertools.combinations(sorted(paths), 2)]
    pairs = pd.DataFrame(near, columns=["content_a", "content_b", "tier", "score", "evidence"])
    return pd.DataFrame(rows), pairs


def test_find_cases_is_the_same_in_any_order_and_number_of_workers(tmp_path: Path) -> None:
    image = drawing(7)
    paths = {
        "c1": write(image, tmp_path / "1.png"),
        "c2": write(resized(1.5)(image), tmp_path / "2.jpg"),
        "c3": write(ImageOps.mirror(image), tmp_path / "3.jpg"),
    }
    prints, pairs = tables(paths)
    texts = {content: str(path) for content, path in paths.items()}
    found = find_cases(prints, pairs, texts, workers=1)
    assert set(found) == {("c1", "c2"), ("c1", "c3"), ("c2", "c3")}
    assert found["c1", "c2"].from_a < found["c1", "c2"].from_b
    assert find_cases(prints[::-1], pairs[::-1], texts, workers=2) == found


def test_a_file_that_went_away_gives_no_case(tmp_path: Path) -> None:
    paths = {content: write(drawing(8), tmp_path / f"{content}.png") for content in ("a", "b")}
    prints, pairs = tables(paths)
    paths["b"].unlink()
    assert find_cases(prints, pairs, {c: str(p) for c, p in paths.items()}, workers=1) == {}
    assert find_cases(prints, pairs, {"a": str(paths["a"])}, workers=1) == {}


def test_in_a_crowd_each_is_compared_with_the_likely_sources_alone() -> None:
    contents = [f"{i:02d}" for i in range(40)]
    blank = {"thumb": bytes(96 * 96), "boxes": np.zeros(8, np.float32), "points": b"", "descriptors": b""}
    prints = pd.DataFrame([{"content": c, "real_side": float(i), **blank} for i, c in enumerate(contents)])
    near = [(a, b, "near", 1.0, "") for a, b in itertools.combinations(contents, 2)]
    pairs = pd.DataFrame(near, columns=["content_a", "content_b", "tier", "score", "evidence"])
    work = jobs(prints, pairs, {c: c for c in contents})
    asked = {(files[i][0], files[j][0]) for files, some in work for i, j in some}
    likely = set(contents[-6:])
    assert asked == {(a, b) for a, b in itertools.combinations(contents, 2) if a in likely or b in likely}


def test_an_unreadable_file_does_not_stop_the_others(tmp_path: Path) -> None:
    good = [write(drawing(9), tmp_path / "a.png"), write(ImageOps.mirror(drawing(9)), tmp_path / "b.png")]
    bad = tmp_path / "c.png"
    bad.write_bytes(b"not a picture")
    picture = Picture(
        np.zeros((96, 96), np.uint8),
        np.tile(np.float32([0, 0, 1, 1]), (2, 1)),
        np.zeros((0, 4), np.float32),
        np.zeros((0, 128), np.uint8),
    )
    files = tuple((path.name, str(path), picture) for path in (*good, bad))
    found = examine([(files, ((0, 1), (0, 2), (1, 2)))])
    assert [(a, b) for a, b, _ in found] == [("a.png", "b.png")]
    assert isinstance(found[0][2], Case)


def test_the_register_is_exact_for_turned_and_shifted_pictures(tmp_path: Path) -> None:
    from curate.duplicates.registration import register

    image = drawing(11)
    a = load(write(image, tmp_path / "a.png")).plate
    turned = image.transpose(Image.Transpose.ROTATE_270).crop((13, 8, 190, 170))
    b = load(write(turned, tmp_path / "b.png")).plate
    found = register(a, b)
    assert found.exact
    corner = found.pixels @ np.array([0.0, 0.0, 1.0])
    assert corner[:2] == pytest.approx([208 - 13, -8], abs=1e-6)
    back = found.reversed().pixels @ found.pixels
    assert back == pytest.approx(np.eye(3), abs=1e-9)


def test_standard_tables_are_those_of_the_jpeg_library() -> None:
    from curate.duplicates.compression import standard_table

    for quality in (5, 30, 50, 75, 95):
        data = io.BytesIO()
        Image.new("RGB", (16, 16)).save(data, "JPEG", quality=quality)
        steps = np.array(Image.open(data).quantization[0]).reshape(8, 8)  # type: ignore[attr-defined]
        assert np.array_equal(standard_table(quality), steps)
