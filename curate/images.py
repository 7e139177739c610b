"""The one door from a file to pixels.

Whatever the file is, what comes out is a picture as a viewer would show it: turned by its EXIF orientation, palette
and 16-bit depth resolved, alpha composed on a background, first frame of an animation - or `Unreadable` with a reason
code. Files are data from strangers: nothing is trusted, sizes are checked before pixels are decoded.

Known limit: a JPEG overwritten in the middle with bytes that are valid codes (zeros, say) has no mark of it; it is
shown as its decoder shows it.
"""

from __future__ import annotations

import io
import os
import re
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS = 178_000_000
"""Pictures of more pixels than this are refused as `too_large` (just below Pillow's own limit)."""

MAX_BYTES = 512 * 1024 * 1024
"""Files of more bytes than this are refused as `too_large`."""

REASONS = {
    "empty": "the file has no bytes",
    "not_an_image": "the bytes are not those of a picture format that can be read",
    "truncated": "the file ends before the picture does",
    "corrupt": "the picture's data are damaged",
    "too_large": f"more than {MAX_PIXELS // 1_000_000} million pixels or {MAX_BYTES // 1024**2} MiB",
    "permission": "the file may not be read by this user",
    "vanished": "there is no such file, or no longer",
    "changed": "the file changed while it was read",
    "io_error": "the system could not read the file",
}

SUFFIXES = frozenset(
    ".avif .bmp .dib .gif .ico .j2k .jfif .jp2 .jpe .jpeg .jpg .jpx .pbm .pcx .pgm .png .apng .pnm .ppm .qoi .tga "
    ".tif .tiff .webp".split()
)
"""Endings of names that promise a picture, lower case."""

SIGNATURE_BYTES = 12
"""So many first bytes `has_signature` wants to see."""

_FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP", "DIB", "ICO", "JPEG2000", "PCX", "PPM", "QOI", "TIFF", "TGA",
)  # fmt: skip
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
_HEADERS = (*_SIGNATURES, b"RIFF", b"BM", b"II*\x00", b"MM\x00*")
_CUT = ("truncated", "unexpected end", "not enough", "eof", "no more data", "buffer overrun")
_ORIENTATION = 0x0112
WHITE = (255, 255, 255)


class Unreadable(Exception):  # noqa: N818  the word of the table's status
    """A file that is no picture. `reason` is a key of `REASONS`; `detail` is what the decoder or the system said."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{REASONS[reason]}{f' ({detail})' if detail else ''}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[Unreadable], tuple[str, str]]:
        """Let it cross from a worker process whole."""
        return type(self), (self.reason, self.detail)


def read_bytes(path: str | Path) -> bytes:
    """The file's bytes. Raises Unreadable: empty, permission, vanished, changed, too_large, io_error."""
    data, _ = read_file(path)
    if not data:
        raise Unreadable("empty")
    return data


def read_file(path: str | Path) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file, perhaps none, and its size and times when they were read.

    Never waits on a pipe or a device. Raises Unreadable: permission, vanished, changed, too_large, io_error.
    """
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise Unreadable("io_error", "not a regular file")
            if before.st_size > MAX_BYTES:
                raise Unreadable("too_large", f"{before.st_size} bytes")
            data = file.readall()
            after = os.fstat(file.fileno())
    except PermissionError as error:
        raise Unreadable("permission", error.strerror or "") from error
    except FileNotFoundError as error:
        raise Unreadable("vanished", error.strerror or "") from error
    except (OSError, ValueError) as error:
        raise Unreadable("io_error", getattr(error, "strerror", None) or str(error)) from error
    still = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not still or len(data) != after.st_size:
        raise Unreadable("changed", f"{len(data)} bytes were read of {after.st_size}")
    return data, after


def _open_at_once(path: str, flags: int) -> int:
    """`os.open` that does not wait for somebody to write to a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def has_signature(head: bytes) -> bool:
    """Whether a file that begins with `head` (`SIGNATURE_BYTES` bytes) is a picture, whatever its name.

    Only formats with an unmistakable beginning: JPEG, PNG, GIF, WEBP, AVIF.
    """
    if head.startswith(_SIGNATURES):
        return True
    return (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[4:12] in (b"ftypavif", b"ftypavis")


def open_image(data: bytes, *, at_least: int | None = None) -> Image.Image:
    """Decode a file's bytes whole: first frame, in its own mode and as stored (not turned yet).

    `at_least` (pixels) allows a JPEG to be decoded at a reduced scale whose shorter side is no smaller than that.
    The picture's `info`, `format` and `getexif()` are those of the file; `info["stored_size"]` is the full
    (width, height) before any reduction. Raises Unreadable: empty, not_an_image, truncated, corrupt, too_large.
    """
    if not data:
        raise Unreadable("empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            stored = image.size
            if stored[0] * stored[1] > MAX_PIXELS:
                raise Unreadable("too_large", f"{stored[0]} x {stored[1]}")
            if image.format in ("JPEG", "MPO"):
                _check_jpeg_end(data)
                if at_least is not None:
                    short = min(stored)
                    image.draft(None, (-(-stored[0] * at_least // short), -(-stored[1] * at_least // short)))
            elif image.format == "PNG":
                _check_png_end(data)
            image.load()
    except Unreadable:
        raise
    except Image.DecompressionBombError as error:
        raise Unreadable("too_large", str(error)) from error
    except MemoryError as error:
        raise Unreadable("too_large", "not enough memory") from error
    except (
        Exception
    ) as error:  # decoders raise nearly anything on damaged data: SyntaxError, struct.error, ...
        text = "" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
        raise Unreadable(_reason(data, text), (text or "no decoder knows the header")[:200]) from error
    image.info["stored_size"] = stored
    return image


def _check_png_end(data: bytes) -> None:
    """A PNG that lacks only its last bytes may decode; it has no end chunk with its checksum (ISO/IEC 15948, 5.6)."""
    place = data.rfind(b"IEND")
    if place < 0 or len(data) < place + 8:
        raise Unreadable("truncated", "the PNG has no end chunk")


def _check_jpeg_end(data: bytes) -> None:
    """A JPEG cut short decodes with a grey or smeared rest where the decoder shrugs; its end marker is missing.

    Follows the markers (ITU-T T.81, B.1.1) from the first start of scan: within a scan's data FF is always followed
    by 00 or a restart marker. What lies before the first scan (thumbnails in EXIF) and after the end (other pictures,
    films, padding) does not count. Raises Unreadable: truncated, corrupt.
    """
    place = 2
    scanned = False
    while found := _MARKER.search(data, place):
        marker = data[found.start() + 1]
        place = found.end()
        if marker == 0xD9 and scanned:
            return
        if marker in (0xD8, 0xD9, 0x01):  # have no length; out of place here, but decoders pass over them
            continue
        if scanned and marker not in _BETWEEN_SCANS:
            raise Unreadable("corrupt", f"marker FF{marker:02X} within the JPEG's data")
        scanned = scanned or marker == 0xDA
        place += int.from_bytes(data[place : place + 2], "big")
    raise Unreadable("truncated", "the JPEG has no end marker")


_BETWEEN_SCANS = frozenset((0xC4, 0xC8, 0xCC, *range(0xDA, 0x100)))
"""Second bytes of the markers that may follow a scan: tables, comments, application data, the next scan."""

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _reason(data: bytes, said: str) -> str:
    """Reason code of bytes that could not be decoded, from the bytes and from what the decoder said."""
    if (data[:4] == b"II*\x00" and len(data) < int.from_bytes(data[4:8], "little")) or (
        data[:4] == b"MM\x00*" and len(data) < int.from_bytes(data[4:8], "big")
    ):  # the directory of a TIFF often stands at its end
        return "truncated"
    if not said:
        return "corrupt" if data.startswith(_HEADERS) else "not_an_image"
    if data[:4] == b"RIFF" and len(data) < int.from_bytes(data[4:8], "little") + 8:
        return "truncated"
    return "truncated" if any(word in said.lower() for word in _CUT) else "corrupt"


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1..8; 1 where there is none or the EXIF data are damaged (TIFF 6.0, tag 274).

    Also 1 for a TIFF that `open_image` decoded: Pillow has turned it already.
    """
    if _TURNING.isdisjoint(image.info):
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF raises nearly anything, and is no reason to refuse the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


_TURNING = frozenset(("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"))
"""Where Pillow's `info` may hold an orientation."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_rgb(image: Image.Image, background: tuple[int, int, int] = WHITE) -> Image.Image:
    """The picture as it is seen: EXIF orientation applied, any mode brought to 8-bit RGB, alpha on `background`.

    `image` comes from `open_image`; it may itself be returned. Raises Unreadable (corrupt) where the mode cannot be
    shown as RGB.
    """
    turn = _TURNS.get(orientation(image))
    try:
        if image.mode.startswith("I") or image.mode == "F":
            image = _deep_to_grey(image)
        if has_alpha(image):
            layer = image.convert("RGBA")
            image = Image.new("RGB", layer.size, background)
            image.paste(layer, mask=layer)
        elif image.mode != "RGB":
            image = image.convert("RGB")
        return image.transpose(turn) if turn is not None else image
    except (ValueError, OSError) as error:
        raise Unreadable("corrupt", f"mode {image.mode}: {error}"[:200]) from error


def has_alpha(image: Image.Image) -> bool:
    """Whether the picture carries transparency: an alpha band, or a transparent palette entry or colour."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _deep_to_grey(image: Image.Image) -> Image.Image:
    """Deep grey to 8 bits: 16-bit by its full scale; 32-bit and float by their own range where it is an odd one."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(_HIGH[np.asarray(image)])
    values: NDArray[np.float32] = np.asarray(image, dtype=np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        values = (values - low) * np.float32(255 / max(high - low, 1e-12))
    elif high > 255:
        values = values / np.float32(257)
    elif high <= 1 and image.mode == "F":
        values = values * np.float32(255)
    return Image.fromarray(np.rint(values).astype(np.uint8))


_HIGH = np.rint(np.arange(65536) / 257).astype(np.uint8)


def read_rgb(
    path: str | Path, *, at_least: int | None = None, background: tuple[int, int, int] = WHITE
) -> NDArray[np.uint8]:
    """A file as pixels: uint8 (H, W, 3), sRGB as stored, turned and composed as `to_rgb` says. Raises Unreadable."""
    return np.array(to_rgb(open_image(read_bytes(path), at_least=at_least), background))


def fit(
    image: Image.Image, size: int, how: str = "pad", background: tuple[int, int, int] = WHITE
) -> Image.Image:
    """An RGB picture brought to `size` x `size` pixels: `pad` (whole picture, borders), `crop` (centre) or `stretch`.

    Raises ValueError for another `how`.
    """
    square = (size, size)
    if how == "pad":
        return ImageOps.pad(image, square, Image.Resampling.BICUBIC, color=background)
    if how == "crop":
        return ImageOps.fit(image, square, Image.Resampling.BICUBIC)
    if how == "stretch":
        return image.resize(square, Image.Resampling.BICUBIC)
    raise ValueError(f"fit: '{how}' is none of pad, crop, stretch")
