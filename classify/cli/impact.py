"""The command that measures what curation was worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from classify.cli.session import Overrides, Session, SettingsFile, Workers, shared
from curate.errors import UserError


@shared
def impact_command(
    session: Session,
    workspace: Annotated[
        Path,
        typer.Argument(metavar="WORKSPACE", help="A curate workspace, or the folder that it belongs to."),
    ],
    test: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Clean test pictures [default: the test part of the workspace's split]."
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(metavar="M", help="Time of each training; there are N for each arm.")
    ] = 15,
    pictures: Annotated[
        int,
        typer.Option(metavar="P", help="A budget of pictures seen instead of minutes; 0: minutes count."),
    ] = 0,
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings of each arm.")] = 3,
    limit: Annotated[
        float, typer.Option(metavar="M", min=0, help="Minutes after which no training begins; 0: no limit.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the results [default: impact/NAME].")
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Trainings that run at once.")] = 1,
    settings: SettingsFile = None,
    set_: Overrides = None,
    workers: Workers = None,
) -> None:
    """Measure what each step of curation was worth in macro-F1, and what a random split would have claimed.

    The same command goes on after a kill: what is finished is not run again.
    """
    from classify.ablation import impact
    from classify.ablation.results import FIGURES, table
    from classify.settings import read_settings
    from reports.impact import impact_page

    terminal = session.terminal
    chosen = read_settings(settings, set_ or [])
    with terminal.progress("Comparing with the test pictures") as progress:
        result = impact(
            workspace,
            test,
            out,
            minutes=minutes,
            pictures=pictures,
            seeds=seeds,
            settings=chosen,
            limit=limit,
            jobs=jobs,
            workers=workers,
            draw=impact_page,
            progress=progress,
            say=terminal.say,
        )
    content = result.content
    terminal.result(out=str(result.out), **content)
    if content["arms"]:
        columns, cells = table(content)
        terminal.table(columns[:FIGURES], [row[:FIGURES] for row in cells])
    for sentence in content["sentences"]:
        terminal.say(sentence)
    terminal.say(f"Results: {result.out / 'impact.html'}")
    if content["failed"]:
        if session.json:
            terminal.finish()
            raise SystemExit(2)
        first = content["failed"][0]
        raise UserError(
            f"{len(content['failed'])} trainings failed; the first, {first['name']}, seed {first['seed']}: {first['reason']}",
            "The same command tries them again; the others are finished.",
        )
