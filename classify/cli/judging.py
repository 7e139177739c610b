"""The commands that use a weights file: its judgement, and judgement of it."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from classify.cli.session import Session, Weights, Workers, shared
from curate.errors import UserError


@shared
def evaluate_command(
    session: Session,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Class folders, or a data set's own files, with the test pictures."
        ),
    ],
    weights: Weights,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the results go [default: evaluation, beside WEIGHTS]."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="Path and label of FOLDER's pictures, where it has no class folders."
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Which folder is which class, where they are called otherwise."),
    ] = None,
    leaks: Annotated[
        bool, typer.Option("--leaks/--no-leaks", help="Look for test pictures that are in the training set.")
    ] = True,
    workers: Workers = None,
) -> None:
    """Print scikit-learn's classification report of a test folder, and write predictions, metrics and confusion."""
    from classify.evaluation import evaluate
    from reports.confusion import confusion_matrix_png
    from reports.evaluation import evaluation_page

    terminal = session.terminal
    with terminal.progress("Predicting") as progress:
        result = evaluate(
            folder,
            weights,
            out=out,
            labels=labels,
            classes=classes,
            draw=confusion_matrix_png,
            page=evaluation_page,
            leaks=leaks,
            workers=workers,
            progress=progress,
            say=terminal.say,
        )
    terminal.say(f"Next: classify errors {shlex.quote(str(result.out))}")
    terminal.result(**result.metrics)


class Format(StrEnum):
    """What `predict` prints."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


@shared
def predict_command(
    session: Session,
    weights: Weights,
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
