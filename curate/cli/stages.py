"""The commands that run one stage each, and say what it found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.cli.session import Session, shared
from curate.errors import UserError
from reports.terminal import size_in_words

if TYPE_CHECKING:
    import pandas as pd


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
    session.terminal.say(f"Next: {session.command('curate run DIR')}")


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
    session.terminal.lines(problem_lines(problems, str(session.folder), str(session.workspace or "")))


TIERS = {
    "exact": "the same bytes",
    "pixel": "other bytes, the same decoded picture",
    "verdict": "a person said that it is the same picture",
    "near": "an edited copy of the file that is kept",
}


@shared
def dedup_command(
    session: Session,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="By hashes alone: several times quicker, finds few crops and rotations."),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="SCORE", help="Least score of an edited copy, 0..1 [default: 0.87]."),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(metavar="P", help="Instead of --threshold: share of right pairs to aim at, e.g. 0.999."),
    ] = None,
    conflicts: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="The same picture under two labels: review, majority or drop-all [default: review].",
        ),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH", help="Copies that count: all, within-class or across-class [default: all]."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="TEST", help="Another folder, of which nothing may be in DIR too; TEST is not changed."
        ),
    ] = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(metavar="SUB", help="Folder below DIR whose files are kept first; may be repeated."),
    ] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(metavar="SUB", help="Folder below DIR of which nothing is removed; may be repeated."),
    ] = None,
) -> None:
    """Find files that show the same picture.

    To the byte, to the pixel, or as an edited copy; the same picture under two labels is listed apart. With --against,
    also what another folder (the test set) holds too.
    """
    from curate.display import error_lines
    from curate.duplicates.groups import all_pairs

    settings: dict[str, dict[str, Any]] = {
        "against": {"folder": str(against.resolve()) if against else None},
        "compare": {"search": "fast" if fast else None},
        "dedup": {
            "threshold": threshold,
            "precision": precision,
            "conflicts": conflicts,
            "scope": scope,
            "prefer": tuple(prefer) if prefer else None,
            "protect": tuple(protect) if protect else None,
        },
    }
    with session.open() as workspace:
        session.update(workspace, ["dedup"], settings)
        duplicates, pairs, error, leaks = (
            workspace.read(name) for name in ("duplicates", "pairs", "error", "leaks")
        )
    if session.csv:
        session.write_csv(all_pairs(duplicates, pairs))
    session.terminal.result(
        **_counted(duplicates),
        leaks=leaks[["path", "other", "tier", "score"]].to_dict("records"),
        error=error.to_dict("records"),
    )
    _say_groups(session, duplicates, conflicts or "review")
    session.terminal.lines([(line, None) for line in error_lines(error)])
    if against:
        _say_leaks(session, leaks, against)
    session.terminal.say(f"Look at them: {session.command('curate report DIR')}")


def _counted(duplicates: pd.DataFrame) -> dict[str, Any]:
    """What the table `duplicates` comes to: groups, copies by tier, files to be removed, groups under several labels."""
    copies = duplicates[duplicates.path != duplicates.keeper]
    return {
        "groups": duplicates.group.nunique(),
        "copies": copies.tier.value_counts().to_dict(),
        "removable": int((duplicates.action == "remove").sum()),
        "conflicts": duplicates.group[duplicates.conflict].nunique(),
    }


def _say_groups(session: Session, duplicates: pd.DataFrame, conflicts: str) -> None:
    """How many files show the same picture, by tier, and what becomes of them."""
    say, found = session.terminal.say, _counted(duplicates)
    if duplicates.empty:
        say("No two files show the same picture.")
    else:
        session.terminal.table(
            ["tier", "copies", "meaning"],
            [
                (tier, int(found["copies"][tier]), words)
                for tier, words in TIERS.items()
                if tier in found["copies"]
            ],
        )
        say(f"{found['groups']:,} groups; {found['removable']:,} copies would be removed.")
    if found["conflicts"] and conflicts == "review":
        say(
            f"{found['conflicts']:,} groups stand under more than one label: they wait for a person, none is removed."
        )


def _say_leaks(session: Session, leaks: pd.DataFrame, against: Path) -> None:
    """What the other folder holds too, in words, the surest first."""
    if leaks.empty:
        session.terminal.say(f"No picture of {session.folder} is in {against} too.")
        return
    shown = leaks.sort_values(["score", "path"], ascending=[False, True]).head(10)
    session.terminal.table(
        ["file", "in the other folder", "tier", "score"],
        list(shown[["path", "other", "tier", "score"]].itertuples(index=False, name=None)),
        title=f"Also in {against}",
    )
    more = f" (the first {len(shown)} are shown)" if len(leaks) > len(shown) else ""
    session.terminal.say(
        f"{len(leaks):,} files of {session.folder} show a picture that is in {against} too{more}; the plan removes "
        f"them from {session.folder}."
    )


@shared
def verdict_command(
    session: Session,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A [B] VERDICT",
            help="Two pictures and same|different, or one and photo|drawing|ok|label:CLASS|no-class.",
        ),
    ] = None,
    said: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="A CSV file with columns a, b, verdict, or path, verdict."
        ),
    ] = None,
) -> None:
    """Say whether two pictures are the same, what one is, or where it belongs.

    It counts for more than any score, is kept by content, and so outlives renames and rescans. `ok` says that a label is
    right, `label:CLASS` which one is, `no-class` that none is. Without A: list what was said.
    """
    from curate.verdicts import read_said, read_verdicts, record

    rows = read_said(said) if said else []
    match words or []:
        case []:
            pass
        case [one, verdict]:
            rows.append((one, "", verdict))
        case [one, other, verdict]:
            rows.append((one, other, verdict))
        case _:
            raise UserError(
                "a verdict needs one or two files and a word.",
                "Write: curate verdict DIR A B same|different, or: curate verdict DIR A "
                "photo|drawing|ok|label:CLASS|no-class",
            )
    with session.open() as workspace:
        if not workspace.has("files"):
            session.update(workspace, ["scan"])
        verdicts = record(workspace, rows) if rows else read_verdicts(workspace)
    session.write_csv(verdicts.rename(columns={"path": "a", "other_path": "b"}), "a", "b", "verdict")
    listed = verdicts[["path", "other_path", "verdict", "said"]]
    session.terminal.result(recorded=len(rows), verdicts=listed.to_dict("records"))
    if rows:
        session.terminal.say(
            f"{len(rows):,} verdict{'s' * (len(rows) != 1)} recorded; {len(verdicts):,} in all."
        )
        session.terminal.say(
            f"Next, with the settings of the last run: {session.command('curate report DIR')}"
        )
    elif len(verdicts):
        session.terminal.table(["a", "b", "verdict", "said"], list(listed.itertuples(index=False, name=None)))
    else:
        session.terminal.say("Nobody has said anything about the pictures of this folder yet.")


@shared
def filter_photos_command(
    session: Session,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="embedded: the shipped head; cluster: this folder alone; clip: words and a CLIP model, which a tag downloads [default: embedded].",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="builtin, open_clip:MODEL/PRETRAINED, or timm:MODEL@FILE [default: builtin].",
        ),
    ] = None,
    find: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="photos, or illustrations among photographs [default: photos]."),
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A handful of pictures in DIR/photos and in DIR/drawings."),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(metavar="P", help="How sure to be before a picture is to go, 0.5 to 1 [default: 0.8]."),
    ] = None,
    max_removed: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Share of the pictures; where more would go, none goes [default: 0.7]."
        ),
    ] = None,
) -> None:
    """Find photographs among illustrations."""
    from curate.display import photo_lines
    from curate.photos.settings import PhotoSettings, state_of

    given: dict[str, Any] = {
        "backend": backend,
        "encoder": encoder,
        "find": find,
        "examples": str(examples.resolve()) if examples else None,
        "examples_state": state_of(str(examples)) if examples else None,
        "min_confidence": min_confidence,
        "max_removed": max_removed,
    }
    # What makes no sense is told before anything is read.
    PhotoSettings(**{name: value for name, value in given.items() if value is not None}).check()
    with session.open() as workspace:
        session.update(workspace, ["filter-photos"], {"filter-photos": given})
        share, photos = workspace.read("share"), workspace.read("photos")
    session.write_csv(photos, "path", "photo_score", "photo_verdict")
    counts = {
        verdict: int((photos.photo_verdict == verdict).sum()) for verdict in ("drawing", "photo", "unsure")
    }
    removed = int((photos.action == "remove").sum())
    found = photos.loc[photos.action != "keep"].sort_values("photo_score", ascending=False)
    session.terminal.result(
        **counts,
        removed=removed,
        share=share.to_dict("records")[0],
        clusters=photos.loc[photos.cluster != "", "cluster"].value_counts().to_dict(),
        pictures=found[["path", "photo_score", "photo_verdict", "action", "reason"]].to_dict("records"),
    )
    session.terminal.lines(photo_lines(share, photos))
    if counts["unsure"]:
        session.terminal.say(
            f"Say what one is: {session.command('curate verdict DIR PICTURE photo|drawing')}"
        )
    session.terminal.say(f"Look at them: {session.command('curate report DIR')}")


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
        session.update(workspace, ["split"], {"split": {"val": val, "test": test}})
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
        session.update(workspace, ["balance"], {"balance": {"method": method, "cap": cap}})
        balance = workspace.read("balance")
    session.write_csv(balance)
    title, columns, rows = balance_rows(balance)
    session.terminal.result(classes=[dict(zip(columns, row, strict=True)) for row in rows])
    session.terminal.table(columns, rows, title=title)
