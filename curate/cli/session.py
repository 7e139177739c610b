"""What every command of `curate` is given: the options that all share, and the terminal to talk to."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reports.terminal import Terminal, command

if TYPE_CHECKING:
    import pandas as pd

    from curate.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class Session:
    """What every command is given: where to work, how, and the terminal to talk to."""

    terminal: Terminal
    folder: Path
    workspace: Path | None
    csv: Path | None
    json: bool
    quiet: bool
    yes: bool
    workers: int | None
    seed: int | None

    @contextlib.contextmanager
    def open(self) -> Iterator[Workspace]:
        """The folder's workspace, locked."""
        from curate.pipeline import session

        with session(self.folder, self.workspace) as workspace:
            yield workspace

    def update(
        self,
        workspace: Workspace,
        targets: Sequence[str],
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Run what the targets rest on and is stale.

        `settings` maps stages to their settings as the command line gives them; None is the default. A stage that is
        not in it keeps the settings of its last run.
        """
        from curate.pipeline import STAGES, Reporter, bring_up_to_date, recorded_settings

        chosen = {
            name: dataclasses.replace(
                STAGES[name].default_settings(), **{key: v for key, v in values.items() if v is not None}
            )
            for name, values in (settings or {}).items()
        }
        if self.seed is not None:
            for name in targets:
                base = chosen.get(name) or recorded_settings(workspace, STAGES[name])
                if hasattr(base, "seed"):
                    chosen[name] = dataclasses.replace(base, seed=self.seed)
        reporter = Reporter(stage=self.terminal.progress, say=self.terminal.say)
        bring_up_to_date(workspace, targets, chosen, workers=self.workers, reporter=reporter)

    def command(self, words: str) -> str:
        """A command for a person to go on with: `words`, where DIR stands for the folder, in this workspace."""
        from curate.display import addressed

        return addressed(words, str(self.folder), str(self.workspace or ""))

    def write_csv(self, frame: pd.DataFrame, *first: str) -> None:
        """The command's result for other tools, where `--csv` asks for it; the columns `first` stand first."""
        if self.csv is None:
            return
        write_table(frame[[*first, *(name for name in frame.columns if name not in first)]], self.csv)
        self.terminal.say(f"{len(frame):,} rows written to {self.csv}")


def write_table(frame: pd.DataFrame, file: str | os.PathLike[str]) -> None:
    """Write a table as CSV (UTF-8) for other tools, without its columns of bytes and vectors; all or nothing.

    Raises UserError where the place cannot be written.
    """
    import numpy as np

    from curate.errors import UserError

    odd = (bytes, list, np.ndarray)
    plain = [name for name in frame.columns if not any(isinstance(value, odd) for value in frame[name])]
    target = Path(file)
    if not target.name or target.is_dir():
        raise UserError(f"{target}: is a folder.", "Give the name of a file with --csv.")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        frame[plain].to_csv(temporary, index=False)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"{target}: cannot be written ({error.strerror or error}).", "Give another place with --csv."
        ) from error


def common(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of pictures, as a rule with class folders.")
    ],
    workspace: Annotated[
        Path | None,
        typer.Option(metavar="W", help="Where the tables live [default: DIR.curate, beside DIR]."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the result as CSV.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Worker processes [default: one a processor].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of what is drawn at random.")
    ] = None,
) -> None:
    """The options that all commands share."""


shared = command(common, Session)


def write_report(session: Session, workspace: Workspace) -> Path:
    """Write the report of a finished workspace; returns the page's path."""
    from importlib.metadata import version

    from curate.images import REASONS, read_rgb
    from curate.paths import path_from_text
    from curate.stages.eda import summarize
    from reports.page import ReportData, build_report

    problems = workspace.read("problems")
    problems["command"] = problems.command.map(session.command)
    shown = (
        "files",
        "duplicates",
        "pairs",
        "leaks",
        "similar",
        "share",
        "photos",
        "splits",
        "plan",
        "embeddings",
    )
    tables: dict[str, Any] = {name: workspace.read(name) for name in shown}
    data = ReportData(
        folder=str(session.folder),
        workspace=str(session.workspace or ""),
        summary=summarize(workspace),
        problems=problems,
        **tables,
        read=lambda path: read_rgb(workspace.root / path_from_text(path), at_least=128),
        reasons=REASONS,
        version=version("curate-classify"),
    )
    with session.terminal.progress("Writing the report") as progress:
        html, _ = build_report(data, workspace.path, progress)
    return html
