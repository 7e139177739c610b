"""What every command is given, and the arguments that several of them take."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reports.terminal import Terminal, command

if TYPE_CHECKING:
    from classify.history import Epoch

Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Processes that decode [default: one a processor]."),
]
Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="Class folders, a curate workspace, a CSV file, or a data set's own files: see docs/data.md.",
    ),
]
SettingsFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings, a TOML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting, e.g. training.minutes=15; `classify settings` lists them.",
    ),
]
Weights = Annotated[
    Path, typer.Argument(metavar="WEIGHTS", help="The weights file, e.g. RUN/best.safetensors.")
]


@dataclasses.dataclass(frozen=True)
class Session:
    """What every command is given: the terminal to talk to."""

    terminal: Terminal
    json: bool
    quiet: bool


def common(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """The options that all commands share."""


shared = command(common, Session)


def usual_name(source: Path) -> str:
    """The usual name of results: that of the folder or the file that was learnt from."""
    name = source.resolve().name
    for ending in (".curate", ".csv", ".parquet"):
        name = name.removesuffix(ending)
    return name


class EpochLines:
    """A line for the first epoch, the last, and one each fortieth of the budget between: a long run stays readable."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.next = 0.0

    def __call__(self, epoch: Epoch) -> None:
        """Print the epoch where its turn has come."""
        if epoch.used >= self.next or epoch.used >= 1:
            self.terminal.say(str(epoch))
            self.next = epoch.used + 0.025
