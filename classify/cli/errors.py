"""The commands that look for mistakes: those of a classifier, and those in the labels that it learns from."""

from __future__ import annotations

import shlex
from enum import StrEnum
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

_LISTED = 20
"""Rows of a table on the terminal; the file has all."""


@shared
def errors_command(
    session: Session,
    evaluation: Annotated[
        Path, typer.Argument(metavar="EVALUATION", help="The folder that `classify evaluate` wrote.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the results go [default: EVALUATION].")
    ] = None,
    looked: Annotated[
        bool, typer.Option("--saliency/--no-saliency", help="Show where the network looked (Grad-CAM).")
    ] = True,
) -> None:
    """List every picture that an evaluation found wrong, the worst first, and show them on a page."""
    from classify.errors import find_errors
    from classify.saliency import looker
    from reports.groups import errors_page

    terminal = session.terminal
    with terminal.progress("Reading pictures") as progress:
        found = find_errors(
            evaluation,
            out,
            saliency=looker if looked else None,
            draw=errors_page,
            progress=progress,
            say=terminal.say,
        )
    terminal.result(errors=found.table.to_dict("records"), out=found.out)
    if len(found.table):
        worst = found.table.nlargest(_LISTED, "margin", keep="all")[:_LISTED]
        terminal.table(
            ["picture", "label", "taken for", "confidence", "of the label"],
            [
                (row.path, row.label, row.prediction, row.confidence, row.p_label)
                for row in worst.itertuples()
            ],
        )
    terminal.say(f"Page: {found.out / 'errors.html'}; table, by class: {found.out / 'errors.csv'}")
    terminal.say("Next: classify label-errors SOURCE, the same question of the labels that were learnt from")


class Method(StrEnum):
    """What judges the labels."""

    embeddings = "embeddings"
    training = "training"


@shared
def label_errors_command(
    session: Session,
    source: Source,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the results go [default: label-errors/NAME].")
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            "--with",
            help="embeddings: the built-in encoder's, minutes; training: a network from scratch for each fold.",
        ),
    ] = Method.embeddings,
    folds: Annotated[
        int, typer.Option(metavar="K", min=2, help="Parts that are judged by what learns from the others.")
    ] = 5,
    minutes: Annotated[
        float | None,
        typer.Option(
            metavar="M", help="With --with training: for all folds together [default: training.minutes]."
        ),
    ] = None,
    settings: SettingsFile = None,
    set_: Overrides = None,
    workers: Workers = None,
) -> None:
    """Look for wrong labels in a training set, and write suggestions that you take or refuse.

    Nothing is changed. Fill in the column verdict of label_errors.csv (take, ok, label:CLASS, no-class) and hand it to
    `curate verdict DIR --from label_errors.csv`; what was decided is not suggested again.
    """
    from classify.label_errors import find_label_errors
    from classify.settings import read_settings
    from reports.groups import label_errors_page

    terminal = session.terminal
    with terminal.progress("Reading pictures") as progress:
        found = find_label_errors(
            source,
            out or Path("label-errors") / usual_name(source),
            method=method.value,
            folds=folds,
            minutes=minutes,
            settings=read_settings(settings, set_ or []),
            draw=label_errors_page,
            workers=workers,
            on_epoch=EpochLines(terminal),
            say=terminal.say,
            progress=progress,
        )
    terminal.result(**found.report, out=found.out)
    for sentence in found.sentences:
        terminal.say(sentence)
    if found.cut:
        terminal.table(
            ["picture", "label", "looks like", "chance of being wrong"],
            [
                (row.path, row.label, row.suggested, row.score)
                for row in found.suspects[: min(found.cut, _LISTED)].itertuples()
            ],
        )
    terminal.say(f"Page: {found.out / 'label_errors.html'}; table: {found.out / 'label_errors.csv'}")
    if found.cut and found.folder is not None:
        terminal.say(
            f"Next: fill in its column verdict (take, ok, label:CLASS or no-class), then "
            f"curate verdict {shlex.quote(str(found.folder))} --from {shlex.quote(str(found.out / 'label_errors.csv'))}"
        )
