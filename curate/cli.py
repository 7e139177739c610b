"""The `curate` command: arguments in, calls out.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.errors import UserError
from reports.terminal import Terminal, command, size_in_words

if TYPE_CHECKING:
    import pandas as pd

    from curate.workspace import Workspace

app = typer.Typer(
    name="curate",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find what is wrong with a folder of pictures, say why, and mend it reversibly. "
    "Nothing in the folder is changed but by `curate apply` and `curate undo`.",
)


@dataclasses.dataclass(frozen=True)
class Session:
    """What every command is given: where to work, how, and the terminal to talk to."""

    terminal: Terminal
    folder: Path
    workspace: Path | None
    csv: Path | None
    json: bool
    quiet: bool
    yes: bool
    workers: int | None
    seed: int | None

    @contextlib.contextmanager
    def open(self) -> Iterator[Workspace]:
        """The folder's workspace, locked."""
        from curate.pipeline import session

        with session(self.folder, self.workspace) as workspace:
            yield workspace

    def update(self, workspace: Workspace, targets: list[str], **settings: Any) -> None:
        """Run what the targets rest on and is stale. Keywords are settings of the (one) target; None: the default."""
        from curate.pipeline import STAGES, Reporter, bring_up_to_date, recorded_settings

        chosen = {}
        for name in targets:
            stage = STAGES[name]
            base = stage.default_settings() if len(targets) == 1 else recorded_settings(workspace, stage)
            given = {key.replace("-", "_"): value for key, value in settings.items() if value is not None}
            if self.seed is not None and hasattr(base, "seed"):
                given["seed"] = self.seed
            chosen[name] = dataclasses.replace(base, **given)
        reporter = Reporter(stage=self.terminal.progress, say=self.terminal.say)
        bring_up_to_date(workspace, targets, chosen, workers=self.workers, reporter=reporter)

    def write_csv(self, frame: pd.DataFrame, *first: str) -> None:
        """The command's result for other tools, where `--csv` asks for it; the columns `first` stand first."""
        if self.csv is None:
            return
        from curate.tables import write_csv

        write_csv(frame[[*first, *(name for name in frame.columns if name not in first)]], self.csv)
        self.terminal.say(f"{len(frame):,} rows written to {self.csv}")


def common(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of pictures, as a rule with class folders.")
    ],
    workspace: Annotated[
        Path | None,
        typer.Option(metavar="W", help="Where the tables live [default: DIR.curate, beside DIR]."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the result as CSV.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Worker processes [default: one a processor].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of what is drawn at random.")
    ] = None,
) -> None:
    """The options that all commands share."""


shared = command(common, Session)


@app.command("demo")
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


@app.command("run")
@shared
def run_command(session: Session) -> None:
    """All stages in order, ending in the report.

    Only what is stale is done. Nothing in DIR is touched.
    """
    from curate.display import plan_rows, problem_lines
    from curate.pipeline import STAGES

    with session.open() as workspace:
        session.update(workspace, list(STAGES))
        plan, problems = workspace.read("plan"), workspace.read("problems")
        html = write_report(session, workspace)
    session.write_csv(plan)
    session.terminal.result(report=html, workspace=workspace.path, plan=plan.action.value_counts().to_dict())
    session.terminal.lines(problem_lines(problems, str(session.folder)))
    title, columns, rows = plan_rows(plan)
    session.terminal.table(columns, rows, title=title)
    session.terminal.say(f"Report: {html}")
    session.terminal.say(f"Next: curate apply {session.folder}   or: classify train {session.folder}")


@app.command("scan")
@shared
def scan_command(session: Session) -> None:
    """Read every picture once and measure it.

    What each file is, its measures, and which cannot be read, with the reason.
    """
    with session.open() as workspace:
        session.update(workspace, ["scan"])
        files = workspace.read("files")
    session.write_csv(files, "path", "status", "reason")
    bad = files[files.status != "ok"]
    classes = files.label[files.label != ""].nunique()
    session.terminal.result(
        files=len(files), classes=classes, unreadable=len(bad), bytes=int(files["size"].sum())
    )
    session.terminal.say(f"{classes} class folders, {size_in_words(files['size'].sum())}.")
    if len(bad):
        from curate.images import REASONS

        rows = [
            (reason, int(count), REASONS[str(reason)]) for reason, count in bad.reason.value_counts().items()
        ]
        session.terminal.table(["reason", "files", "meaning"], rows)
    session.terminal.say(f"Next: curate run {session.folder}")


@app.command("eda")
@shared
def eda_command(session: Session) -> None:
    """What is in the folder, and what is wrong.

    Each problem is a sentence with its number and the command that deals with it.
    """
    from curate.display import problem_lines, summary_tables
    from curate.stages.eda import summarize

    with session.open() as workspace:
        session.update(workspace, ["eda"])
        problems, summary = workspace.read("problems"), summarize(workspace)
    session.write_csv(problems)
    session.terminal.result(summary=summary, problems=problems.to_dict("records"))
    for title, columns, rows in summary_tables(summary):
        session.terminal.table(columns, rows, title=title)
    session.terminal.lines(problem_lines(problems, str(session.folder)))


@app.command("dedup")
@shared
def dedup_command(
    session: Session,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="SCORE", help="Least score of an edited copy, 0..1 [default: 0.87]."),
    ] = None,
    conflicts: Annotated[
        str | None,
        typer.Option(
            metavar="HOW", help="The same picture under two labels: review or majority [default: review]."
        ),
    ] = None,
) -> None:
    """Find files that show the same picture.

    To the byte, to the pixel, or as an edited copy; the same picture under two labels is listed apart.
    """
    from curate.duplicates import all_pairs

    with session.open() as workspace:
        session.update(workspace, ["dedup"], threshold=threshold, conflicts=conflicts)
        duplicates, pairs = workspace.read("duplicates"), workspace.read("pairs")
    if session.csv:
        session.write_csv(all_pairs(duplicates, pairs))
    copies = duplicates[duplicates.path != duplicates.keeper]
    clashing = duplicates.group[duplicates.conflict].nunique()
    removable = int((duplicates.action == "remove").sum())
    session.terminal.result(
        groups=duplicates.group.nunique(),
        copies=copies.tier.value_counts().to_dict(),
        removable=removable,
        conflicts=clashing,
    )
    say = session.terminal.say
    if duplicates.empty:
        say("No two files show the same picture.")
        return
    counts = copies.tier.value_counts()
    session.terminal.table(
        ["tier", "copies", "meaning"],
        [(tier, int(counts[tier]), words) for tier, words in TIERS.items() if tier in counts],
    )
    say(
        f"{duplicates.group.nunique():,} groups; {removable:,} copies would be removed, the best file of each group kept."
    )
    if clashing:
        say(f"{clashing:,} groups stand under more than one label: they wait for a person, none is removed.")
    say(f"Look at them: curate report {session.folder}")


TIERS = {
    "exact": "the same bytes",
    "pixel": "other bytes, the same decoded picture",
    "near": "an edited copy of the file that is kept",
}


@app.command("filter-photos")
@shared
def filter_photos_command(
    session: Session,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="builtin, open_clip:MODEL/PRETRAINED, or timm:MODEL@FILE [default: builtin].",
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(metavar="P", help="How sure to be before a picture is to go [default: 0.8]."),
    ] = None,
) -> None:
    """Find photographs among illustrations."""
    with session.open() as workspace:
        session.update(workspace, ["filter-photos"], encoder=encoder, min_confidence=min_confidence)
        photos = workspace.read("photos")
    session.write_csv(photos, "path", "photo_score", "photo_verdict")
    counts = {
        verdict: int((photos.photo_verdict == verdict).sum()) for verdict in ("drawing", "photo", "unsure")
    }
    session.terminal.result(**counts)
    session.terminal.say(
        f"{len(photos):,} pictures: {counts['drawing']:,} drawings, {counts['photo']:,} photographs "
        f"({counts['photo'] / max(len(photos), 1):.1%}), {counts['unsure']:,} unsure (kept, for a person to see)."
    )
    session.terminal.say(f"Look at them: curate report {session.folder}")


@app.command("split")
@shared
def split_command(
    session: Session,
    val: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share for validation [default: 0.1].")
    ] = None,
    test: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share for the test [default: 0.1].")
    ] = None,
) -> None:
    """Split into train, val and test.

    By class, with all copies of a picture on one side.
    """
    from curate.display import split_rows

    with session.open() as workspace:
        session.update(workspace, ["split"], val=val, test=test)
        splits = workspace.read("splits")
    session.write_csv(splits)
    title, columns, rows = split_rows(splits)
    session.terminal.result(classes=[dict(zip(columns, row, strict=True)) for row in rows])
    session.terminal.table(columns, rows, title=title)


@app.command("balance")
@shared
def balance_command(
    session: Session,
    method: Annotated[
        str | None,
        typer.Option(metavar="HOW", help="weights, undersample, oversample or none [default: weights]."),
    ] = None,
    cap: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="At most N training pictures a class; 0: no cap.")
    ] = None,
) -> None:
    """Even out the classes for training.

    Weights, undersampling, or augmented copies; the training part only.
    """
    from curate.display import balance_rows

    with session.open() as workspace:
        session.update(workspace, ["balance"], method=method, cap=cap)
        balance = workspace.read("balance")
    session.write_csv(balance)
    title, columns, rows = balance_rows(balance)
    session.terminal.result(classes=[dict(zip(columns, row, strict=True)) for row in rows])
    session.terminal.table(columns, rows, title=title)


def write_report(session: Session, workspace: Workspace) -> Path:
    """Write the report of a finished workspace; returns the page's path."""
    from importlib.metadata import version

    from curate.display import addressed
    from curate.images import REASONS, read_rgb
    from curate.stages.eda import summarize
    from curate.tables import path_from_text
    from reports.page import ReportData, build_report

    problems = workspace.read("problems")
    problems["command"] = problems.command.map(lambda text: addressed(text, str(session.folder)))
    shown = ("files", "duplicates", "pairs", "photos", "splits", "plan", "embeddings")
    tables: dict[str, Any] = {name: workspace.read(name) for name in shown}
    data = ReportData(
        folder=str(session.folder),
        summary=summarize(workspace),
        problems=problems,
        **tables,
        read=lambda path: read_rgb(workspace.root / path_from_text(path), at_least=128),
        reasons=REASONS,
        version=version("curate-classify"),
    )
    with session.terminal.progress("Writing the report") as progress:
        html, _ = build_report(data, workspace.path, progress)
    return html


@app.command("report")
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


@app.command("apply")
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
    the one that was looked at: where the folder has changed since, it is refused and `curate run` makes it anew.
    """
    from curate import journal
    from curate.display import plan_rows
    from curate.pipeline import STAGES

    terminal = session.terminal
    with session.open() as workspace:
        if not workspace.has("plan"):
            session.update(workspace, list(STAGES))
        title, columns, rows = plan_rows(workspace.read("plan"))
        terminal.table(columns, rows, title=title)
        session.write_csv(workspace.read("plan"))
        preview = journal.apply(workspace, copy_to=copy, link_to=link, size=size, fit=fit, dry_run=True)
        if dry_run:
            terminal.result(**dataclasses.asdict(preview))
            terminal.say(preview.sentence)
            return
        moves = copy is None and link is None
        if moves and not terminal.confirm(f"{preview.sentence}\nMove them? `curate undo` takes it back."):
            raise UserError(
                "nothing was done: nobody said yes.", "Give --yes, or --dry-run to see what would be done."
            )
        with terminal.progress("Applying") as progress:
            done = journal.apply(workspace, copy_to=copy, link_to=link, size=size, fit=fit, progress=progress)
    terminal.result(**dataclasses.asdict(done))
    terminal.say(done.sentence)
    if moves:
        terminal.say(f"Take it back with: curate undo {session.folder}")


@app.command("undo")
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


@app.command("status")
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
            f"Run `curate run {session.folder}`.",
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


def main() -> None:
    """The console script `curate`."""
    app()


if __name__ == "__main__":
    main()
