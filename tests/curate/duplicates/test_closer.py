"""The closer look on edits that the second look leaves in doubt, and on drawings that only look alike."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from curate.duplicates.alignment import Picture
from curate.duplicates.candidates import best_hashes
from curate.duplicates.closer import Doubt, Evidence, doubts, gather, look, prepare, weigh
from curate.duplicates.colours import judge_colours
from curate.duplicates.evidence import Finding, Question, examine
from curate.duplicates.fingerprints import fingerprint
from curate.duplicates.refine import refine, warp

THRESHOLD = 0.87
MakePicture = Callable[..., Image.Image]
SAME = np.array([[1.0, 0, 0], [0, 1, 0]])


def icon(
    mouth: str = "smile",
    face: str = "#ffcc33",
    hat: str = "#3355cc",
    band: str = "#cc2222",
    shift: tuple[int, int] = (0, 0),
) -> Image.Image:
    """A face under a hat on a plain ground, 256 x 256; `mouth` is smile, frown or open."""
    image = Image.new("RGB", (1024, 1024), "white")
    draw = ImageDraw.Draw(image)
    dx, dy = (4 * v for v in shift)

    def at(*box: int) -> tuple[int, ...]:
        return tuple(v + (dx, dy)[i % 2] for i, v in enumerate(box))

    draw.ellipse(at(150, 240, 870, 960), fill=face, outline="black", width=24)
    draw.rectangle(at(300, 100, 720, 330), fill=hat, outline="black", width=20)
    draw.rectangle(at(200, 290, 820, 360), fill=band, outline="black", width=20)
    for x in (370, 580):
        draw.ellipse(at(x, 450, x + 70, 560), fill="black")
    if mouth == "smile":
        draw.arc(at(330, 480, 690, 800), 20, 160, fill="black", width=32)
    elif mouth == "frown":
        draw.arc(at(330, 700, 690, 1000), 200, 340, fill="black", width=32)
    else:
        draw.ellipse(at(420, 640, 600, 860), fill="#882222", outline="black", width=24)
    return image.resize((256, 256), Image.Resampling.LANCZOS)


def watermark(image: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    side = image.width
    draw.text(
        (side / 2, side / 2), "SAMPLE", (90, 90, 90, 130), ImageFont.load_default(side * 0.26), anchor="mm"
    )
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def captioned(image: Image.Image) -> Image.Image:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    width, height = image.size
    draw.rectangle((0, height * 0.85, width, height), fill="black")
    draw.text(
        (width / 2, height * 0.9),
        "hello there",
        (255, 255, 255),
        ImageFont.load_default(height * 0.1),
        anchor="mm",
    )
    return image


def turned_hue(image: Image.Image) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point([(v + 90) % 256 for v in range(256)]), saturation, value)).convert(
        "RGB"
    )


def gamma(image: Image.Image) -> Image.Image:
    return image.point([round(255 * (v / 255) ** 0.6) for v in range(256)] * 3)


def final_score(a: Image.Image, b: Image.Image) -> float:
    """The score after the second look and, where that leaves doubt, the closer one."""
    prints = [fingerprint(image) for image in (a, b)]
    pictures = []
    for p in prints:
        assert p.points is not None
        assert p.descriptors is not None
        pictures.append(Picture(p.thumb, p.boxes, p.points, p.descriptors))
    near = best_hashes(np.stack([p.hashes for p in prints])).tolist()
    question = (
        Question(0, 1, near[0][2], near[0][3], tuple(near[0][4:])) if near else Question(0, 1, 257, 0, (0, 0))
    )
    finding = examine(pictures[0], pictures[1], question)
    if not finding.doubt:
        return finding.score
    box_a, box_b = (tuple(p.boxes[1].tolist()) for p in pictures)
    transform = np.array(finding.transform).reshape(2, 3)
    evidence = gather(prepare(np.asarray(a)), prepare(np.asarray(b)), transform, box_a, box_b)
    return weigh(finding.score, evidence)[0]


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "watermark": watermark,
    "hue": turned_hue,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "gamma": gamma,
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "white border": lambda image: ImageOps.expand(image, 30, "white"),
    "black border": lambda image: ImageOps.expand(image, 30, "black"),
    "letterbox": lambda image: ImageOps.pad(image, (360, 256), color="white"),
    "crop": lambda image: image.crop((12, 8, 246, 250)),
    "darker crop": lambda image: ImageEnhance.Brightness(image.crop((12, 8, 246, 250))).enhance(0.7),
    "quarter size": lambda image: image.resize((64, 64), Image.Resampling.LANCZOS),
    "mirrored": ImageOps.mirror,
}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_of_an_icon_on_plain_ground_are_accepted(edit: str) -> None:
    assert final_score(icon(), EDITS[edit](icon())) >= THRESHOLD
    assert final_score(EDITS[edit](icon()), icon()) >= THRESHOLD


@pytest.mark.parametrize("edit", [watermark, captioned])
def test_overlays_on_a_rich_picture_are_accepted(
    edit: Callable[[Image.Image], Image.Image], scene: MakePicture
) -> None:
    for seed in range(3):
        assert final_score(scene(seed, 256), edit(scene(seed, 256))) >= THRESHOLD


def test_the_same_overlay_on_different_pictures_makes_no_copy(scene: MakePicture) -> None:
    for edit in (watermark, captioned):
        assert final_score(edit(scene(1, 256)), edit(scene(2, 256))) < THRESHOLD


@pytest.mark.parametrize(("a", "b"), [("smile", "frown"), ("smile", "open"), ("frown", "open")])
def test_icons_that_differ_by_a_mouth_are_refused(a: str, b: str) -> None:
    assert final_score(icon(a), icon(b)) < THRESHOLD


def test_an_icon_filled_with_other_colours_is_refused() -> None:
    other = icon(face="#88dd66", hat="#ee7711", band="#22aabb")
    assert final_score(icon(), other) < THRESHOLD
    assert final_score(icon(), icon(hat="#bb44cc")) < THRESHOLD


def test_an_icon_at_another_place_with_another_detail_is_refused() -> None:
    moved = icon("frown", shift=(9, -5))
    assert final_score(icon(), moved) < THRESHOLD
    assert final_score(icon(), ImageOps.expand(moved, 20, "white")) < THRESHOLD


def test_evidence_is_the_same_every_time_and_hardly_depends_on_which_picture_comes_first() -> None:
    a, b = (prepare(np.asarray(image)) for image in (icon(), watermark(icon())))
    once = gather(a, b, SAME)
    assert once is not None
    assert once == gather(a, b, SAME)
    back = gather(b, a, SAME)
    assert back is not None
    assert back.agreement == pytest.approx(once.agreement, abs=0.05)


def test_refinement_finds_a_shift_through_changed_colours(scene: MakePicture) -> None:
    a = prepare(np.asarray(scene(5, 256)))
    true = np.array([[1.01, 0.01, 0.012], [-0.01, 0.99, -0.008]])
    inverse = np.linalg.inv(np.vstack([true, [0, 0, 1]]))[:2]
    b = 1 - 0.7 * warp(a, inverse)
    found = refine(a, b.astype(np.float32), SAME, (0, 0, 1, 1))
    assert np.abs(found - true).max() < 0.003 < np.abs(SAME - true).max()


def test_colours_that_follow_a_rule() -> None:
    a = np.repeat(np.random.default_rng(3).uniform(0.1, 0.9, (8, 3)), 40, axis=0).astype(np.float32)
    assert judge_colours(a, a) == 1
    assert judge_colours(a, 1 - a) == 1
    assert judge_colours(a, a**1.6) == 1
    shuffled = np.roll(a, 40, axis=0)
    assert judge_colours(a, shuffled.astype(np.float32)) == -1
    assert judge_colours(a[:0], a[:0]) == 1
    two = a[:80]
    assert judge_colours(two, np.roll(two, 40, axis=0)) <= 0


def test_little_structure_decides_nothing() -> None:
    flat = np.full((192, 192, 3), 0.5, np.float32)
    assert weigh(0.9, gather(flat, flat, SAME)) == (0.9, "")
    assert weigh(0.3, None) == (0.3, "")
    evidence = Evidence(1, 1, 1, (1, 1), 0.5, 0, 0, 1, False, 0, True)
    assert weigh(0.3, evidence)[0] > THRESHOLD > weigh(0.3, evidence._replace(placed=False))[0]


@pytest.fixture
def pair(tmp_path: Path) -> Doubt:
    files, contents = [], []
    for name, image in (("a.png", icon()), ("b.png", ImageOps.expand(icon(), 30, "white"))):
        image.save(tmp_path / name)
        files.append(str(tmp_path / name))
        contents.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    scale, offset = 256 / 316, 30 / 316
    finding = Finding(0, 1, 0.0, "", True, (scale, 0, offset, 0, scale, offset))
    boxes = np.array([[0, 0, 1, 1]] * 2, np.float32)
    found = doubts(
        [finding, finding._replace(doubt=False)],
        contents,
        dict(zip(contents, files, strict=True)),
        [boxes, boxes],
    )
    assert len(found) == 1
    return found[0]


def test_files_are_read_and_the_findings_keep_their_order(pair: Doubt) -> None:
    assert pickle.loads(pickle.dumps(pair)) == pair
    found = look([pair, pair])
    assert [f[:2] for f in found] == [(0, 1), (0, 1)]
    assert found[0] == found[1]
    assert found[0].score >= THRESHOLD
    assert "a closer look: every edge lies in its place" in found[0].evidence


def test_a_file_that_changed_or_went_away_leaves_the_first_score(pair: Doubt) -> None:
    file = Path(pair.files[1])
    icon("frown").save(file)
    assert look([pair]) == [pair.finding._replace(doubt=False)]
    file.unlink()
    assert look([pair]) == [pair.finding._replace(doubt=False)]
