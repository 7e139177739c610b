"""The command that shows what a classifier goes by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from classify.cli.session import Session, Weights, Workers, shared


@shared
def explain_command(
    session: Session,
    weights: Weights,
    pictures: Annotated[
        list[str],
        typer.Argument(metavar="PICTURES", help="Files and folders; `-` reads their names, one a line."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the results go [default: explanation, beside WEIGHTS]."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A CSV file with the columns path and label [default: the name of a picture's folder].",
        ),
    ] = None,
    workers: Workers = None,
) -> None:
    """Draw what in each picture speaks for the predicted class, and for the true one."""
    from classify.explaining import explain, sentences
    from reports.saliency import saliency_sheet_png

    terminal = session.terminal
    given = [name for word in pictures for name in (terminal.names() if word == "-" else [word])]
    with terminal.progress("Explaining") as progress:
        result = explain(
            weights,
            given,
            out=out,
            labels=labels,
            draw=saliency_sheet_png,
            workers=workers,
            progress=progress,
        )
    terminal.result(**result.content, out=str(result.out))
    for sentence in sentences(result.content):
        terminal.say(sentence)
    names = ", ".join(sheet.name for sheet in result.sheets)
    terminal.say(f"Written to {result.out}: {names}, explain.json.")
    if faults := len(result.content["unreadable"]):
        terminal.warn(f"{faults} files cannot be read.")
