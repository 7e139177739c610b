"""The `classify` command: arguments in, calls out.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.errors import UserError
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

app = typer.Typer(
    name="classify",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Train a classifier on a folder of pictures, from scratch, and judge it honestly.",
)


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


class _Lines:
    """A line for the first epoch, the last, and one each fortieth of the budget between: a long run stays readable."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.next = 0.0

    def __call__(self, epoch: Epoch) -> None:
        if epoch.used >= self.next or epoch.used >= 1:
            self.terminal.say(str(epoch))
            self.next = epoch.used + 0.025


def _run_name(source: Path) -> str:
    """The usual name of a run: that of the folder or the file that it learns from."""
    name = source.resolve().name
    for ending in (".curate", ".csv", ".parquet"):
        name = name.removesuffix(ending)
    return name


@app.command("train")
@shared
def train_command(
    session: Session,
    source: Source,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Folder of the run [default: runs/NAME].")
    ] = None,
    settings: SettingsFile = None,
    set_: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    workers: Workers = None,
) -> None:
    """Train a network, from random weights unless told otherwise.

    Where `curate` has been at work, its split and weights are used; else a leak-proof split is made.
    """
    from classify.settings import read_settings
    from classify.training import train

    terminal = session.terminal
    run = out or Path("runs") / _run_name(source)
    chosen = read_settings(settings, set_ or [])
    with terminal.progress("Reading pictures") as progress:
        result = train(
            source,
            run,
            chosen,
            resume=resume,
            workers=workers,
            on_epoch=_Lines(terminal),
            say=terminal.say,
            progress=progress,
        )
    terminal.result(**dataclasses.asdict(result))
    if result.macro_f1 is not None:
        terminal.say(
            f"Kept: epoch {result.best_epoch} of {result.epochs}, macro-F1 {result.macro_f1:.3f} on the validation part: "
            "the latest within one standard error of the highest."
        )
    terminal.say(
        f"Saw {result.pictures:,} pictures in {result.seconds / 60:.1f} minutes; {result.waiting:.0%} of the steps' time "
        "went to choosing and augmenting them."
    )
    terminal.say(f"Weights: {result.best}")
    terminal.say(f"Next: classify evaluate TEST {result.best}")


@app.command("evaluate")
@shared
def evaluate_command(
    session: Session,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Class folders, or a data set's own files, with the test pictures."
        ),
    ],
    weights: Annotated[
        Path, typer.Argument(metavar="WEIGHTS", help="The weights file, e.g. RUN/best.safetensors.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the results go [default: evaluation, beside WEIGHTS]."),
    ] = None,
    workers: Workers = None,
) -> None:
    """Print scikit-learn's classification report of a test folder, and write predictions, metrics and confusion."""
    from classify.evaluation import evaluate
    from reports.confusion import confusion_matrix_png

    terminal = session.terminal
    with terminal.progress("Predicting") as progress:
        result = evaluate(
            folder,
            weights,
            out=out,
            draw=confusion_matrix_png,
            workers=workers,
            progress=progress,
            say=terminal.say,
        )
    terminal.result(**result.metrics)


class Format(StrEnum):
    """What `predict` prints."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


@app.command("predict")
@shared
def predict_command(
    session: Session,
    weights: Annotated[
        Path, typer.Argument(metavar="WEIGHTS", help="The weights file, e.g. RUN/best.safetensors.")
    ],
    pictures: Annotated[
        list[str],
        typer.Argument(metavar="PICTURES", help="Files and folders; `-` reads their names, one a line."),
    ],
    top: Annotated[int, typer.Option(metavar="K", min=1, help="How many classes are named for each.")] = 3,
    printed: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.table,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it to a file, as its ending says: .csv or .jsonl."),
    ] = None,
    workers: Workers = None,
) -> None:
    """Name the most probable classes of pictures."""
    from classify import answers
    from classify.weights import write_whole

    terminal = session.terminal
    writers = {"csv": answers.as_csv, "jsonl": answers.as_json_lines}
    if out is not None and out.suffix[1:] not in writers:
        raise UserError(f"{out}: ends neither in .csv nor in .jsonl.", "Give such a name with --out.")
    given = [name for word in pictures for name in (terminal.names() if word == "-" else [word])]
    with terminal.progress("Predicting") as progress:
        found = answers.answer(given, weights, top=top, workers=workers, progress=progress)
    terminal.result(pictures=answers.as_records(found))
    if out is not None:
        write_whole(out, writers[out.suffix[1:]](found).encode())
        terminal.say(f"Written: {out}, {len(found)} pictures.")
    elif printed is not Format.table:
        terminal.text(writers[printed.value](found))
    else:
        terminal.table(["picture", "class", "probability", "next"], answers.as_rows(found))
    if faults := int((found.fault != "").sum()):
        terminal.warn(f"{faults} of {len(found)} files cannot be read.")


@app.command("sweep")
@shared
def sweep_command(
    session: Session,
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, a TOML file: see docs/sweeps.md.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the sweep [default: sweeps/NAME].")
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Cells that run at once.")] = 1,
) -> None:
    """Train every combination of a plan with every seed, and compare.

    The same command goes on after a kill or a changed plan: what is finished is not run again.
    """
    from classify.comparison import FIGURES, table
    from classify.sweep import sweep
    from reports.sweep import sweep_page

    terminal = session.terminal
    result = sweep(plan, out, jobs=jobs, draw=sweep_page, say=terminal.say)
    content = result.content
    terminal.result(out=str(result.out), **content)
    if content["rows"]:
        columns, cells = table(content["rows"], content["compare"])
        terminal.table(columns[:FIGURES], [row[:FIGURES] for row in cells])
        terminal.table(
            [columns[0], *columns[FIGURES:]], [[row[0], *row[FIGURES:]] for row in cells], title="Of one cell"
        )
    for sentence in content["sentences"]:
        terminal.say(sentence)
    terminal.say(f"Results: {result.out / 'sweep.html'}")
    if content["failed"]:
        if session.json:
            terminal.finish()
            raise SystemExit(2)
        first = content["failed"][0]
        raise UserError(
            f"{len(content['failed'])} cells failed; the first, {first['name']}, seed {first['seed']}: {first['reason']}",
            "The same command tries them again; the others are finished.",
        )


@app.command("models")
@shared
def models_command(session: Session) -> None:
    """List the networks: name, what it is, number of weights at 64 px and 10 classes."""
    from classify.models import overview

    rows = overview(classes=10, size=64)
    session.terminal.result(models=[dataclasses.asdict(row) for row in rows])
    session.terminal.table(
        ["name", "what it is", "weights, 64 px, 10 classes"],
        [(row.name, row.about, row.weights) for row in rows],
    )
    session.terminal.say(
        "Take one with --set model.name=NAME; --set model.width=N makes it narrower or wider."
    )
    session.terminal.say(
        "Also, as published elsewhere: lite0, timm:NAME and hf:FOLDER_OR_ID, see docs/transfer.md."
    )


@app.command("settings")
@shared
def settings_command(session: Session, settings: SettingsFile = None, set_: Overrides = None) -> None:
    """Print all settings of training with their meaning, as TOML: what --settings and --set take."""
    from classify.settings import read_settings

    chosen = read_settings(settings, set_ or []).resolved()
    session.terminal.result(**chosen.to_dict())
    session.terminal.say(chosen.to_toml().rstrip())


@app.command("augmentations")
@shared
def augmentations_command(
    session: Session,
    source: Source,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The sheet, a PNG.")] = Path("augmentations.png"),
    settings: SettingsFile = None,
    set_: Overrides = None,
) -> None:
    """Draw what each augmentation does to pictures of your own, as a sheet to look at before training."""
    from classify.augmentations import augmentations
    from classify.settings import read_settings
    from reports.sheets import labelled_rows_png

    shown = augmentations(source, out, read_settings(settings, set_ or []), draw=labelled_rows_png)
    rows = [row.name for below in shown.rows.values() for row in below]
    session.terminal.result(file=out, rows=rows, pictures=shown.paths)
    session.terminal.say(f"Written: {out}, {len(rows)} rows of {len(shown.paths)} pictures.")


@app.command("verify")
@shared
def verify_command(
    session: Session,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that has ended.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where its pictures are [default: where they were].")
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Also train it anew and compare the weights byte for byte.")
    ] = False,
    workers: Workers = None,
) -> None:
    """Check a run against its record.

    That its first weights were random, and that pictures, settings and weights are those recorded. Exit code 4 where a
    check fails.
    """
    from classify.verification import BAD, verify
    from curate.errors import Refused

    terminal = session.terminal
    with terminal.progress("Reading pictures") as progress:
        result = verify(
            run,
            data,
            retrain=retrain,
            workers=workers,
            on_check=lambda check: terminal.say(str(check), style="red" if check.outcome == BAD else None),
            on_epoch=_Lines(terminal),
            progress=progress,
        )
    terminal.result(**dataclasses.asdict(result), verified=not result.bad)
    if result.bad:
        raise Refused(
            f"{run}: {len(result.bad)} of {len(result.checks)} checks failed: {', '.join(result.bad)}.",
            "docs/provenance.md says what each check shows.",
        )


def main() -> None:
    """The console script `classify`."""
    app()


if __name__ == "__main__":
    main()
