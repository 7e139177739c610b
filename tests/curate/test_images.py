"""The one door from a file to pixels: what opens, how it looks, and why what does not open does not."""

from __future__ import annotations

import io
import os
import pickle
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from curate import images
from curate.images import Unreadable, open_image, read_bytes, read_rgb, to_rgb


def noise(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, format: str, **options: object) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def reason(data: bytes, at_least: int | None = None) -> str:
    try:
        to_rgb(open_image(data, at_least=at_least))
    except Unreadable as error:
        return error.reason
    return "ok"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


FORMATS = {
    "jpeg": ("JPEG", {"quality": 90}),
    "progressive": ("JPEG", {"quality": 90, "progressive": True}),
    "png": ("PNG", {}),
    "gif": ("GIF", {}),
    "webp": ("WEBP", {"quality": 90}),
    "lossless": ("WEBP", {"lossless": True}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "ppm": ("PPM", {}),
    "tga": ("TGA", {}),
}
SAVED = {name: encode(noise(), *(form,), **options) for name, (form, options) in FORMATS.items()}


# What opens -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAVED)
def test_formats_give_the_picture(name: str) -> None:
    pixels = np.asarray(to_rgb(open_image(SAVED[name]))).astype(int)
    assert pixels.shape == (64, 96, 3)
    assert np.abs(pixels - np.asarray(noise())).mean() < (20 if name == "gif" else 6)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_is_turned_upright(turn: int) -> None:
    upright = Image.new("RGB", (48, 32), "white")
    upright.paste((255, 0, 0), (0, 0, 24, 16))  # red at the top left
    upright.paste((0, 0, 255), (24, 0, 48, 16))  # blue at the top right
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[turn]  # Pillow's transpositions that undo it
    stored = upright if back is None else upright.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = turn
    for form in ("JPEG", "PNG", "WEBP", "TIFF"):
        options = {"quality": 95, "subsampling": 0} if form == "JPEG" else {}
        opened = open_image(encode(stored, form, exif=exif, **options))
        assert images.orientation(opened) == (1 if form == "TIFF" else turn)
        pixels = np.asarray(to_rgb(opened)).astype(int)
        assert pixels.shape == (32, 48, 3)
        assert np.abs(pixels - np.asarray(upright)).mean() < 12, form


@pytest.mark.parametrize(
    "exif", [b"Exif\x00\x00garbage", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00MM"]
)
def test_damaged_exif_does_not_refuse_the_picture(exif: bytes) -> None:
    opened = open_image(encode(noise(), "JPEG", exif=exif))
    assert images.orientation(opened) == 1
    assert to_rgb(opened).size == (96, 64)


def test_orientation_out_of_range_counts_as_none() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert images.orientation(open_image(encode(noise(), "JPEG", exif=exif))) == 1


def test_alpha_is_composed_on_the_background() -> None:
    image = Image.new("RGBA", (4, 2), (200, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 200, 255))
    image.putpixel((1, 0), (0, 0, 0, 128))
    opened = open_image(encode(image, "PNG"))
    assert images.has_alpha(opened)
    shown = to_rgb(opened)
    assert shown.getpixel((0, 0)) == (0, 0, 200)
    assert shown.getpixel((1, 0)) == (127, 127, 127)
    assert shown.getpixel((3, 1)) == (255, 255, 255)
    assert to_rgb(open_image(encode(image, "PNG")), background=(10, 20, 30)).getpixel((3, 1)) == (10, 20, 30)


def test_transparent_palette_entry_is_composed() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(0, (0, 0, 4, 8))
    shown = to_rgb(open_image(encode(image, "PNG", transparency=0)))
    assert shown.getpixel((0, 0)) == (255, 255, 255)
    assert shown.getpixel((7, 7)) == (0, 255, 0)


def test_palette_with_alpha_per_entry_is_composed() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.paste(0, (0, 0, 4, 8))
    shown = to_rgb(open_image(encode(image, "PNG", transparency=bytes([0, 128]))))
    assert shown.getpixel((0, 0)) == (255, 255, 255)
    assert shown.getpixel((7, 7)) == (127, 127, 127)


def test_transparent_colour_of_rgb_and_grey_is_composed() -> None:
    colour = Image.new("RGB", (4, 4), (9, 9, 9))
    colour.putpixel((0, 0), (50, 60, 70))
    shown = to_rgb(open_image(encode(colour, "PNG", transparency=(9, 9, 9))))
    assert (shown.getpixel((0, 0)), shown.getpixel((3, 3))) == ((50, 60, 70), (255, 255, 255))
    grey = Image.new("L", (4, 4), 9)
    grey.putpixel((0, 0), 50)
    shown = to_rgb(open_image(encode(grey, "PNG", transparency=9)))
    assert (shown.getpixel((0, 0)), shown.getpixel((3, 3))) == ((50, 50, 50), (255, 255, 255))


def test_grey_with_alpha_and_one_bit() -> None:
    image = Image.new("LA", (4, 4), (100, 0))
    image.putpixel((0, 0), (100, 255))
    shown = to_rgb(open_image(encode(image, "PNG")))
    assert (shown.getpixel((0, 0)), shown.getpixel((3, 3))) == ((100, 100, 100), (255, 255, 255))
    bits = Image.new("1", (4, 4), 0)
    bits.putpixel((0, 0), 1)
    shown = to_rgb(open_image(encode(bits, "PNG")))
    assert (shown.getpixel((0, 0)), shown.getpixel((3, 3))) == ((255, 255, 255), (0, 0, 0))


def test_cmyk_jpeg_keeps_its_colours() -> None:
    red = Image.new("RGB", (16, 16), (220, 20, 20)).convert("CMYK")
    shown = np.asarray(to_rgb(open_image(encode(red, "JPEG", quality=95)))).astype(int)
    assert np.abs(shown - (220, 20, 20)).max() < 12


@pytest.mark.parametrize("top", [200, 65535])
def test_sixteen_bits_by_full_scale(top: int) -> None:
    ramp = np.linspace(0, top, 256).astype(np.uint16).reshape(16, 16)
    shown = np.asarray(to_rgb(open_image(encode(Image.fromarray(ramp), "PNG"))))
    assert np.array_equal(shown[..., 0], np.rint(ramp / 257))
    assert np.array_equal(shown[..., 0], shown[..., 2])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5], [1.0, np.nan]], np.float32), [[0, 128], [255, 0]]),
        (np.array([[-1.0, 0.0], [1.0, 1.0]], np.float32), [[0, 128], [255, 255]]),
        (np.array([[0, 100], [200, 255]], np.int32), [[0, 100], [200, 255]]),
        (np.array([[0, 1000000], [500000, 0]], np.int32), [[0, 255], [128, 0]]),
    ],
)
def test_deep_grey_tiff(values: np.ndarray, expected: list[list[int]]) -> None:
    shown = np.asarray(to_rgb(open_image(encode(Image.fromarray(values), "TIFF"))))[..., 1]
    assert np.abs(shown.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(form: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if form == "WEBP" else {}
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert to_rgb(open_image(data)).getpixel((8, 8)) == (255, 0, 0)


def test_reduced_scale_is_never_below_what_was_asked() -> None:
    data = encode(noise(800, 400), "JPEG")
    for at_least, size in (
        (50, (100, 50)),
        (51, (200, 100)),
        (101, (400, 200)),
        (400, (800, 400)),
        (9999, (800, 400)),
    ):
        opened = open_image(data, at_least=at_least)
        assert opened.size == size
        assert opened.info["stored_size"] == (800, 400)
    assert open_image(encode(noise(800, 400), "PNG"), at_least=50).size == (800, 400)


def test_trailing_bytes_and_second_pictures_are_fine() -> None:
    rest = b"\xff\xda film \xff\x01" * 50  # what looks like a scan without an end
    assert reason(SAVED["jpeg"] + rest) == "ok"
    assert reason(SAVED["jpeg"] + SAVED["jpeg"][:300]) == "ok"
    assert reason(SAVED["png"] + rest) == "ok"
    several = encode(noise(), "MPO", save_all=True, append_images=[noise(seed=1)])
    assert reason(several) == "ok"


def test_jpeg_with_thumbnail_in_exif() -> None:
    exif = b"Exif\x00\x00" + encode(noise(32, 24), "JPEG")
    data = encode(noise(), "JPEG", exif=exif)
    assert reason(data) == "ok"
    assert reason(data[:-2]) == "truncated"


# What does not open -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (np.random.default_rng(1).bytes(5000), "not_an_image"),
        (bytes(5000), "not_an_image"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "not_an_image"),
        (b"BMP files are described in this text.\n" * 20, "corrupt"),
        (b"hello", "not_an_image"),
        (b"%PDF-1.4\n", "not_an_image"),
        (b"\xff\xd8\xff", "corrupt"),
        (SAVED["jpeg"][:20], "corrupt"),
        (b"\x89PNG\r\n\x1a\n", "corrupt"),
    ],
)
def test_what_is_no_picture(data: bytes, expected: str) -> None:
    assert reason(data) in (expected, "truncated" if expected == "corrupt" else expected)


@pytest.mark.parametrize("at_least", [None, 16])
@pytest.mark.parametrize("name", SAVED)
def test_a_cut_file_is_never_a_picture(name: str, at_least: int | None) -> None:
    data = SAVED[name]
    whole = np.asarray(to_rgb(open_image(data, at_least=at_least)))
    for share in (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98):
        cut = data[: int(len(data) * share)]
        found = reason(cut, at_least)
        if found == "ok":  # only where no pixel is missing: a format with something behind the pixels
            assert np.array_equal(np.asarray(to_rgb(open_image(cut, at_least=at_least))), whole), share
        else:
            assert found in ("truncated", "corrupt", "not_an_image")
            assert share < 0.5 or found == "truncated", (share, found)
    if name in ("jpeg", "progressive", "png"):
        assert reason(data[:-3], at_least) == "truncated"


def test_png_without_its_end_is_truncated() -> None:
    assert reason(SAVED["png"][:-12]) == "truncated"


def test_png_with_a_wrong_checksum_is_corrupt() -> None:
    data = bytearray(SAVED["png"])
    data[16] ^= 1  # the width in the header
    assert reason(bytes(data)) == "corrupt"


def test_png_with_damaged_pixels_is_unreadable() -> None:
    data = bytearray(SAVED["png"])
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    assert reason(bytes(data)) in ("corrupt", "truncated")


def test_jpeg_overwritten_within_its_data_is_corrupt() -> None:
    data = bytearray(SAVED["jpeg"])
    scan = data.find(b"\xff\xda") + 200
    data[scan : scan + 3] = b"\xff\xc0\x11"
    assert reason(bytes(data)) == "corrupt"


def test_bombs_are_refused_by_their_header() -> None:
    assert reason(png(60000, 60000, 8, 2, chunk(b"IDAT", zlib.compress(b"\0" * 100)))) == "too_large"
    assert reason(png(2**31 - 1, 2**31 - 1, 8, 2)) in ("too_large", "corrupt")


def test_bomb_in_a_text_chunk_is_not_blown_up() -> None:
    text = chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(200_000_000)))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\x10\x20\x30"))
    assert reason(png(1, 1, 8, 2, text, pixels)) in ("ok", "corrupt")


def test_more_pixels_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 96 * 64 - 1)
    for name in ("jpeg", "png", "webp"):
        with pytest.raises(Unreadable, match="96 x 64") as caught:
            open_image(SAVED[name], at_least=16)
        assert caught.value.reason == "too_large"


def test_a_mode_that_cannot_be_shown_has_a_reason() -> None:
    profile = ImageCms.createProfile("sRGB")
    lab = ImageCms.profileToProfile(noise(), profile, ImageCms.createProfile("LAB"), outputMode="LAB")
    assert reason(encode(lab, "TIFF")) in ("ok", "corrupt")


def test_random_damage_never_escapes_as_another_error() -> None:
    rng = np.random.default_rng(5)
    for name, data in SAVED.items():
        for _ in range(25):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), 6):
                damaged[place] = rng.integers(0, 256)
            found = reason(bytes(damaged), at_least=16)
            assert found == "ok" or found in images.REASONS, name


# Reading the file -------------------------------------------------------------------------------------------------


def test_read_rgb(tmp_path: Path) -> None:
    file = tmp_path / "picture.dat"
    file.write_bytes(SAVED["png"])
    pixels = read_rgb(file)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (64, 96, 3))
    pixels[0, 0] = 7  # the caller's own


def test_reasons_of_the_file_system(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    for name, expected in {
        "empty.png": "empty",
        "folder.jpg": "io_error",
        "pipe.jpg": "io_error",
        "link.jpg": "vanished",
        "missing.jpg": "vanished",
        "x" * 300 + ".jpg": "io_error",
    }.items():
        with pytest.raises(Unreadable) as caught:
            read_bytes(tmp_path / name)
        assert caught.value.reason == expected, name


def test_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(images.os, "open", refuse)
    with pytest.raises(Unreadable, match="may not be read by this user") as caught:
        read_bytes(tmp_path / "a.jpg")
    assert caught.value.reason == "permission"


def test_too_many_bytes_are_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    file = tmp_path / "a.png"
    file.write_bytes(bytes(1001))
    with pytest.raises(Unreadable, match="1001 bytes") as caught:
        read_bytes(file)
    assert caught.value.reason == "too_large"


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(SAVED["png"])
    fstat = os.fstat
    calls = []

    def growing(handle: int) -> os.stat_result:
        if calls:
            with file.open("ab") as other:
                other.write(b"more")
        calls.append(handle)
        return fstat(handle)

    monkeypatch.setattr(images.os, "fstat", growing)
    with pytest.raises(Unreadable) as caught:
        read_bytes(file)
    assert caught.value.reason == "changed"


def test_a_pipe_with_nobody_at_the_other_end_does_not_block(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    done = threading.Event()

    def read() -> None:
        with pytest.raises(Unreadable):
            images.read_file(pipe)
        done.set()

    threading.Thread(target=read, daemon=True).start()
    assert done.wait(5)


def test_read_file_of_an_empty_file_gives_its_times(tmp_path: Path) -> None:
    file = tmp_path / "empty.png"
    file.touch()
    os.utime(file, ns=(1, 123456789))
    data, about = images.read_file(file)
    assert (data, about.st_mtime_ns) == (b"", 123456789)


def test_unreadable_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(Unreadable("truncated", "after 7 bytes")))
    assert (error.reason, error.detail) == ("truncated", "after 7 bytes")
    assert str(error) == "the file ends before the picture does (after 7 bytes)"


@pytest.mark.parametrize("name", SAVED)
def test_signatures(name: str) -> None:
    sure = name not in ("bmp", "tiff", "lzw", "ppm", "tga")
    assert images.has_signature(SAVED[name][: images.SIGNATURE_BYTES]) == sure


def test_no_signature() -> None:
    assert not images.has_signature(b"")
    assert not images.has_signature(b"RIFF\x00\x00\x00\x00WAVE")
    assert not images.has_signature(b"text, as it were")


@pytest.mark.parametrize(
    ("how", "corner"), [("pad", (1, 2, 3)), ("crop", (200, 0, 0)), ("stretch", (200, 0, 0))]
)
def test_fit(how: str, corner: tuple[int, int, int]) -> None:
    fitted = images.fit(Image.new("RGB", (40, 20), (200, 0, 0)), 32, how, background=(1, 2, 3))
    assert fitted.size == (32, 32)
    assert fitted.getpixel((0, 0)) == corner
    assert fitted.getpixel((16, 16)) == (200, 0, 0)


def test_fit_of_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="'squeeze' is none of pad, crop, stretch"):
        images.fit(noise(), 32, "squeeze")
