"""Experiments by plan: train each combination with each seed, go on after a kill, and compare.

The plan is `classify.plan`'s, a cell `classify.cells`'s, the figures `classify.sweep_results`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classify import cells as work
from classify import sweep_results
from classify.cell_runner import CellRunner
from classify.cells import Cell, Data
from classify.data.sources import find_source
from classify.plan import Combination, Plan, read_plan, value_of
from classify.runs import held, see_apart
from classify.search import Proposals
from classify.weights import write_whole
from curate.errors import UserError
from curate.paths import path_to_text

Draw = Callable[[Mapping[str, Any], Sequence[str], Sequence[Sequence[str]]], str]


@dataclass(frozen=True)
class SweepResult:
    """Where it all lies, and what `results.json` holds: rows (the best first), sentences, and the cells that `failed`
    (with the reason) or were `left`.
    """

    out: Path
    content: dict[str, Any]


def sweep(
    plan: str | Path,
    out: str | Path | None = None,
    *,
    jobs: int = 1,
    isolate: bool = True,
    draw: Draw | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> SweepResult:
    """Run the plan in the TOML file `plan` in the folder `out` (by default `sweeps/NAME`), or go on with it.

    `jobs` cells run at once, each in a process of its own with its share of the processors; without `isolate` they
    run in this process, one after the other. Cells that are finished are not run again, half-done ones are resumed.
    Writes results.md, results.csv, results.json, and with `draw` (results, and their table's columns and rows, to HTML) sweep.html, after each cell.
    A cell that fails is named in the result with its reason; the others go on. Raises UserError for a plan that will
    not do, before anything runs, and Locked where another sweep is at work in `out`.
    """
    checked = read_plan(plan)
    place = Path(out) if out is not None else Path("sweeps") / checked.path.stem
    run = _Sweep(checked, place, jobs, isolate, draw, say)
    with held(place, "sweep"):
        return run.run()


class _Sweep:
    """One session of a sweep. What does not depend on the folder is checked when it is made."""

    def __init__(
        self, plan: Plan, out: Path, jobs: int, isolate: bool, draw: Draw | None, say: Callable[[str], None]
    ) -> None:
        self.plan = plan
        self.out = out
        self.jobs = jobs
        self.draw = draw
        self.say = say
        self._data: dict[tuple[bool, tuple[str, ...]], Data] = {}
        self.combinations = plan.combinations()
        """The baseline first; a search adds to them."""
        for folder in (plan.train, plan.test):
            see_apart(out, folder)
        self.tests = {"test": Data(plan.test.resolve(), work.folder_digest(plan.test))} if plan.test else {}
        _check_models(plan, self.combinations)
        for combination in self.combinations:
            self._train_data(combination)
        self.proposals = Proposals(plan) if plan.search else None
        trials = plan.search.trials if plan.search else 0
        self.untried = 0
        self.passed_over: list[str] = []
        """Sentences on proposals whose settings do not go together."""
        self.runner = CellRunner(
            out / "cells",
            (len(self.combinations) + trials) * len(plan.seeds),
            minutes=plan.minutes,
            jobs=jobs,
            isolate=isolate,
            score=lambda result: f"{sweep_results.WORDS[plan.compare]} {result[plan.compare]:.3f}",
            say=say,
            ended=self._write,
        )

    def run(self) -> SweepResult:
        """Everything that is not done yet, and the comparison."""
        cells = self._cells(self.combinations)
        self.runner.announce(cells)
        training = self.plan.base.training
        if training.precision == "auto":
            self.say(
                "training.precision is auto, so cells may compute differently; name one for a fairer comparison."
            )
        if training.minutes and self.jobs > 1:
            self.say("training.minutes counts time, and several cells at once share the processors.")
        self.runner.run(cells)
        if self.proposals and self.plan.search:
            self._search(self.proposals, self.plan.search.trials)
        return SweepResult(self.out, self._write())

    def _search(self, proposals: Proposals, trials: int) -> None:
        """Try what the sampler proposes, each in the light of all before."""
        for number in range(trials):
            if self.runner.over:
                self.untried = trials - number
                break
            try:
                combination = proposals.ask()
                cells = self._cells([combination])
            except (
                UserError
            ) as error:  # settings that are right one by one, but not together, or data that cannot be read
                self.passed_over.append(f"Trial {number + 1} was passed over: {error.message}")
                self.say(self.passed_over[-1])
                proposals.tell(None)
                continue
            if all(combination.settings != known.settings for known in self.combinations):
                self.combinations.append(combination)
            self.runner.run(cells)
            found = self.runner.results.get(cells[0].key, {})
            values = [found[seed][self.plan.compare] for seed in self.plan.seeds if seed in found]
            proposals.tell(sum(values) / len(values) if len(values) == len(self.plan.seeds) else None)

    # Cells --------------------------------------------------------------------------------------------------------

    def _train_data(self, combination: Combination) -> Data:
        data = combination.settings.data
        asked = (data.raw, data.extra)
        if asked not in self._data:
            source = find_source(self.plan.train, *asked)
            if source.splits is not None and "val" not in source.splits:
                raise UserError(
                    f"{self.plan.train}: its validation part is empty, so nothing can be compared.",
                    f"Split it anew with `curate split {source.root} --val 0.1`.",
                )
            self._data[asked] = Data(self.plan.train.resolve(), work.source_digest(source))
        return self._data[asked]

    def _cells(self, combinations: Sequence[Combination]) -> list[Cell]:
        """Seed by seed, so that a budget that ends leaves combinations that can be compared."""
        return [
            Cell(combination, seed, self._train_data(combination), self.tests)
            for seed in self.plan.seeds
            for combination in combinations
        ]

    # Results ------------------------------------------------------------------------------------------------------

    def _write(self) -> dict[str, Any]:
        """Compare what is finished, write it, and return it."""
        measure = self.plan.compare
        found = [self.runner.results.get(cell.key, {}) for cell in self._first_cells()]
        changes = [{key: value_of(one.settings, key) for key in self.plan.keys} for one in self.combinations]
        rows = sweep_results.summarise([one.name for one in self.combinations], changes, found, measure)
        content = {
            "name": path_to_text(self.plan.path.stem),
            "plan": path_to_text(str(self.plan.path)),
            "compare": measure,
            "baseline": self.combinations[0].name,
            "keys": self.plan.keys,
            "seeds": list(self.plan.seeds),
            "rows": rows,
            "sentences": sweep_results.sentences(rows, measure)
            + self.passed_over
            + self._over()
            + self._notes(found),
            "failed": self.runner.failed,
            "left": self.runner.left,
        }
        files = {
            "results.md": sweep_results.to_markdown(content),
            "results.csv": sweep_results.to_csv(content),
            "results.json": sweep_results.to_json(content),
        }
        if self.draw:
            files["sweep.html"] = self.draw(content, *sweep_results.table(rows, measure))
        for name, text in files.items():
            write_whole(self.out / name, text.encode("utf-8", "backslashreplace"))
        return content

    def _over(self) -> list[str]:
        """What the time budget left."""
        what = [f"{len(self.runner.left)} cells"] if self.runner.left else []
        what += [f"{self.untried} trials"] if self.untried else []
        if not what:
            return []
        return [
            f"Not begun, as the {self.plan.minutes:g} minutes were used: {' and '.join(what)}. "
            "The same command goes on with them."
        ]

    def _notes(self, found: Sequence[Mapping[int, Mapping[str, Any]]]) -> list[str]:
        """What the first finished cell was told of the pictures: of the others it is the same, but for the seed."""
        for results in found:
            for seed in self.plan.seeds:
                if seed in results:
                    return list(results[seed].get("notes", []))
        return []

    def _first_cells(self) -> list[Cell]:
        """A cell of each combination: its key finds the results."""
        seed = self.plan.seeds[0]
        return [Cell(one, seed, self._train_data(one), self.tests) for one in self.combinations]


def _check_models(plan: Plan, combinations: Sequence[Combination]) -> None:
    from classify import models

    asked = {combination.settings.model.name for combination in combinations}
    if plan.search and "model.name" in plan.search.ranges:
        asked.update(plan.search.ranges["model.name"].choices)
    for name in sorted(asked):
        models.check_name(name, str(plan.path))
