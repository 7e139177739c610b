"""The commands that run one stage each, and say what it found."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.cli.session import Session, shared
from reports.terminal import size_in_words


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
