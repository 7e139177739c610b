"""The command that compares two classifiers."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from classify.cli.session import Session, shared

_EVALUATION = "A folder that `classify evaluate` wrote, or its predictions.parquet."


@shared
def compare_command(
    session: Session,
    a: Annotated[Path, typer.Argument(metavar="A", help=_EVALUATION)],
    b: Annotated[Path, typer.Argument(metavar="B", help="The same, of the other classifier.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the results go [default: comparison, beside B's predictions]."
        ),
    ] = None,
) -> None:
    """Say whether B is better than A on the same test pictures, or whether the difference is noise."""
    from classify.evaluation.comparing import class_rows, compare, overall_rows
    from reports.comparison import comparison_page

    terminal = session.terminal
    result = compare(a, b, out=out, page=comparison_page)
    terminal.result(**result.figures, sentences=result.sentences, out=str(result.out))
    terminal.table(["", "A", "B", "B - A", "95 % interval"], overall_rows(result.figures))
    terminal.table(
        ["class", "pictures", "F1 of A", "F1 of B", "B - A", "95 % interval", "p, Holm"],
        class_rows(result.figures),
        title="The classes with the largest differences",
    )
    for sentence in result.sentences:
        terminal.say(sentence)
    terminal.say(f"Page: {result.out / 'comparison.html'}; pictures that changed: {result.out / 'flips.csv'}")
    terminal.say(f"Next: classify errors {shlex.quote(str(b.parent if b.is_file() else b))}")
