import pandas as pd
import pytest

from curate.stages.plan import plan_files, summary
from curate.tables import DUPLICATES, FILES, PHOTOS, PLAN


def make_files(*paths: str, **unreadable: str) -> pd.DataFrame:
    rows = [
        {
            "path": path,
            "content": f"content of {path}",
            "size": 10,
            "mtime_ns": 5,
            "label": path.split("/")[0],
        }
        | {"status": "ok", "reason": ""}
        for path in paths
    ]
    rows += [
        {"path": f"cat/{name}.png", "content": "", "size": 3, "mtime_ns": 5, "label": "cat"}
        | {"status": "unreadable", "reason": reason}
        for name, reason in unreadable.items()
    ]
    return pd.DataFrame(rows, columns=list(FILES.columns))


def make_duplicates(*paths: str, action: str = "remove", conflict: bool = False) -> pd.DataFrame:
    """One group; the first path is the keeper."""
    rows = [
        (path, f"content of {path}", path.split("/")[0], 0, "near", 0.9, paths[0], conflict)
        + (("keep", "") if path == paths[0] else (action, f"a near copy of {paths[0]} (0.90)"))
        for path in paths
    ]
    return pd.DataFrame(rows, columns=list(DUPLICATES.columns))


def make_photos(**actions: str) -> pd.DataFrame:
    """`cat__a="remove"` is a row for cat/a.png."""
    words = {"remove": ("photo", 0.97), "review": ("unsure", 0.5), "keep": ("drawing", 0.02)}
    rows = []
    for name, action in actions.items():
        path = name.replace("__", "/") + ".png"
        verdict, score = words[action]
        rows.append(
            (
                path,
                f"content of {path}",
                path.split("/")[0],
                score,
                verdict,
                action,
                f"{verdict} ({score})",
                "",
            )
        )
    return pd.DataFrame(rows, columns=list(PHOTOS.columns))


def decide(
    files: pd.DataFrame, duplicates: pd.DataFrame | None = None, photos: pd.DataFrame | None = None
) -> pd.DataFrame:
    plan = plan_files(
        files,
        DUPLICATES.empty() if duplicates is None else duplicates,
        PHOTOS.empty() if photos is None else photos,
    )
    assert list(plan.columns) == list(PLAN.columns)
    assert len(plan) == len(files)
    return plan.set_index("path")


def test_a_file_that_nobody_complains_about_is_kept() -> None:
    row = decide(make_files("cat/a.png"), photos=make_photos(cat__a="keep")).loc["cat/a.png"]
    assert (row.action, row.stage, row.reason, row.other) == ("keep", "", "", "")


@pytest.mark.parametrize("reason", ["empty", "not_an_image", "truncated", "corrupt"])
def test_a_broken_file_is_removed(reason: str) -> None:
    row = decide(make_files(a=reason)).loc["cat/a.png"]
    assert (row.action, row.stage) == ("remove", "scan")
    assert row.reason.startswith("unreadable: the ")


@pytest.mark.parametrize("reason", ["permission", "io_error", "vanished", "too_large"])
def test_a_file_that_could_not_be_judged_is_for_a_person(reason: str) -> None:
    row = decide(make_files(a=reason)).loc["cat/a.png"]
    assert (row.action, row.stage) == ("review", "scan")


def test_a_copy_is_removed_and_names_the_file_kept_for_it() -> None:
    plan = decide(make_files("cat/a.png", "cat/b.png"), make_duplicates("cat/a.png", "cat/b.png"))
    assert plan.loc["cat/a.png"].action == "keep"
    row = plan.loc["cat/b.png"]
    assert (row.action, row.stage, row.other) == ("remove", "dedup", "cat/a.png")
    assert row.score == pytest.approx(0.9)
    assert row.reason == "a near copy of cat/a.png (0.90)"


def test_a_photograph_is_removed_and_a_doubtful_one_is_for_review() -> None:
    plan = decide(make_files("cat/a.png", "cat/b.png"), photos=make_photos(cat__a="remove", cat__b="review"))
    assert tuple(plan.loc["cat/a.png", ["action", "stage"]]) == ("remove", "filter-photos")
    assert tuple(plan.loc["cat/b.png", ["action", "stage"]]) == ("review", "filter-photos")


def test_conflicts_stay_for_review() -> None:
    plan = decide(
        make_files("cat/a.png", "dog/b.png"),
        make_duplicates("cat/a.png", "dog/b.png", action="review", conflict=True),
    )
    assert plan.loc["dog/b.png"].action == "review"
    assert not (plan.action == "remove").any()


@pytest.mark.parametrize("member", ["keep", "review"])
def test_where_the_keeper_goes_as_a_photograph_a_copy_that_is_none_stays(member: str) -> None:
    plan = decide(
        make_files("cat/a.png", "cat/b.png", "cat/c.png"),
        make_duplicates("cat/a.png", "cat/b.png", "cat/c.png"),
        make_photos(cat__a="remove", cat__b=member, cat__c="remove"),
    )
    assert tuple(plan.loc["cat/a.png", ["action", "stage"]]) == ("remove", "filter-photos")
    assert tuple(plan.loc["cat/b.png", ["action", "stage"]]) == ("review", "dedup")
    assert "cat/a.png" in plan.loc["cat/b.png"].reason
    assert tuple(plan.loc["cat/c.png", ["action", "stage"]]) == ("remove", "filter-photos")


def test_where_the_keeper_cannot_be_read_its_copy_stays() -> None:
    files = make_files("cat/b.png", a="corrupt")
    plan = decide(files, make_duplicates("cat/a.png", "cat/b.png"))
    assert plan.loc["cat/b.png"].action == "review"


def test_every_removed_copy_has_a_kept_file() -> None:
    plan = decide(
        make_files("cat/a.png", "cat/b.png", "cat/c.png"),
        pd.concat(
            [
                make_duplicates("cat/a.png", "cat/b.png"),
                make_duplicates("cat/b.png", "cat/c.png").iloc[1:].assign(group=1),
            ]
        ),
    )
    removed = plan[plan.stage.eq("dedup") & plan.action.eq("remove")]
    assert len(removed) == 1
    assert (plan.loc[removed.other].action != "remove").all()


def test_the_order_of_the_rows_does_not_matter() -> None:
    files = make_files("cat/b.png", "cat/a.png", z="empty")
    one = decide(files, make_duplicates("cat/a.png", "cat/b.png"))
    assert decide(files.iloc[::-1], make_duplicates("cat/a.png", "cat/b.png").iloc[::-1]).equals(one)


def test_summary_counts_files_and_bytes() -> None:
    plan = decide(
        make_files("cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png", z="empty"),
        make_duplicates("cat/a.png", "cat/b.png"),
        make_photos(dog__c="remove", dog__d="review"),
    ).reset_index()
    counted = summary(plan)
    assert (counted["files"], counted["bytes"]) == (5, 43)
    assert counted["actions"] == {
        "keep": {"files": 1, "bytes": 10},
        "remove": {"files": 3, "bytes": 23},
        "review": {"files": 1, "bytes": 10},
    }
    assert counted["removed"] == {
        "dedup": {"files": 1, "bytes": 10},
        "filter-photos": {"files": 1, "bytes": 10},
        "scan": {"files": 1, "bytes": 3},
    }
    assert counted["review"] == {"filter-photos": {"files": 1, "bytes": 10}}
    assert counted["labels"]["cat"] == {
        "keep": {"files": 1, "bytes": 10},
        "remove": {"files": 2, "bytes": 13},
    }


def test_an_empty_folder_has_an_empty_plan() -> None:
    assert decide(FILES.empty()).empty
    assert summary(PLAN.empty())["actions"]["remove"] == {"files": 0, "bytes": 0}
