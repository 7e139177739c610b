"""The commands for a folder as a whole: all stages, the report, apply and undo, where things stand; and the demo set."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.session import Session, shared, write_report
from curate.errors import Refused, UserError
from reports.terminal import Terminal


def demo_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet.")],
    pictures: Annotated[
        int, typer.Option(metavar="N", help="Files in train and test together, 150 to 3000.")
    ] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The same seed, the same bytes.")] = 0,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Worker processes.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Make a messy set to try everything on.

    Illustrations with duplicates, photographs, broken files, and the truth about them; offline.
    """
    from curate.demo import make_demo

    with Terminal(json=json, quiet=quiet).guard() as terminal:
        with terminal.progress("Drawing") as progress:
            made = make_demo(folder, pictures=pictures, seed=seed, progress=progress, workers=workers)
        terminal.result(**dataclasses.asdict(made))
        terminal.say(str(made))
        terminal.say(f"Next: curate run {folder / 'train'}")


@shared
def run_command(session: Session) -> None:
    """All stages in order, ending in the report.

    Only what is stale is done. Nothing in DIR is touched.
    """
    from curate.display import plan_rows, problem_lines
    from curate.parts import first_part
    from curate.pipeline import STAGES

    with session.open() as workspace:
        session.update(workspace, list(STAGES))
        plan, problems = workspace.read("plan"), workspace.read("problems")
        html = write_report(session, workspace)
    session.write_csv(plan)
    session.terminal.result(report=html, workspace=workspace.path, plan=plan.action.value_counts().to_dict())
    session.terminal.lines(problem_lines(problems, str(session.folder), str(session.workspace or "")))
    title, columns, rows = plan_rows(plan)
    session.terminal.table(columns, rows, title=title)
    session.terminal.say(f"Report: {html}")
    if part := first_part(sorted(plan.loc[plan["label"] != "", "label"].unique())):
        session.terminal.say(f"Next: curate run {shlex.quote(str(session.folder / part))}")
    else:
        session.terminal.say(
            f"Next: {session.command('curate apply DIR')}   or: {session.command('classify train DIR')}"
        )


@shared
def report_command(session: Session) -> None:
    """Write the report anew.

    One HTML file to look at, and report.json.
    """
    from curate.pipeline import STAGES

    with session.open() as workspace:
        session.update(workspace, list(STAGES))
        html = write_report(session, workspace)
        session.write_csv(workspace.read("plan"))
    session.terminal.result(report=html)
    session.terminal.say(f"Report: {html}")


@shared
def apply_command(
    session: Session,
    copy: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Leave DIR alone; write a clean copy to OUT.")
    ] = None,
    link: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Leave DIR alone; make a clean tree of links in OUT.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --copy: bring each picture to N x N pixels.")
    ] = None,
    fit: Annotated[str, typer.Option(metavar="HOW", help="With --size: pad, crop or stretch.")] = "pad",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
) -> None:
    """Carry out the plan: quarantine, or a clean tree.

    Moves what is to go into quarantine (`curate undo` takes it back), or writes a clean tree elsewhere. The plan is
    the one that was looked at: without one, or where pictures came since, it is refused and `curate run` makes it.
    """
    from curate import journal
    from curate.display import plan_rows

    terminal = session.terminal
    with session.open() as workspace:
        if not workspace.has("plan"):
            raise Refused(
                f"{session.folder}: there is no plan yet, so nobody has looked at one. Nothing was done.",
                f"Run `{session.command('curate run DIR')}` and look at the report.",
            )
        title, columns, rows = plan_rows(workspace.read("plan"))
        terminal.table(columns, rows, title=title)
        session.write_csv(workspace.read("plan"))
        preview = journal.apply(workspace, copy_to=copy, link_to=link, size=size, fit=fit, dry_run=True)
        if dry_run:
            terminal.result(**dataclasses.asdict(preview))
            terminal.say(preview.sentence)
            return
        moves = copy is None and link is None
        if moves and not terminal.answers:
            raise UserError(
                "nothing was done: there is nobody to ask.",
                "Give --yes, or --dry-run to see what would be done.",
            )
        if moves and not terminal.confirm(f"{preview.sentence}\nMove them? `curate undo` takes it back."):
            terminal.say("Nothing was done.")
            return
        with terminal.progress("Applying") as progress:
            done = journal.apply(
                workspace,
                copy_to=copy,
                link_to=link,
                size=size,
                fit=fit,
                workers=session.workers,
                progress=progress,
            )
    terminal.result(**dataclasses.asdict(done))
    terminal.say(done.sentence)
    if moves:
        terminal.say(f"Take it back with: {session.command('curate undo DIR')}")


@shared
def undo_command(session: Session) -> None:
    """Take `curate apply` back.

    Names, bytes, times and permissions are as they were.
    """
    from curate import journal

    with session.open() as workspace, session.terminal.progress("Undoing") as progress:
        done = journal.undo(workspace, progress=progress)
    session.terminal.result(**dataclasses.asdict(done))
    session.terminal.say(done.sentence)


@shared
def status_command(session: Session) -> None:
    """What is done, stale, planned."""
    import pandas as pd

    from curate import journal
    from curate.status import status
    from curate.workspace import Workspace

    workspace = Workspace.find(session.folder, session.workspace)
    if workspace is None:
        raise UserError(
            f"{session.folder}: there is no workspace for this folder yet.",
            f"Run `{session.command('curate run DIR')}`.",
        )
    columns, rows = ["stage", "state", "found"], status(workspace)
    applied = journal.state(workspace)
    stages = [dict(zip(columns, row, strict=True)) for row in rows]
    session.write_csv(pd.DataFrame(rows, columns=columns))
    session.terminal.result(
        folder=workspace.root, workspace=workspace.path, stages=stages, quarantine=dataclasses.asdict(applied)
    )
    session.terminal.say(f"{workspace.root}   tables in {workspace.path}")
    session.terminal.table(columns, rows)
    session.terminal.say(applied.sentence)
