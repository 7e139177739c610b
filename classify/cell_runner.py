"""Run cells, several at once, as long as a time budget lasts; what is finished already is not run again."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from classify import cells as work
from classify.cells import Cell
from curate.engine import default_workers

_POLL = 0.1
"""Seconds between two looks at the running cells."""


class CellRunner:
    """What runs the cells of a sweep, or of another comparison, and knows what became of each.

    Parameters
    ----------
    cells : folder of the cells' folders.
    total : cells that are expected in all, for what is said.
    minutes : time from now in which cells may begin; 0: no limit.
    jobs : cells that run at once, each in a process of its own with its share of the processors.
    isolate : without it cells run in this process, one after the other.
    score : a finished cell's result in a few words.
    say : is given a line for each cell that ends.
    ended : is called after each.

    `results` maps the key of a cell to its results by seed; `failed` are those without one, with the reason; `left` those
    for which the time did not last.
    """

    def __init__(
        self,
        cells: Path,
        total: int,
        *,
        minutes: float,
        jobs: int,
        isolate: bool,
        score: Callable[[dict[str, Any]], str],
        say: Callable[[str], None],
        ended: Callable[[], object],
    ) -> None:
        if jobs < 1 or (jobs > 1 and not isolate):
            raise ValueError(f"jobs: {jobs}, isolate: {isolate}")
        self.cells = cells
        self.total = total
        self.jobs = jobs
        self.isolate = isolate
        self.score = score
        self.say = say
        self.ended = ended
        self.results: dict[str, dict[int, dict[str, Any]]] = {}
        self.failed: list[dict[str, Any]] = []
        self.left: list[dict[str, Any]] = []
        self.done = 0
        self.deadline = time.monotonic() + (60 * minutes or math.inf)
        self._spent: list[float] = []

    @property
    def over(self) -> bool:
        """Whether the time is used up."""
        return bool(self.left) or time.monotonic() >= self.deadline

    def announce(self, cells: Sequence[Cell]) -> None:
        """Say how many trainings there are, how many of these `cells` are finished already, and what to expect."""
        finished = sum(cell.result(self.cells) is not None for cell in cells)
        already = f", {finished} of them finished already" if finished else ""
        self.say(
            f"{self.total} trainings{already}. Each has a line when it ends; after a stop the same command goes on."
        )

    def run(self, cells: Sequence[Cell]) -> None:
        """Run those of the cells that are not finished."""
        waiting = []
        for cell in cells:
            result = cell.result(self.cells)
            if result is None:
                waiting.append(cell)
            else:
                self.results.setdefault(cell.key, {})[cell.seed] = result
                self.done += 1
        running: list[tuple[Cell, subprocess.Popen[bytes] | None, float]] = []
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs and time.monotonic() < self.deadline:
                    cell = waiting.pop(0)
                    begun = time.monotonic()
                    running.append((cell, self._begin(cell), begun))
                if not running:
                    break
                ended = [one for one in running if one[1] is None or one[1].poll() is not None]
                running = [one for one in running if one not in ended]
                for cell, process, begun in ended:
                    self._spent.append(time.monotonic() - begun)
                    self._end(cell, process)
                if not ended:
                    time.sleep(_POLL)
        finally:
            for _, process, _ in running:
                if process:
                    work.stop(process)
        self.left += [{"name": cell.combination.name, "seed": cell.seed} for cell in waiting]

    def _begin(self, cell: Cell) -> subprocess.Popen[bytes] | None:
        share = max(1, default_workers() // self.jobs) if self.jobs > 1 else None
        folder = cell.prepare(self.cells, share)
        if self.isolate:
            return work.start(folder, share)
        work.work(folder)
        return None

    def _end(self, cell: Cell, process: subprocess.Popen[bytes] | None) -> None:
        """Take note of a cell that has ended, and say so."""
        self.done += 1
        if process and process.stdin:
            process.stdin.close()
        name, result = f"{cell.combination.name}, seed {cell.seed}", cell.result(self.cells)
        if result is None:
            reason = work.reason_of(cell.folder(self.cells), process.returncode if process else None)
            self.failed.append({"name": cell.combination.name, "seed": cell.seed, "reason": reason})
            self.say(f"{self.done}/{self.total}  {name}: failed: {reason}")
        else:
            self.results.setdefault(cell.key, {})[cell.seed] = result
            self.say(
                f"{self.done}/{self.total}  {name}: {self.score(result)}, {result['seconds']:.0f} s{self._time_left()}"
            )
        self.ended()

    def _time_left(self) -> str:
        if self.done >= self.total:
            return ""
        left = sum(self._spent) / len(self._spent) * (self.total - self.done) / self.jobs
        return f", about {max(0.0, min(left, self.deadline - time.monotonic())) / 60:.1f} min left"
