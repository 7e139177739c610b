"""Prints and their comparison: which pictures are the same as which, when the pictures themselves are gone."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from curate.images import open_image, to_rgb
from curate.lookalikes import LEAST_SIDE, SIDE, Print, compare, take, told_apart


def encoded(image, form="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def print_of(image, form="PNG", copy=True, **options):
    data = encoded(image, form, **options)
    return take(to_rgb(open_image(data)), data, copy)


@pytest.fixture(scope="module")
def prints(scene):
    return [print_of(scene(seed)) for seed in range(6)]


def test_the_same_bytes_the_same_pixels_and_an_edited_copy_are_told_apart(prints, scene):
    cropped = scene(2).crop((6, 8, 150, 154))
    found = compare(
        [print_of(scene(0)), print_of(scene(1), "BMP"), print_of(cropped, "JPEG"), print_of(scene(9))],
        prints,
        workers=1,
    )
    assert [(m.row, m.other, m.kind) for m in found.matches] == [
        (0, 0, "bytes"),
        (1, 1, "pixels"),
        (2, 2, "near"),
    ]
    assert [m.score for m in found.matches[:2]] == [1.0, 1.0]
    assert 0.87 <= found.matches[2].score <= 1


@pytest.mark.parametrize(
    "edit",
    [
        ImageOps.mirror,
        lambda image: image.rotate(90),
        lambda image: ImageOps.expand(image, 12, "black"),
        lambda image: image.resize((80, 60)),
        lambda image: image.convert("L"),
    ],
    ids=["mirrored", "turned", "framed", "resized", "grey"],
)
def test_edited_copies_are_found(prints, edit, scene):
    found = compare([print_of(edit(scene(3)), "JPEG", quality=60)], prints, workers=1)
    assert [(m.other, m.kind) for m in found.matches] == [(3, "near")]


def test_without_copies_edited_ones_are_not_looked_for(prints, scene):
    bare = [Print(one.content, one.pixels) for one in prints]
    jpeg = print_of(scene(3), "JPEG", quality=60)
    assert compare([jpeg], bare, workers=1).matches == []
    assert [m.kind for m in compare([print_of(scene(3), "BMP")], bare, workers=1).matches] == ["pixels"]


def test_duplicates_within_the_first_set_share_a_group(prints, scene):
    first = [
        print_of(scene(9)),
        print_of(scene(0)),
        print_of(ImageOps.mirror(scene(9)), "JPEG"),
        print_of(scene(9)),
        print_of(scene(8)),
    ]
    found = compare(first, prints[1:], workers=1)
    assert found.groups.tolist() == [0, 1, 0, 0, 4]
    assert found.groups.dtype == np.int64
    assert found.matches == []


def test_copies_of_the_others_among_themselves_are_no_groups(prints, scene):
    found = compare([print_of(scene(9))], [prints[0], prints[0], *prints], workers=1)
    assert found.matches == []
    assert found.groups.tolist() == [0]


def test_of_several_partners_the_surest_counts(prints, scene):
    edited = print_of(scene(0), "JPEG", quality=40)
    nearer = print_of(scene(0), "BMP")
    assert compare([prints[0]], [edited, nearer, prints[0]], workers=1).matches == [(0, 2, "bytes", 1.0)]
    assert compare([prints[0]], [edited, nearer], workers=1).matches == [(0, 1, "pixels", 1.0)]


def test_a_near_partner_whose_own_pixels_are_in_the_first_set_too_is_still_told(prints, scene):
    edited = print_of(scene(0), "JPEG", quality=50)
    found = compare([prints[0], edited], [prints[0]], workers=1)
    assert [(m.row, m.other, m.kind) for m in found.matches] == [(0, 0, "bytes"), (1, 0, "near")]
    assert found.groups.tolist() == [0, 0]


def test_blank_pictures_are_compared_by_bytes_and_pixels_alone():
    white, nearly = (Image.new("RGB", (200, 200), (tone,) * 3) for tone in (255, 250))
    assert compare([print_of(nearly)], [print_of(white)], workers=1).matches == []
    assert [m.kind for m in compare([print_of(white, "BMP")], [print_of(white)], workers=1).matches] == [
        "pixels"
    ]


def test_two_tiny_pictures_are_compared_by_bytes_and_pixels_alone(scene, prints):
    tiny = scene(0, LEAST_SIDE - 1)
    again, plain = print_of(tiny, "JPEG"), print_of(tiny)
    assert compare([again], [plain], workers=1).matches == []
    assert compare([again], [plain, prints[5]], workers=1).matches == []
    assert [m.kind for m in compare([print_of(tiny, "BMP")], [plain], workers=1).matches] == ["pixels"]
    assert not told_apart(plain)


def test_a_tiny_copy_of_a_large_picture_is_found(scene, prints):
    tiny = print_of(scene(2).resize((40, 40)), "JPEG")
    found = compare([tiny], prints, workers=1)
    assert [(m.other, m.kind) for m in found.matches] == [(2, "near")]
    assert [m.kind for m in compare([prints[2]], [tiny], workers=1).matches] == ["near"]


def test_a_print_is_small_and_its_copy_no_larger_than_said(scene):
    one = print_of(scene(0, 1000))
    assert max(Image.open(io.BytesIO(one.copy)).size) == SIDE
    assert len(one.copy) < 15_000
    small = print_of(scene(0, 100))
    assert Image.open(io.BytesIO(small.copy)).size == (100, 100)


def test_sets_may_be_empty(prints):
    assert compare([], prints, workers=1).groups.shape == (0,)
    found = compare(prints[:2], [], workers=1)
    assert (found.matches, found.groups.tolist()) == ([], [0, 1])


def test_the_number_of_workers_changes_nothing(prints, scene):
    first = [print_of(scene(seed), "JPEG", quality=30) for seed in range(4)]
    one, two = (compare(first, prints, workers=count) for count in (1, 2))
    assert one.matches == two.matches
    assert one.groups.tolist() == two.groups.tolist()


def test_torch_keeps_its_threads(prints):
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        compare(prints[:2], prints, workers=1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_exact_copies_are_what_a_person_would_count(ours, theirs):
    prints = [Print(bytes([n]), bytes([n // 2])) for n in range(5)]
    found = compare([prints[n] for n in ours], [prints[n] for n in theirs], workers=1)
    kinds = {
        row: "bytes" if n in theirs else "pixels"
        for row, n in enumerate(ours)
        if n // 2 in {m // 2 for m in theirs}
    }
    assert {m.row: m.kind for m in found.matches} == kinds
    assert all(prints[theirs[m.other]].pixels == prints[ours[m.row]].pixels for m in found.matches)
    assert found.groups.tolist() == [next(i for i, m in enumerate(ours) if m // 2 == n // 2) for n in ours]
