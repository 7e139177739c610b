import pandas as pd

from curate.display import (
    addressed,
    balance_rows,
    error_lines,
    plan_rows,
    problem_lines,
    split_rows,
    summary_tables,
)
from curate.stages.eda import summary
from curate.tables import FILES


def test_commands_name_the_folder_as_a_shell_takes_it():
    assert addressed("curate apply DIR --copy OUT", "my pictures") == "curate apply 'my pictures' --copy OUT"
    assert addressed("curate dedup DIR", "DIRT") == "curate dedup DIRT"
    assert addressed("curate run DIR", "a", "my tables") == "curate run a --workspace 'my tables'"
    assert addressed("classify train DIR", "a", "tables") == "classify train a"


def test_the_gravest_problem_comes_first():
    problems = pd.DataFrame(
        [
            ("a", "low", 9, "Small.", ""),
            ("b", "high", 1, "Big.", "curate dedup DIR"),
            ("c", "high", 8, "Bigger.", ""),
        ],
        columns=["problem", "severity", "count", "sentence", "command"],
    )
    assert [text for text, _ in problem_lines(problems, "p")] == [
        "high    Bigger.",
        "high    Big.",
        "        curate dedup p",
        "low     Small.",
    ]
    assert problem_lines(problems[:0], "p")[0][0] == "No problem was found."


def test_the_plan_is_counted_by_action_and_stage():
    plan = pd.DataFrame(
        {
            "action": ["keep", "remove", "remove"],
            "stage": ["", "dedup", "dedup"],
            "size": [10, 1_000_000, 500_000],
        }
    )
    assert plan_rows(plan)[2] == [("keep", "-", 1, 0.00001), ("remove", "dedup", 2, 1.5)]


def test_splits_and_balance_in_rows():
    splits = pd.DataFrame({"label": ["a", "a", ""], "split": ["train", "out", "val"]})
    assert split_rows(splits)[2] == [("(no label)", 0, 1, 0, 0), ("a", 1, 0, 0, 1), ("all", 1, 1, 0, 1)]
    balance = pd.DataFrame({"label": ["a", "a"], "copies": [0, 3], "weight": [0.5, 0.5]})
    assert balance_rows(balance)[2] == [("a", 2, 3, 1, 0.5)]


def test_a_folder_without_a_readable_picture_still_shows():
    files = FILES.empty()
    files.loc[0, ["path", "label", "status", "reason", "size"]] = ["a/x.png", "a", "unreadable", "empty", 0]
    tables = summary_tables(summary(files))
    assert tables[0][2] == [("a", 1, 0)]
    assert tables[1][2] == []


def test_the_error_in_sentences():
    error = pd.DataFrame(
        [("precision", 0.98, 0.95, 1.0, 1200), ("recall", 0.9, 0.82, 0.95, 96)],
        columns=["measure", "value", "low", "high", "of"],
    )
    right, found = error_lines(error)
    assert "95.0% or more of the 1,200 pairs" in right
    assert (
        "Of 96 test copies, made of your pictures outside the folder, 90% were found (95 % interval 82% to 95%)."
        in found
    )
    assert error_lines(error[:0]) == []
