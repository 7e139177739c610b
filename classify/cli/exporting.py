"""The command that hands a trained classifier on: as ONNX, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from classify.cli.session import Session, Weights, shared
from curate.errors import UserError


@shared
def export_command(
    session: Session,
    weights: Weights,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The ONNX file [default: WEIGHTS, ending in .onnx]."),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Pictures to check it with [default: made-up ones]."),
    ] = None,
    card_only: Annotated[bool, typer.Option("--card-only", help="Write the model card alone.")] = False,
) -> None:
    """Write the classifier as an ONNX file, checked against PyTorch, and a model card beside it."""
    from classify.exporting import export, write_card

    terminal = session.terminal
    if card_only:
        if check is not None:
            raise UserError(
                "--check is for the ONNX file, which --card-only leaves away.", "Give one of them."
            )
        card = write_card(weights, out if out is None or out.is_dir() else out.parent)
        terminal.result(card=card)
        terminal.say(f"Written: {card}.")
        return
    terminal.say("Exporting: this may take a minute.")
    with terminal.progress("Checking") as progress:
        done = export(weights, out, check=check, progress=progress, say=terminal.say)
    terminal.result(**done.to_dict())
    terminal.say(f"Written: {done.out} and {done.card}.")
    terminal.say("How to use it without this project: docs/export.md.")
