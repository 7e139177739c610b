"""What each step of curation was worth: training with all of them, with each left out, and with none; same budget.

The training parts are `classify.ablation.arms`'s, a cell (an arm with a seed) `classify.cells`'s, the figures
`classify.ablation.results`'s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify import cells as work
from classify import models
from classify.ablation import arms as parts
from classify.ablation import results
from classify.ablation.arms import Arm
from classify.cell_runner import CellRunner
from classify.cells import Cell, Data
from classify.data.cache import read_pictures
from classify.data.sources import find_source
from classify.data.splitting import copies_of, groups
from classify.labelled import LabelledPictures
from classify.plan import Combination
from classify.runs import held
from classify.settings import Settings, TrainingSettings
from classify.weights import Preprocessing, write_whole
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.paths import path_from_text, path_to_text
from curate.words import counted
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

Draw = Callable[[Mapping[str, Any], Sequence[str], Sequence[Sequence[str]]], str]

_EPOCHS = 1_000_000_000
"""More passes than any budget allows: minutes or pictures decide."""

_LOOK = Preprocessing(32)
"""How pictures are read where only their hashes count."""


@dataclass(frozen=True)
class ImpactResult:
    """Where it all lies, and what `impact.json` holds: arms, effects, inflation, sentences (see docs/impact.md)."""

    out: Path
    content: dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """What each training may take: `minutes` of time, or so many `pictures` seen where that is not 0."""

    minutes: float = 15.0
    pictures: int = 0

    def __str__(self) -> str:
        """In words."""
        return f"{self.pictures:,} pictures seen" if self.pictures else f"{self.minutes:g} minutes"


def impact(
    workspace: str | Path,
    test: str | Path | None = None,
    out: str | Path | None = None,
    *,
    minutes: float = 15.0,
    pictures: int = 0,
    seeds: int = 3,
    settings: Settings | None = None,
    limit: float = 0.0,
    jobs: int = 1,
    isolate: bool = True,
    workers: int | None = None,
    draw: Draw | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda text: None,
) -> ImpactResult:
    """Measure what each step of curation was worth in macro-F1, in the folder `out` (by default `impact/NAME`).

    `workspace` is a curate workspace or the folder that it belongs to; `test` a folder of clean test pictures, without
    which the test part of the workspace's split is taken. Each training takes `minutes`, or sees so many `pictures` where
    that is not 0; `seeds` trainings of each arm. `limit` is the time in minutes in which trainings may begin, 0: no limit.
    `jobs`, `isolate`: as in `classify.sweep`. The same call goes on after an interruption. Writes impact.json, impact.md,
    impact.csv, and with `draw` (results, and their table's columns and rows, to HTML) impact.html, after each training.
    Nothing of the workspace or of the folder is changed. Raises UserError for what will not do, before anything is made,
    and Locked where another one is at work in `out`.
    """
    found = Workspace.find(workspace)
    if found is None:
        raise UserError(
            f"{workspace}: there is no curate workspace, so no step has been taken yet.",
            f"Run `curate run {workspace}` first.",
        )
    place = Path(out) if out is not None else Path("impact") / found.path.name.removesuffix(".curate")
    budget = Budget(minutes, pictures)
    run = _Impact(
        found, Path(test) if test is not None else None, place, budget, seeds, settings or Settings()
    )
    run.look(workers, progress, say)
    with held(place, "impact"):
        return run.run(limit, jobs, isolate, draw, say)


class _Impact:
    """One session. What does not depend on the folder of results is checked when it is made."""

    def __init__(
        self,
        workspace: Workspace,
        test: Path | None,
        out: Path,
        budget: Budget,
        seeds: int,
        settings: Settings,
    ) -> None:
        self.workspace = workspace
        self.test = test
        self.out = out
        self.budget = budget
        self.seeds = range(_number("seeds", seeds, 1))
        self.settings = _checked(settings, budget)
        for folder in (workspace.root, workspace.path, *([test] if test else [])):
            if folder.resolve() in (out.resolve(), *out.resolve().parents):
                raise UserError(f"{out}: lies inside {folder}.", "Give another place with --out.")
        self.pictures = parts.read_pictures_of(workspace)
        if test is None and not (self.pictures["split"] == "test").any():
            raise UserError(
                f"{workspace.path}: its split has no test part, so there is nothing clean to judge on.",
                f"Give a folder of test pictures with --test, or make one with `curate split {workspace.root} --test 0.1`.",
            )
        self.notes: list[str] = []
        self.judged: dict[tuple[str, int], results.Judged] = {}

    # What is compared ---------------------------------------------------------------------------------------------

    def look(self, workers: int | None, progress: Progress, say: Callable[[str], None]) -> None:
        """Find the copies of test pictures, which no arm may learn from, and put the arms together."""
        leaking: list[str] = []
        if self.test is None:
            own = self.pictures[self.pictures["split"] == "test"]
            self.groups = dict(zip(own["path"], own["group"].tolist(), strict=True))
        else:
            leaking = self._compare(self.test, workers, progress)
        self.arms = parts.make_arms(self.pictures, leaking)
        if self.settings.data.balance == "none":
            self.arms = [arm for arm in self.arms if arm.without != (parts.BALANCING,)]
        if leaking:
            self.notes.append(
                f"{counted(len(leaking), 'picture is a copy or look-alike', 'pictures are copies or look-alikes')} of test "
                "pictures: left out of every arm."
            )
        for note in self.notes:
            say(note)

    def _compare(self, test: Path, workers: int | None, progress: Progress) -> list[str]:
        """Group the test pictures, and find the paths of pictures that show the same as one of them.

        Where `curate` has compared the folder with this very one, its copies are out already, edited ones too.
        """
        train = self.pictures["split"] == "train"
        shown = LabelledPictures.open(test, sorted(set(self.pictures["label"][train])))
        against = self.workspace.origin("against")
        known = against is not None and against.settings.get("folder") == str(test.resolve())
        chosen = self.pictures[~self.pictures["split"].isin(("val", "test"))]
        paths = [] if known else chosen["path"].tolist()
        root = self.workspace.root
        items = [*shown.items, *(str(root / path_from_text(path)) for path in paths)]
        read = read_pictures(items, _LOOK, workers=workers, progress=progress)
        count = len(shown.items)
        of_test = read.index < count
        here = np.flatnonzero(of_test)
        group, _ = groups([read.contents[row] for row in here], read.hashes[here], read.hashed[here])
        self.groups = dict(zip((shown.paths[row] for row in read.index[here]), group.tolist(), strict=True))
        same = copies_of(read.contents, read.hashes, read.hashed, ~of_test, of_test)
        return [paths[row - count] for row in read.index[same].tolist()]

    def _cells(self) -> dict[str, dict[int, Cell]]:
        """By arm and seed; the random split is another one for each seed. Makes the arms' workspaces."""
        root, folder = self.workspace.root, self.out / "arms"
        tests = {"test": self._test(folder)}
        cells: dict[str, dict[int, Cell]] = {}
        for arm in self.arms:
            data = _data(arm.write(root, folder))
            cells[arm.name] = {
                seed: Cell(self._combination(arm, arm.name), seed, data, tests) for seed in self.seeds
            }
        held_out = parts.write_workspace(
            root, folder / "leak-proof-part.curate", parts.held_out(self.pictures, "val")
        )
        tests = tests | {"held": Data(held_out, self.workspace.digest("splits"))}
        self.random = {seed: parts.random_split(self.arms[-1], seed) for seed in self.seeds}
        cells[parts.RANDOM] = {}
        for seed, arm in self.random.items():
            data = _data(arm.write(root, folder))
            own = tests | {"own": Data(data.folder, data.digest)}
            cells[parts.RANDOM][seed] = Cell(self._combination(arm, parts.RANDOM), seed, data, own)
        return cells

    def _test(self, folder: Path) -> Data:
        if self.test is not None:
            return Data(self.test.resolve(), work.folder_digest(self.test))
        rows = parts.held_out(self.pictures, "test")
        place = parts.write_workspace(self.workspace.root, folder / "test-part.curate", rows)
        return Data(place, self.workspace.digest("splits"))

    def _combination(self, arm: Arm, name: str) -> Combination:
        settings = self.settings
        if not arm.balanced:
            settings = settings.replaced({"data": {"balance": "none"}}, arm.name)
        return Combination(name, {}, settings)

    # Training, and what it came to ----------------------------------------------------------------------------------

    def run(
        self, limit: float, jobs: int, isolate: bool, draw: Draw | None, say: Callable[[str], None]
    ) -> ImpactResult:
        """Everything that is not done yet, and the comparison."""
        self.draw = draw
        self.cells = self._cells()
        queue = [by_seed[seed] for seed in self.seeds for by_seed in self.cells.values()]
        self.runner = CellRunner(
            self.out / "cells",
            len(queue),
            minutes=limit,
            jobs=jobs,
            isolate=isolate,
            score=lambda result: f"macro-F1 {result['test']['macro_f1']:.3f}",
            say=say,
            ended=self._write,
        )
        self.runner.announce(queue)
        if self.settings.training.precision == "auto":
            say(
                "training.precision is auto, so arms may compute differently; name one for a fairer comparison."
            )
        if self.budget.minutes and not self.budget.pictures and jobs > 1:
            say("The budget is in minutes, and several trainings at once share the processors.")
        self.runner.run(queue)
        return ImpactResult(self.out, self._write())

    def _finished(self) -> dict[str, dict[int, results.Judged]]:
        """By arm and seed, what is finished, with its predictions."""
        found: dict[str, dict[int, results.Judged]] = {}
        for name, by_seed in self.cells.items():
            found[name] = {}
            for seed, cell in by_seed.items():
                result = self.runner.results.get(cell.key, {}).get(seed)
                if result is not None:
                    found[name][seed] = self._judged(cell, result)
        return found

    def _judged(self, cell: Cell, result: dict[str, Any]) -> results.Judged:
        """The finished cell with its predictions, which are read once."""
        known = self.judged.get((cell.key, cell.seed))
        if known is None or known.result != result:
            folder = cell.folder(self.out / "cells")
            tables = {
                test: results.read_predictions(work.predictions_of(folder, test)) for test in cell.tests
            }
            known = self.judged[cell.key, cell.seed] = results.Judged(result, tables)
        return known

    def _write(self) -> dict[str, Any]:
        """Compare what is finished, write it, and return it."""
        finished = self._finished()
        held_groups = dict(zip(self.pictures["path"], self.pictures["group"].tolist(), strict=True))
        content = {
            "name": path_to_text(self.workspace.path.name.removesuffix(".curate")),
            "workspace": path_to_text(str(self.workspace.path)),
            "test": path_to_text(str(self.test)) if self.test else "",
            "test_pictures": len(self.groups),
            "budget": dataclasses.asdict(self.budget) | {"words": str(self.budget)},
            "seeds": list(self.seeds),
            **results.summarise(self.arms, finished, self.groups),
            "inflation": results.inflation(
                finished[parts.RANDOM],
                self.random[0].pictures,
                {seed: _seen(arm.rows) for seed, arm in self.random.items()},
                self.groups,
                held_groups,
            ),
            "notes": self.notes,
            "failed": self.runner.failed,
            "left": self.runner.left,
        }
        content["sentences"] = results.sentences(content)
        files = {
            "impact.md": results.to_markdown(content),
            "impact.csv": results.to_csv(content),
            "impact.json": results.to_json(content),
        }
        if self.draw:
            files["impact.html"] = self.draw(content, *results.table(content))
        for name, text in files.items():
            write_whole(self.out / name, text.encode("utf-8", "backslashreplace"))
        return content


def _data(workspace: Path) -> Data:
    return Data(workspace, work.source_digest(find_source(workspace)))


def _seen(rows: pd.DataFrame) -> set[str]:
    """Paths of the pictures of the test part of which a copy, in any form, is learnt from or chosen by."""
    learnt = set(rows["group"][rows["split"] != "test"])
    test = rows[rows["split"] == "test"]
    return set(test["path"][test["group"].isin(learnt)])


def _number(name: str, value: int, low: int) -> int:
    if value < low:
        raise UserError(f"{name} is {value}.", f"Give {low} or more.")
    return value


def _checked(settings: Settings, budget: Budget) -> Settings:
    """The resolved settings with the budget. Raises UserError for those that are not the user's to choose here."""
    _number("pictures", budget.pictures, 0)
    if not budget.minutes > 0 and not budget.pictures:
        raise UserError(f"minutes is {budget.minutes:g}.", "Give more than 0, or a number of pictures.")
    usual = TrainingSettings()
    for key, option in {
        "minutes": "--minutes",
        "epochs": "--pictures",
        "pictures": "--pictures",
        "seed": "--seeds",
    }.items():
        value = getattr(settings.training, key)
        if value != getattr(usual, key):
            raise UserError(
                f"training.{key} is {value}, but all arms have the same budget and the same seeds.",
                f"Leave it away, and give {option}.",
            )
    if settings.data.raw or settings.data.extra:
        raise UserError(
            f"data.{'raw' if settings.data.raw else 'extra'} is set, but which pictures are learnt from is what differs here.",
            "Leave it away.",
        )
    models.check_name(settings.model.name)
    minutes = 0.0 if budget.pictures else budget.minutes
    chosen = {"minutes": minutes, "pictures": budget.pictures, "epochs": _EPOCHS}
    return settings.replaced({"training": chosen}, "impact").resolved()
