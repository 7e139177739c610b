"""The second look on planted edits and on pictures that only look alike."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from curate.duplicates.alignment import Picture, align_by_hash, frame_distance
from curate.duplicates.candidates import best_hashes
from curate.duplicates.evidence import Question, compare, lone_object
from curate.duplicates.fingerprints import fingerprint

THRESHOLD = 0.87


def face(mouth: str) -> Image.Image:
    """A round face; `mouth` is smile, frown or open."""
    image = Image.new("RGB", (192, 192), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 172, 172), fill="#ffcc33", outline="black", width=5)
    for x in (65, 115):
        draw.ellipse((x, 65, x + 14, 85), fill="black")
    if mouth == "smile":
        draw.arc((55, 70, 137, 145), 20, 160, fill="black", width=7)
    elif mouth == "frown":
        draw.arc((55, 115, 137, 190), 200, 340, fill="black", width=7)
    else:
        draw.ellipse((72, 105, 120, 155), fill="#882222", outline="black", width=5)
    return image


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def score(a: Image.Image, b: Image.Image) -> float:
    prints = [fingerprint(image) for image in (a, b)]
    pictures = [Picture(p.thumb, p.boxes, p.points, p.descriptors) for p in prints]
    found = best_hashes(np.stack([p.hashes for p in prints])).tolist()
    question = (
        Question(0, 1, found[0][2], found[0][3], tuple(found[0][4:]))
        if found
        else Question(0, 1, 257, 0, (0, 0))
    )
    value, evidence = compare(*pictures, question)
    assert bool(evidence) == (value > 0)
    return value


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg": lambda image: jpeg(image, 20),
    "quarter size": lambda image: image.resize((48, 48), Image.Resampling.LANCZOS),
    "stretch": lambda image: image.resize((240, 150)),
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirror": ImageOps.mirror,
    "flip": ImageOps.flip,
    "quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "three quarters": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "border": lambda image: ImageOps.expand(image, 20, "black"),
    "letterbox": lambda image: ImageOps.pad(image, (300, 192), color="black"),
    "crop": lambda image: image.crop((20, 25, 175, 180)),
    "rotation": lambda image: image.rotate(6, Image.Resampling.BICUBIC),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_copies_are_recognised(edit: str, scene: Callable[..., Image.Image]) -> None:
    image = scene(7)
    assert score(image, EDITS[edit](image)) >= THRESHOLD
    assert score(EDITS[edit](image), image) >= THRESHOLD


def test_different_pictures_are_not_alike(scene: Callable[..., Image.Image]) -> None:
    assert all(score(scene(seed), scene(seed + 100)) < THRESHOLD for seed in range(6))


@pytest.mark.parametrize(("a", "b"), [("smile", "frown"), ("smile", "open"), ("frown", "open")])
def test_faces_that_differ_by_a_mouth_are_different(a: str, b: str) -> None:
    assert score(face(a), face(b)) < THRESHOLD
    assert score(face(a), jpeg(face(a), 30)) >= THRESHOLD


def test_the_same_caption_on_different_pictures_makes_no_copy(scene: Callable[..., Image.Image]) -> None:
    def captioned(seed: int) -> Image.Image:
        image = scene(seed)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 150, 192, 192), fill="black")
        draw.text((8, 155), "hello there", fill="white", font_size=30)
        return image

    assert score(captioned(11), captioned(12)) < THRESHOLD


def test_the_same_frame_around_different_pictures_makes_no_copy(scene: Callable[..., Image.Image]) -> None:
    a, b = (ImageOps.expand(scene(seed, 120), 40, "black") for seed in (21, 22))
    assert score(a, b) < THRESHOLD


def test_frame_distance_knows_turns_borders_and_shifts() -> None:
    whole = np.array([[0, 0, 1, 1]] * 2, np.float32)
    plain = Picture(
        np.zeros((96, 96), np.uint8), whole, np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8)
    )
    for o in range(8):
        assert frame_distance(plain, plain, align_by_hash(plain, plain, o, (0, 0))) < 1e-9
    box = np.array([[0.2, 0.1, 0.8, 0.9]] * 2, np.float32)
    framed = Picture(plain.thumb, box, plain.points, plain.descriptors)
    assert frame_distance(plain, framed, align_by_hash(plain, framed, 0, (0, 1))) < 1e-6
    shifted = np.array([[1.0, 0, 0.2], [0, 1, 0]])
    assert frame_distance(plain, plain, shifted) == pytest.approx(0.2)


def objects(*places: tuple[int, int, int], size: int = 200) -> Image.Image:
    """Trees on a white ground, at (left, top, side)."""
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    for left, top, side in places:
        draw.rectangle((left + 0.4 * side, top + 0.6 * side, left + 0.6 * side, top + side), fill="#884411")
        for i in range(3):
            y = top + 0.2 * i * side
            draw.polygon(
                [
                    (left + 0.5 * side, y),
                    (left + (0.3 - 0.1 * i) * side, y + 0.3 * side),
                    (left + (0.7 + 0.1 * i) * side, y + 0.3 * side),
                ],
                fill="#228844",
                outline="black",
            )
        draw.ellipse(
            (left + 0.3 * side, top + 0.2 * side, left + 0.45 * side, top + 0.35 * side),
            fill="red",
            outline="black",
        )
    return image


def picture(image: Image.Image) -> Picture:
    found = fingerprint(image, features=False)
    return Picture(found.thumb, found.boxes, np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8))


def placed(scale: float, left: float, top: float) -> np.ndarray:
    """The map from a picture of 200 pixels to its place in another, both in unit coordinates."""
    return np.array([[scale, 0, left / 200], [0, scale, top / 200]])


def test_an_object_that_also_stands_in_a_scene_is_no_crop_of_it() -> None:
    alone = picture(objects((20, 20, 160)))
    wide = objects((10, 60, 90), (110, 10, 60), (110, 110, 80))
    share = 90 / 160
    there = placed(share, 10 - 20 * share, 60 - 20 * share)
    assert lone_object(alone, picture(wide), there)
    back = np.linalg.inv(np.vstack([there, [0, 0, 1]]))[:2]
    assert lone_object(picture(wide), alone, back)


def test_a_crop_that_cuts_and_a_picture_on_a_larger_ground_are_no_lone_objects() -> None:
    wide = objects((10, 60, 90), (110, 10, 60), (110, 110, 80))
    crop = picture(wide.crop((40, 40, 190, 190)))
    assert not lone_object(crop, picture(wide), placed(0.75, 40, 40))
    alone = objects((20, 20, 160))
    larger = Image.new("RGB", (300, 300), "white")
    larger.paste(alone, (50, 50))
    assert not lone_object(picture(alone), picture(larger), placed(2 / 3, 200 / 6, 200 / 6))
