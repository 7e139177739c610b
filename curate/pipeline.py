"""The stages in order: what each reads and writes, which are stale, and running just those.

A stage is a function from tables to tables: `run(context, settings) -> {table name: frame}`. It never calls another
stage; what it needs it reads from the workspace. This module alone knows the order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.engine import Progress, silent
from curate.errors import UserError
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class Context:
    """What a stage is given besides its settings: the workspace to read from, and how to work and to tell.

    `workers` is the number of worker processes (None: one a processor); `progress` is called with (done, total);
    `say` with a sentence that the user should see.
    """

    workspace: Workspace
    workers: int | None = None
    progress: Progress = silent
    say: Callable[[str], None] = lambda text: None

    def read(self, table: str) -> pd.DataFrame:
        """A table of the workspace."""
        return self.workspace.read(table)


Run = Callable[[Context, Any], dict[str, "pd.DataFrame"]]


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage: where its function and settings class live (imported when used), and its tables.

    `always` runs it each time it is asked for (scan: only the walk knows whether files changed).
    """

    name: str
    module: str
    function: str
    settings: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    doing: str
    always: bool = False

    def default_settings(self) -> Any:
        """The settings dataclass with its defaults."""
        return getattr(importlib.import_module(self.module), self.settings)()

    def load(self) -> Run:
        """The stage's function."""
        run: Run = getattr(importlib.import_module(self.module), self.function)
        return run

    def version(self) -> int:
        """The version of the stage's algorithm, `VERSION` in its module: another one makes its tables stale."""
        return int(getattr(importlib.import_module(self.module), "VERSION", 1))


STAGES = {
    stage.name: stage
    for stage in (
        Stage("scan", "curate.stages.scan", "run", "ScanSettings", (), ("files",), "Reading files", always=True),
        Stage("against", "curate.stages.against", "run", "AgainstSettings", ("files",), ("against",), "Reading the other folder", always=True),
        Stage("compare", "curate.duplicates.compare", "run", "CompareSettings", ("files", "against"), ("fingerprints", "cases", "planted", "judged"), "Comparing pictures"),
        Stage("dedup", "curate.duplicates.dedup", "run", "DedupSettings", ("files", "against", "fingerprints", "cases", "planted", "judged", "verdicts"), ("pairs", "error", "leaks", "duplicates"), "Looking for duplicates"),
        Stage("filter-photos", "curate.photos", "run", "PhotoSettings", ("files", "verdicts"), ("embeddings", "share", "photos"), "Looking for photographs"),
        Stage("similar", "curate.stages.similar", "run", "SimilarSettings", ("files", "pairs", "embeddings"), ("similar",), "Looking for similar pictures"),
        Stage("split", "curate.stages.split", "run", "SplitSettings", ("files", "pairs", "leaks", "duplicates", "photos", "verdicts"), ("splits",), "Splitting"),
        Stage("balance", "curate.stages.balance", "run", "BalanceSettings", ("splits",), ("balance",), "Balancing"),
        Stage("plan", "curate.stages.plan", "run", "PlanSettings", ("files", "leaks", "duplicates", "photos", "verdicts"), ("plan",), "Planning"),
        Stage("eda", "curate.stages.eda", "run", "EdaSettings", ("files", "duplicates", "photos", "splits", "balance", "plan"), ("problems",), "Looking for problems"),
    )
}  # fmt: skip
"""Every stage, in the order in which `curate run` takes them."""


@dataclasses.dataclass(frozen=True)
class Reporter:
    """How a run tells what it does: `stage` opens a progress display for a stage's words and yields its callback."""

    stage: Callable[[str], contextlib.AbstractContextManager[Progress]]
    say: Callable[[str], None]


@contextlib.contextmanager
def _mute(doing: str) -> Iterator[Progress]:
    yield silent


QUIET = Reporter(stage=_mute, say=lambda text: None)


def needed(target: str) -> list[str]:
    """Names of the stages that `target` rests on, in order, `target` last."""
    wanted = {target}
    for name in reversed(STAGES):
        if name in wanted:
            wanted |= {
                maker for maker, stage in STAGES.items() if set(stage.outputs) & set(STAGES[name].inputs)
            }
    return [name for name in STAGES if name in wanted]


def is_fresh(workspace: Workspace, stage: Stage, settings: Any) -> bool:
    """Whether all tables of a stage were made with these settings, from today's inputs, by today's algorithm."""
    inputs = {name: workspace.digest(name) for name in stage.inputs}
    asked = json.loads(json.dumps(dataclasses.asdict(settings)))
    for name in stage.outputs:
        origin = workspace.origin(name)
        if origin is None or origin.version != stage.version():
            return False
        if origin.settings != asked or origin.inputs != inputs:
            return False
    return True


def recorded_settings(workspace: Workspace, stage: Stage) -> Any:
    """The settings that the stage last ran with in this workspace; the defaults where it never did, or they changed."""
    default = stage.default_settings()
    origin = workspace.origin(stage.outputs[-1])
    if origin is None or set(origin.settings) != {field.name for field in dataclasses.fields(default)}:
        return default
    return type(default)(**origin.settings)


def bring_up_to_date(
    workspace: Workspace,
    targets: Sequence[str],
    settings: Mapping[str, Any] | None = None,
    *,
    workers: int | None = None,
    reporter: Reporter = QUIET,
) -> list[str]:
    """Run the stages that the targets rest on and that are stale, in order; returns the names of those that ran.

    `settings` maps a stage's name to its settings; a stage that is not in it keeps those of its last run. The
    workspace must be locked by the caller.
    """
    asked = dict(settings or {})
    ran = []
    order = {name for target in targets for name in needed(target)}
    for name in [name for name in STAGES if name in order]:
        stage = STAGES[name]
        chosen = asked.get(name) or recorded_settings(workspace, stage)
        if not stage.always and is_fresh(workspace, stage, chosen):
            continue
        with reporter.stage(stage.doing) as progress:
            context = Context(workspace, workers, progress, reporter.say)
            tables = stage.load()(context, chosen)
        _write(workspace, stage, chosen, tables)
        ran.append(name)
    return ran


def _write(workspace: Workspace, stage: Stage, settings: Any, tables: Mapping[str, pd.DataFrame]) -> None:
    inputs = {name: workspace.digest(name) for name in stage.inputs}
    for name in stage.outputs:  # the last output is written last: it tells which settings were used
        workspace.write(
            name, tables[name], settings=dataclasses.asdict(settings), inputs=inputs, version=stage.version()
        )


def staleness(workspace: Workspace) -> dict[str, str]:
    """For each stage `done`, `stale` or `not run`. Scan counts as done where its table is there: only a walk can tell."""
    states = {}
    for name, stage in STAGES.items():
        if not all(workspace.has(table) for table in stage.outputs):
            states[name] = "not run"
        elif stage.always or is_fresh(workspace, stage, recorded_settings(workspace, stage)):
            states[name] = "done"
        else:
            states[name] = "stale"
    return states


@contextlib.contextmanager
def session(root: str | Path, path: str | Path | None = None) -> Iterator[Workspace]:
    """The workspace of a folder, locked. One that was made for nothing (the folder holds no picture) is gone again."""
    workspace = Workspace.open(root, path)
    with workspace.lock():
        try:
            yield workspace
        except UserError:
            # While it is held: another that came in between has not begun.
            if workspace.made and {entry.name for entry in workspace.path.iterdir()} <= {
                "workspace.json",
                ".lock",
            }:
                shutil.rmtree(workspace.path, ignore_errors=True)
            raise
