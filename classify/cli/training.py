"""The commands that learn, and that prepare or check learning."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import typer

from classify.cli.session import (
    EpochLines,
    Overrides,
    Session,
    SettingsFile,
    Source,
    Workers,
    shared,
    usual_name,
)
from curate.errors import UserError


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

    Where `curate` has been at work, its split and weights are used; else the set's own validation part; else one is held out
    that keeps copies on one side.
    """
    from classify.distributed import speaks
    from classify.settings import read_settings
    from classify.training import train

    terminal = session.terminal
    run = out or Path("runs") / usual_name(source)
    terminal.again = "The same command with --resume goes on after the last epoch that was saved."
    if not speaks():
        terminal.quiet, terminal.json = True, False
    # On resuming, none is not the defaults: those of the run hold.
    chosen = read_settings(settings, set_ or []) if settings or set_ or not resume else None
    with terminal.progress("Reading pictures") as progress:
        result = train(
            source,
            run,
            chosen,
            resume=resume,
            workers=workers,
            on_epoch=EpochLines(terminal),
            say=terminal.say,
            progress=progress,
        )
    terminal.result(**dataclasses.asdict(result))
    if result.macro_f1 is not None:
        terminal.say(
            f"Kept: epoch {result.best_epoch} of {result.epochs}, macro-F1 {result.macro_f1:.3f} on the validation part: "
            f"the latest whose mean of five epochs is within one standard error of the highest such mean, {result.highest:.3f}."
        )
    terminal.say(
        f"Saw {result.pictures:,} pictures in {result.seconds / 60:.1f} minutes; {result.waiting:.0%} of the steps' time "
        "went to choosing and augmenting them."
    )
    terminal.say(f"Weights: {result.best}")
    terminal.say(f"Next: classify evaluate {shlex.quote(result.test or 'TEST')} {shlex.quote(result.best)}")


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
    from classify.sweep import sweep
    from classify.sweep_results import FIGURES, table
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


@shared
def settings_command(session: Session, settings: SettingsFile = None, set_: Overrides = None) -> None:
    """Print all settings of training with their meaning, as TOML: what --settings and --set take."""
    from classify.settings import read_settings

    chosen = read_settings(settings, set_ or []).resolved()
    session.terminal.result(**chosen.to_dict())
    session.terminal.say(chosen.to_toml().rstrip())


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
            on_epoch=EpochLines(terminal),
            progress=progress,
        )
    terminal.result(**dataclasses.asdict(result), verified=not result.bad)
    if result.bad:
        raise Refused(
            f"{run}: {len(result.bad)} of {len(result.checks)} checks failed: {', '.join(result.bad)}.",
            "docs/provenance.md says what each check shows.",
        )
