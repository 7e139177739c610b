"""The demo set: a messy folder of illustrations made on the spot, with the truth about every file.

Drawings are rasterised from OpenMoji, photographs cut from pictures bundled with scikit-image and scikit-learn;
copies, wrong labels and broken files are planted. First everything is planned in this process (one generator), then
each original is drawn together with its copies (a generator each), so the bytes do not depend on the workers.
"""

from __future__ import annotations

import csv
import functools
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from curate import demo_pictures as art
from curate import demo_sources as sources
from curate.engine import Progress, map_chunks, silent
from curate.errors import UserError

MIN_PICTURES, MAX_PICTURES = 150, 3000
IMBALANCE = 13.0
"""Planned ratio of the largest class to the smallest in `train`; whole files and small sets leave at least 8."""

TEST_SHARE, TEST_CONCEPTS, MIN_TEST_CONCEPTS = 0.1, 0.25, 4
"""Share of the files and of each class's concepts that go to `test`; four concepts make up to 14 pictures."""

EXACT_SHARE, NEAR_SHARE, WRONG_SHARE, BROKEN_SHARE, PHOTO_SHARE = 0.08, 0.13, 0.03, 0.012, 0.12
"""Shares of the files of `train`; photographs: of its originals."""

TRUTH_COLUMNS = ("path", "label", "true_label", "kind", "is_photo", "origin", "edit")


@dataclass(frozen=True)
class DemoSummary:
    """What was made. Counts are of files; all but `test` are of `train`. `photos` counts their copies too."""

    folder: Path
    classes: int
    train: int
    test: int
    originals: int
    exact: int
    near: int
    wrong_class: int
    unreadable: int
    photos: int

    def __str__(self) -> str:
        """The counts in a sentence, for the terminal."""
        return (
            f"{self.folder}: {self.train} files in {self.classes} class folders of train"
            f" ({self.originals} originals, {self.exact} exact copies, {self.near} near copies,"
            f" {self.wrong_class} copies under a wrong class, {self.unreadable} unreadable;"
            f" {self.photos} photographs), {self.test} in test"
        )


class TruthRow(NamedTuple):
    """One file of `train`; paths with forward slashes, relative to `train`."""

    path: str
    label: str
    true_label: str
    kind: str
    is_photo: int
    origin: str
    edit: str


@dataclass(frozen=True)
class _Copy:
    kind: str
    label: str
    stem: str
    edit: str


@dataclass
class _Original:
    recipe: art.Drawing | art.Photo
    part: str
    label: str
    stem: str
    seed: tuple[int, int]
    broken: str = ""
    copies: list[_Copy] = field(default_factory=list)


def make_demo(
    folder: str | Path,
    *,
    pictures: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
    workers: int | None = None,
) -> DemoSummary:
    """Make a demo set: `train` (messy class folders), `test` (clean), `truth.csv`, `ATTRIBUTION.md`.

    `pictures` is the number of files in `train` and `test` together. The same `pictures` and `seed` give the same
    bytes with the same versions of the libraries. `progress` counts originals.
    Raises UserError: a package of the extra `demo` is missing, `folder` is a file or not empty or cannot be written,
    `pictures` or `seed` is out of range. Then nothing is left behind.
    """
    if not MIN_PICTURES <= pictures <= MAX_PICTURES:
        raise UserError(
            f"A demo set of {pictures} pictures cannot be made.",
            f"Ask for {MIN_PICTURES} to {MAX_PICTURES} pictures.",
        )
    if seed < 0:
        raise UserError(f"The seed is {seed}, and must not be negative.", "Give 0 or a larger whole number.")
    target = _check_target(folder)
    sources.check_packages()
    plan = _plan(pictures, seed)
    with _beside(target) as unfinished:
        rows = _write_pictures(plan, unfinished, progress, workers)
        _write_truth(unfinished / "truth.csv", rows)
        (unfinished / "ATTRIBUTION.md").write_text(sources.attribution(), encoding="utf-8", newline="\n")
    return _summarise(target, rows, pictures)


def _check_target(folder: str | Path) -> Path:
    target = Path(folder).expanduser().resolve()
    if target.is_dir():
        if next(target.iterdir(), None) is not None:
            raise UserError(f"{folder} is not empty.", "Name a new folder for the demo set.")
    elif target.exists():
        raise UserError(f"{folder} is a file.", "Name a new folder for the demo set.")
    elif not target.parent.is_dir():
        raise UserError(f"{target.parent} is no folder.", f"Make it first: mkdir -p '{target.parent}'")
    return target


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A hidden folder on the target's file system whose content becomes the target's in the end, or is removed.

    A kill leaves that hidden folder, and no target.
    """
    existed = target.is_dir()
    try:
        room = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target if existed else target.parent)
        )
    except OSError as error:
        raise UserError(
            f"{target} cannot be written: {error.strerror or error}.", "Name a folder where you may write."
        ) from error
    try:
        unfinished = room / "set"
        unfinished.mkdir()
        yield unfinished
        if existed:
            for child in sorted(unfinished.iterdir()):
                child.rename(target / child.name)
        else:
            unfinished.rename(target)
    except OSError as error:
        raise UserError(
            f"{target} could not be finished: {error.strerror or error}.",
            "Make room on the disk, or name another folder.",
        ) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _apportion(total: int, weights: Sequence[float], least: int = 0) -> list[int]:
    """`total` split by weights in whole numbers that sum to it, each at least `least` (largest remainders)."""
    free = total - least * len(weights)
    exact = [free * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: free - sum(counts)]:
        counts[i] += 1
    return [least + count for count in counts]


def _plan(pictures: int, seed: int) -> list[_Original]:
    """Everything that will be drawn, with its place, its copies and its generator's seed."""
    rng = np.random.default_rng([seed, 0])
    pool = sources.concepts()
    labels = list(pool)[: 24 if pictures >= 600 else 12]
    weights = np.geomspace(IMBALANCE, 1, len(labels)).tolist()
    stems = _Stems(rng)
    in_test = max(2 * len(labels), round(TEST_SHARE * pictures))
    in_train = pictures - in_test
    wrong, exact = round(WRONG_SHARE * in_train), round(EXACT_SHARE * in_train)
    near, broken = round(NEAR_SHARE * in_train), max(len(art.BREAKS), round(BROKEN_SHARE * in_train))
    copies, singles = wrong + exact + near, in_train - broken
    originals = _apportion(singles - copies, weights, least=1)
    pieces = sources.photo_pieces()
    photos = _apportion(min(len(pieces), round(PHOTO_SHARE * sum(originals))), weights)
    order = iter(rng.permutation(len(pieces)))
    plan: list[_Original] = []
    tests = _apportion(in_test, [1.0] * len(labels))
    for label, wanted, photographs, clean in zip(labels, originals, photos, tests, strict=True):
        files = [pool[label][i] for i in rng.permutation(len(pool[label]))]
        held_out = max(MIN_TEST_CONCEPTS, round(TEST_CONCEPTS * len(files)))
        drawn: list[tuple[str, art.Drawing | art.Photo]] = [
            *(("test", recipe) for recipe in _drawings(files[:held_out], clean, rng)),
            *(("train", recipe) for recipe in _drawings(files[held_out:], wanted - photographs, rng)),
            *(("train", pieces[next(order)]) for _ in range(photographs)),
        ]
        for part, recipe in drawn:
            plan.append(_Original(recipe, part, label, stems.new(), (seed, len(plan) + 1)))
    _plant_copies(plan, labels, weights, {"exact": exact, "near": near, "wrong_class": wrong}, stems, rng)
    _plant_broken(plan, labels, _apportion(broken, weights), stems, seed, rng)
    return plan


class _Stems:
    """Names that tell nothing: seven digits, each once."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._numbers = iter(rng.choice(10_000_000, 2 * MAX_PICTURES, replace=False))

    def new(self) -> str:
        return f"{next(self._numbers):07d}"


def _drawings(files: Sequence[str], count: int, rng: np.random.Generator) -> list[art.Drawing]:
    """`count` drawings: each artwork by itself once, then scenes of two or three, no two of the same artworks."""
    made = [art.Drawing((file,)) for file in files[:count]]
    seen: set[frozenset[int]] = set()
    while len(made) < count:
        size = 2 if rng.random() < 0.6 or len(files) < 3 else 3
        chosen = [int(i) for i in rng.choice(len(files), min(size, len(files)), replace=False)]
        if frozenset(chosen) not in seen:
            seen.add(frozenset(chosen))
            made.append(art.Drawing(tuple(files[i] for i in chosen)))
    return made


def _plant_copies(
    plan: list[_Original],
    labels: list[str],
    weights: Sequence[float],
    counts: dict[str, int],
    stems: _Stems,
    rng: np.random.Generator,
) -> None:
    """Add copies to the originals of `train`: each class gets its share of each kind, so the imbalance holds."""
    here = {
        label: [item for item in plan if item.part == "train" and item.label == label] for label in labels
    }
    everywhere = [item for items in here.values() for item in items]
    edits = list(art.EDITS)
    turn = 0
    for kind, count in counts.items():
        for label, share in zip(labels, _apportion(count, weights), strict=True):
            for _ in range(share):
                candidates = here[label] if kind != "wrong_class" else everywhere
                item = candidates[int(rng.integers(len(candidates)))]
                while kind == "wrong_class" and (
                    item.label == label or any(c.label == label for c in item.copies)
                ):
                    item = candidates[int(rng.integers(len(candidates)))]
                edit = ""
                if kind == "near":
                    edit, turn = edits[turn % len(edits)], turn + 1
                elif kind == "wrong_class" and rng.random() < 0.3:
                    edit = "reencode_jpeg75"
                item.copies.append(_Copy(kind, label, stems.new(), edit))


def _plant_broken(
    plan: list[_Original],
    labels: list[str],
    counts: Sequence[int],
    stems: _Stems,
    seed: int,
    rng: np.random.Generator,
) -> None:
    """Add unreadable files. A cut file shows something of its class drawn anew, so it is nobody's copy."""
    places = [label for label, count in zip(labels, counts, strict=True) for _ in range(count)]
    for index, label in enumerate(places):
        files = [item.recipe for item in plan if (item.part, item.label) == ("train", label)]
        recipe = files[int(rng.integers(len(files)))]
        how = art.BREAKS[index % len(art.BREAKS)]
        plan.append(_Original(recipe, "train", label, stems.new(), (seed, len(plan) + 1), broken=how))


def _write_pictures(
    plan: list[_Original], root: Path, progress: Progress, workers: int | None
) -> list[TruthRow]:
    for part, label in sorted({(item.part, item.label) for item in plan}):
        (root / part / label).mkdir(parents=True, exist_ok=True)
    write = functools.partial(_write_chunk, root=str(root))
    chunks = map_chunks(write, plan, workers=workers, chunk=48, progress=progress)
    return sorted(row for rows in chunks for row in rows)


def _write_chunk(items: Sequence[_Original], root: str) -> list[TruthRow]:
    """Draw and write originals with their copies. Rows are those of `train`."""
    rows: list[TruthRow] = []
    for item in items:
        made = _write_item(item, Path(root))
        if item.part == "train":
            rows.extend(made)
    return rows


def _write_item(item: _Original, root: Path) -> list[TruthRow]:
    rng = np.random.default_rng(item.seed)
    file_format = art.choose_format(rng)
    image = art.make_picture(item.recipe, file_format, rng)
    is_photo = int(isinstance(item.recipe, art.Photo))
    here = root / item.part
    if item.broken:
        data, suffix = art.broken_file(item.broken, image, rng)
        path = f"{item.label}/{item.stem}{suffix}"
        (here / path).write_bytes(data)
        return [TruthRow(path, item.label, item.label, "unreadable", 0, "", item.broken)]
    original = art.encode(image, file_format, quality=int(rng.integers(62, 95)))
    origin = f"{item.label}/{item.stem}{art.SUFFIX[file_format]}"
    (here / origin).write_bytes(original)
    rows = [TruthRow(origin, item.label, item.label, "original", is_photo, origin, "")]
    for copy in item.copies:
        data, copy_format, edit = original, file_format, copy.edit
        if copy.edit:
            data, copy_format, edit = art.near_copy(original, copy.edit, rng)
        path = f"{copy.label}/{copy.stem}{art.SUFFIX[copy_format]}"
        (here / path).write_bytes(data)
        rows.append(TruthRow(path, copy.label, item.label, copy.kind, is_photo, origin, edit))
    return rows


def _write_truth(file: Path, rows: Sequence[TruthRow]) -> None:
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(TRUTH_COLUMNS)
        writer.writerows(rows)


def _summarise(target: Path, rows: Sequence[TruthRow], pictures: int) -> DemoSummary:
    kinds = Counter(row.kind for row in rows)
    return DemoSummary(
        folder=target,
        classes=len({row.label for row in rows}),
        train=len(rows),
        test=pictures - len(rows),
        originals=kinds["original"],
        exact=kinds["exact"],
        near=kinds["near"],
        wrong_class=kinds["wrong_class"],
        unreadable=kinds["unreadable"],
        photos=sum(row.is_photo for row in rows),
    )
