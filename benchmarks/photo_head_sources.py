"""The free pictures that the photo filter's head learns from: which Debian packages, which files in them, what they are.

`gather(folder)` downloads the packages with apt-get (no root needed), unpacks them and keeps the pictures that a rule
names, at most 320 px, with the package's licences beside them. No research data set, none of the pictures of the demo
set (scikit-image, scikit-learn, OpenMoji) and no emoji font is among them, so those can serve as tests.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

SIDE = 320
"""Longer side, pixels, at which pictures are kept."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


@dataclasses.dataclass(frozen=True)
class Rule:
    """Files of a package whose path matches `pattern` (a regular expression; the first rule that matches decides).

    `kind` is photo, drawing or painting, or empty for what is neither; `limit` caps the number of pictures, chosen by the
    hash of the path.
    """

    package: str
    pattern: str
    kind: str
    limit: int = 10_000


_STAMPS_DRAWN = (
    r"/cartoon|/symbols/(alphabets|shapes|music|chess)|/roadsigns|/flags|/hanukkah|/easter|/clothes/[^/]*(cap|glove|pants|"
    r"scarf|shirt|sock|tshirt|hat)[^/]*$"
)

RULES = (
    Rule("gcompris-qt-data", r"/(lang|memory-sound)/", "drawing"),
    Rule("gcompris-qt-data", r"/(paintings|babyshapes/resource/image)/|/details/.*(Gogh|Tanguy|Auvers|Gogh4)", "painting"),
    Rule("gcompris-qt-data", r"/categorization/.*/(alphabets|numbers)/|/others/(?!chair|bulb|baseball|volley)", "", 0),
    Rule("gcompris-qt-data", r"/(categorization|details|clickgame|erase|explore_[a-z_]*|babyshapes/resource/dog\d)/", "photo"),
    Rule("gcompris-qt-data", r"/leftright/", "photo"),
    Rule("tuxpaint-stamps-default", _STAMPS_DRAWN, "drawing"),
    Rule(
        "tuxpaint-stamps-default",
        r"/animals/(birds|fish|insects|mammals/(apes|aquatic|bovines|camel|cats|deer|dogs|equines|rodents)|mammals|marsupials|"
        r"shellfish|amphibians)/[^/]*$|/food/(fruit|nuts|vegetables|spices)/[^/]*$|/household/(tools|dishes)?[^/]*$|/hobbies/|"
        r"/plants/(flowers|mushrooms|trees)/[^/]*$|/symbols/money/(canadian|euro|japanese|us)/|/space/",
        "photo",
    ),
    Rule("gnome-control-center-data", r"/faces/(?!.*texture)", "photo"),
    Rule("endless-sky-data", r"/images/land/", "photo", 120),
    Rule("endless-sky-data", r"/images/(outfit|ship)/", "drawing", 120),
    Rule("krank", r"/level.*\.jpe?g$", "photo"),
    Rule("kalzium-data", r"/toolpics/", "photo"),
    Rule(
        "argyll-doc",
        r"/(?!.*HiRes)(Chroma4|ColorHug|ColorMunki|DTP|EX1|HCFR|Huey|JETI|K10A|SMCube|Smile|Spyd|mox|i1(d|m|p|s)|sl|ss)[^/]*\.jpg$",
        "photo",
    ),
    Rule("scratch", r"/Backgrounds/.*/(bedroom|chalk|party|room|spotlight|stars|underwater|desert|night|school|village|graffiti|xy|kitchen|woods|brick|basket)", "", 0),
    Rule("scratch", r"/Backgrounds/", "photo"),
    Rule("kphotoalbum", r"/demo/(?!.*(qt-logo|splash|search|folder))", "photo"),
    Rule("mate-backgrounds", r"/nature/", "photo"),
    Rule("mate-backgrounds", r"/desktop/|/abstract/(Arc|Elephants|Spring|Silk|Waves|Gulp)", "drawing"),
    Rule("lomiri-wallpapers-16.04", r"(picosdeeuropa|Dragonfly|sunset_by|seeding|friends_by|life_by|aitzgorri|Bridge|Kleiber|Fossa)", "photo"),
    Rule("tuxpaint-data", r"/templates/.*\.jpg$", "photo"),
    Rule("tuxpaint-data", r"/starters/", "drawing"),
    Rule("palapeli-data", r"/collection/.*(castle|bridge|citrus|honey|dragonfly|panorama)", "photo"),
    Rule("pysiogame", r"/art4apps/", "drawing"),
    Rule("pysiogame", r"/images/(memory|fc|connect|fish|numbers_alpha)/", "drawing"),
    Rule("stellarium-data", r"/skycultures/[^/]*/[^/]*\.(png|jpe?g)$", "drawing", 250),
    Rule("openclipart-png", r"/png/(computer|buttons|logos|shapes|signs_and_symbols|special|geography)/", "drawing", 200),
    Rule("openclipart-png", r"/png/", "drawing", 1600),
    Rule("fillets-ng-data", r"_00\.png$|/[a-z]+-p\.png$|demo_\d+0\.png$", "drawing", 120),
    Rule("wesnoth-1.16-data", r"/portraits/|/story/|/maps/.*\.(jpg|png)$", "painting", 450),
    *(
        Rule(f"wesnoth-1.16-{campaign}", r"/portraits/|/story/", "painting", 60)
        for campaign in ("did", "dm", "dw", "ei", "httt", "l", "low", "nr", "sof", "sotbe", "thot", "trow", "tsg", "utbs")
    ),
)  # fmt: skip


def gather(folder: Path) -> list[dict[str, str]]:
    """Fill `folder/pool` with pictures and write `folder/pool.json`: per picture file, package, path, kind, sha256.

    Also writes `folder/licences.json`: per package version, licences named in its copyright file, pictures taken.
    """
    rows, licences = [], {}
    for package in dict.fromkeys(rule.package for rule in RULES):
        archive, tree = _unpack(package, folder)
        taken = list(_pick(package, tree, folder / "pool" / package))
        rows += taken
        licences[package] = {
            "version": archive.stem.split("_")[1].replace("%3a", ":"),
            "licences": _licences(tree / "usr/share/doc" / package / "copyright"),
            "taken": {
                kind: sum(row["kind"] == kind for row in taken) for kind in ("photo", "drawing", "painting")
            },
        }
        print(package, json.dumps(licences[package]), flush=True)
    (folder / "pool.json").write_text(json.dumps(rows, indent=0))
    (folder / "licences.json").write_text(json.dumps(licences, indent=1))
    return rows


def _unpack(package: str, folder: Path) -> tuple[Path, Path]:
    archives, tree = folder / "deb", folder / "un" / package
    archives.mkdir(parents=True, exist_ok=True)
    if not list(archives.glob(f"{package}_*.deb")):
        subprocess.run(["apt-get", "download", package], cwd=archives, check=True, capture_output=True)
    archive = next(archives.glob(f"{package}_*.deb"))
    if not tree.exists():
        tree.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "-x", archive, tree], check=True)
    return archive, tree


def _licences(file: Path) -> list[str]:
    text = file.read_text(errors="replace") if file.exists() else ""
    names = {name.strip() for name in re.findall(r"^License:[ \t]*(\S.*)$", text, re.M)}
    return sorted(names) or ["see the package's copyright file"]


def _pick(package: str, tree: Path, pool: Path) -> Iterator[dict[str, str]]:
    pool.mkdir(parents=True, exist_ok=True)
    rules = [rule for rule in RULES if rule.package == package]
    chosen: dict[Rule, list[tuple[str, bytes | Path]]] = {}
    for path, data in _files(tree):
        rule = next((rule for rule in rules if re.search(rule.pattern, path)), None)
        if rule and rule.kind:
            chosen.setdefault(rule, []).append((path, data))
    seen = set()
    for rule, found in chosen.items():
        found.sort(key=lambda item: hashlib.sha256(item[0].encode()).digest())
        taken = 0
        for path, data in found:
            data = data.read_bytes() if isinstance(data, Path) else data
            digest = hashlib.sha256(data).hexdigest()
            if digest in seen or taken == rule.limit:
                continue
            seen.add(digest)
            file = pool / f"{digest[:16]}.png"
            if _shrink(data, file):
                taken += 1
                yield {
                    "file": str(file),
                    "package": package,
                    "path": path,
                    "kind": rule.kind,
                    "sha256": digest,
                }


def _files(tree: Path) -> Iterator[tuple[str, bytes | Path]]:
    for file in sorted(tree.rglob("*")):
        path = file.relative_to(tree).as_posix()
        if file.is_symlink() or not file.is_file():
            continue
        if file.suffix == ".rcc":
            yield from _resources(file.read_bytes())
        elif file.suffix.lower() in SUFFIXES:
            yield path, file


def _resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The pictures of a Qt binary resource (rcc), uncompressed or zlib."""
    version, tree, start, names = struct.unpack(">4I", data[4:20])
    step = 14 if version < 2 else 22

    def walk(index: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * step
        name, flags = struct.unpack(">IH", data[at : at + 6])
        length = struct.unpack(">H", data[names + name : names + name + 2])[0] if index else 0
        text = data[names + name + 6 : names + name + 6 + 2 * length].decode("utf-16-be")
        path = f"{prefix}/{text}" if prefix else text
        if flags & 2:
            count, first = struct.unpack(">II", data[at + 6 : at + 14])
            for child in range(count):
                yield from walk(first + child, path)
        elif path.lower().endswith(SUFFIXES):
            offset = start + struct.unpack(">I", data[at + 10 : at + 14])[0]
            body = data[offset + 4 : offset + 4 + struct.unpack(">I", data[offset : offset + 4])[0]]
            yield path, zlib.decompress(body[4:]) if flags & 1 else body

    yield from walk(0, "")


def _shrink(data: bytes, file: Path) -> bool:
    """Keep a picture of at least 48 px and no extreme shape, at most SIDE px, alpha where it has any; else False."""
    if file.exists():
        return True
    try:
        image = Image.open(io.BytesIO(data))
        if min(image.size) < 48 or max(image.size) > 4 * min(image.size):
            return False
        image.draft("RGB", (SIDE, SIDE))
        image = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError):
        return False
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    if image.getchannel("A").getextrema()[0] > 250:
        image = image.convert("RGB")
    image.save(file)
    return True


if __name__ == "__main__":
    import sys

    gather(Path(sys.argv[1]))
