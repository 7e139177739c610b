import hashlib

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import UserError
from curate.pipeline import Context
from curate.stages.split import SplitSettings, run, split_files
from curate.tables import DUPLICATES, FILES, LEAKS, PAIRS, PHOTOS, SPLITS
from curate.workspace import Workspace


def content(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def make_files(rows: list[tuple[str, str]], unreadable: tuple[str, ...] = ()) -> pd.DataFrame:
    """Rows of (path, content) as a table `files`; the label is the first part of the path."""
    blank = {name: "" if column.type == "string" else 1 for name, column in FILES.columns.items()}
    filled = [
        blank
        | {
            "path": path,
            "content": content(inside),
            "label": path.split("/")[0] if "/" in path else "",
            "status": "unreadable" if path in unreadable else "ok",
            "reason": "truncated" if path in unreadable else "",
        }
        for path, inside in rows
    ]
    return pd.DataFrame(filled, columns=list(FILES.columns))


def make_duplicates(groups: list[list[str]], files: pd.DataFrame, action: str = "remove") -> pd.DataFrame:
    """Groups of paths, the first of each the keeper; a group under several labels is a conflict."""
    by_path = files.set_index("path")
    rows = []
    for number, paths in enumerate(groups):
        conflict = len({by_path.label[path] for path in paths}) > 1
        for path in paths:
            keep = path == paths[0]
            rows.append(
                {
                    "path": path,
                    "content": by_path.content[path],
                    "label": by_path.label[path],
                    "group": number,
                }
                | {"tier": "near", "score": 0.9, "keeper": paths[0], "conflict": conflict}
                | {
                    "action": "keep" if keep else action,
                    "reason": "" if keep else f"a near copy of {paths[0]}",
                }
            )
    return pd.DataFrame(rows, columns=list(DUPLICATES.columns)).astype({"conflict": bool})


def simple(label_sizes: dict[str, int], **shares: float) -> pd.Series:
    """The split of classes without duplicates, by path."""
    files = make_files(
        [(f"{label}/{i}.png", f"{label} {i}") for label, n in label_sizes.items() for i in range(n)]
    )
    return (
        split_files(files, DUPLICATES.empty(), PHOTOS.empty(), SplitSettings(**shares))
        .set_index("path")
        .split
    )


def test_each_class_is_divided_by_its_own_shares() -> None:
    split = simple({"cat": 100, "dog": 37}, val=0.1, test=0.2)
    counts = split.groupby([split.index.str.split("/").str[0], split]).size()
    assert counts["cat"].to_dict() == {"test": 20, "train": 70, "val": 10}
    assert counts["dog"].to_dict() == {"test": 7, "train": 26, "val": 4}  # 7.4, 25.9, 3.7


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_a_small_class_is_in_every_part(count: int) -> None:
    assert set(simple({"cat": count})) == {"train", "val", "test"}


@pytest.mark.parametrize("count", [1, 2])
def test_a_tiny_class_is_for_training(count: int) -> None:
    assert set(simple({"cat": count})) == {"train"}


def test_a_part_that_is_not_asked_for_gets_nothing() -> None:
    assert simple({"cat": 20}, val=0, test=0.25).value_counts().to_dict() == {"train": 15, "test": 5}
    assert set(simple({"cat": 20}, val=0, test=0)) == {"train"}


def test_the_test_part_does_not_depend_on_the_size_of_the_validation_part() -> None:
    one, other = simple({"cat": 40}, val=0.1), simple({"cat": 40}, val=0.3)
    assert list(one.index[one == "test"]) == list(other.index[other == "test"])


def test_the_seed_chooses() -> None:
    assert not simple({"cat": 40}, seed=0).equals(simple({"cat": 40}, seed=1))


def test_a_flat_folder_splits() -> None:
    files = make_files([(f"{i}.png", str(i)) for i in range(20)])
    split = split_files(files, DUPLICATES.empty(), PHOTOS.empty(), SplitSettings())
    assert split.split.value_counts().to_dict() == {"train": 16, "val": 2, "test": 2}
    assert set(split.label) == {""}


def test_a_renamed_file_stays_where_it_was() -> None:
    before = make_files([(f"cat/{i}.png", str(i)) for i in range(30)])
    after = make_files([(f"cat/{(i * 7) % 30}-new.png", str(i)) for i in range(30)])
    one, other = (
        split_files(files, DUPLICATES.empty(), PHOTOS.empty(), SplitSettings())
        .set_index("content")
        .split.sort_index()
        for files in (before, after)
    )
    assert one.equals(other)


def test_a_new_file_moves_few_others() -> None:
    before, after = simple({"cat": 200}), simple({"cat": 201})
    assert (before != after[before.index]).sum() <= 2


def test_big_groups_stay_whole_and_the_shares_are_met_by_the_others() -> None:
    files = make_files([(f"cat/{i}.png", str(i)) for i in range(100)])
    big = [f"cat/{i}.png" for i in range(40)]
    split = split_files(files, make_duplicates([big], files, "review"), PHOTOS.empty(), SplitSettings())
    assert split.split.value_counts().to_dict() == {"train": 80, "val": 10, "test": 10}
    assert set(split[split.path.isin(big)].split) == {"train"}


def test_where_only_large_groups_are_left_the_closest_is_taken() -> None:
    files = make_files([(f"cat/{i:02}.png", str(i)) for i in range(60)])
    groups = [[f"cat/{i:02}.png" for i in range(start, start + 6)] for start in range(0, 60, 6)]
    split = split_files(
        files, make_duplicates(groups, files, "review"), PHOTOS.empty(), SplitSettings(val=0.1, test=0.17)
    )
    # 6 and 10.2 of 60 pictures: groups of 6 make 6 and 12, which is nearer to 10 than 6 is
    assert split.split.value_counts().to_dict() == {"train": 42, "val": 6, "test": 12}


def test_one_giant_group_does_not_empty_the_training_part() -> None:
    files = make_files([(f"cat/{i:02}.png", str(i)) for i in range(30)])
    giant = [f"cat/{i:02}.png" for i in range(28)]
    split = split_files(files, make_duplicates([giant], files, "review"), PHOTOS.empty(), SplitSettings())
    assert split.split.value_counts().to_dict() == {"train": 28, "val": 1, "test": 1}


def test_equal_bytes_are_one_group_without_the_duplicates_table() -> None:
    files = make_files([(f"cat/{i}-{j}.png", str(i)) for i in range(20) for j in range(3)])
    split = split_files(files, DUPLICATES.empty(), PHOTOS.empty(), SplitSettings())
    assert (split.groupby("content").split.nunique() == 1).all()
    assert split.group.nunique() == 20


def test_two_crops_stay_with_each_other_through_the_whole_picture_that_is_removed() -> None:
    files = make_files([(f"cat/{i}.png", str(i)) for i in range(60)])
    groups, pairs = [], []
    for start in range(0, 60, 3):
        left, whole = f"cat/{start}.png", f"cat/{start + 1}.png"
        groups.append([left, whole])
        pairs += [
            sorted((content(str(start)), content(str(start + 1)))),
            sorted((content(str(start + 1)), content(str(start + 2)))),
        ]
    table = pd.DataFrame(pairs, columns=["content_a", "content_b"])
    split = split_files(files, make_duplicates(groups, files), PHOTOS.empty(), SplitSettings(0.3, 0.3), table)
    used = split[split.split != "out"]
    assert len(used) == 40
    assert used.group.nunique() == 20
    assert (used.groupby("group").split.nunique() == 1).all()
    assert used.split.value_counts().to_dict() == {"train": 16, "val": 12, "test": 12}


def test_what_is_out_says_why() -> None:
    rows = [(f"cat/{i}.png", f"cat {i}") for i in range(10)] + [
        (f"dog/{i}.png", f"dog {i}") for i in range(10)
    ]
    files = make_files(rows, unreadable=("cat/0.png",))
    duplicates = pd.concat(
        [
            make_duplicates([["cat/1.png", "cat/2.png"]], files),
            make_duplicates([["cat/3.png", "dog/3.png"]], files, "review").assign(group=1),
        ]
    )
    photos = pd.DataFrame(
        [
            {"path": "dog/4.png", "content": content("dog 4"), "label": "dog", "photo_score": 0.98}
            | {"photo_verdict": "photo", "action": "remove", "reason": "a photograph (0.98)"},
            {"path": "dog/5.png", "content": content("dog 5"), "label": "dog", "photo_score": 0.5}
            | {"photo_verdict": "unsure", "action": "review", "reason": "unsure (0.50)"},
        ]
    )
    split = split_files(files, duplicates, photos, SplitSettings()).set_index("path")
    out = split[split.split == "out"].reason.to_dict()
    assert set(out) == {"cat/0.png", "cat/2.png", "cat/3.png", "dog/3.png", "dog/4.png"}
    assert out["cat/0.png"].startswith("unreadable")
    assert out["cat/2.png"] == "a near copy of cat/1.png"
    assert out["dog/3.png"] == "waits for review: the same picture stands under cat, dog"
    assert out["dog/4.png"] == "a photograph (0.98)"
    assert set(split[split.split != "out"].reason) == {""}


@pytest.mark.parametrize(
    ("val", "test", "words"),
    [
        (-0.1, 0.1, "val = -0.1"),
        (0.1, 1.0, "test = 1 "),
        (0.5, 0.5, "leave nothing for training"),
        (float("nan"), 0.1, "val = nan"),
    ],
)
def test_impossible_shares_are_an_error(val: float, test: float, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        simple({"cat": 10}, val=val, test=test)
    assert "--val 0.1 --test 0.1" in caught.value.remedy


def test_the_stage_reads_and_gives_a_table_that_can_be_stored(tmp_path) -> None:
    (tmp_path / "set").mkdir()
    workspace = Workspace.open(tmp_path / "set")
    files = make_files([(f"cat/{i}.png", str(i)) for i in range(10)])
    workspace.write("files", files)
    workspace.write("duplicates", DUPLICATES.empty())
    workspace.write("photos", PHOTOS.empty())
    workspace.write("pairs", PAIRS.empty())
    workspace.write("leaks", LEAKS.empty())
    made = run(Context(workspace), SplitSettings())
    workspace.write("splits", made["splits"])
    assert list(workspace.read("splits").columns) == list(SPLITS.columns)
    assert len(workspace.read("splits")) == 10


@st.composite
def folders(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A folder of up to three classes with exact copies, and disjoint duplicate groups, some under several labels."""
    rows = [
        (
            f"{draw(st.sampled_from(['ant', 'bee', 'cow']))}/{i}.png",
            draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz")),
        )
        for i in range(draw(st.integers(1, 40)))
    ]
    files = make_files(rows)
    chosen = draw(st.permutations([path for path, _ in rows]))
    groups = []
    while len(chosen) > 1 and draw(st.booleans()):
        size = draw(st.integers(2, min(6, len(chosen))))
        groups.append(list(chosen[:size]))
        chosen = chosen[size:]
    action = draw(st.sampled_from(["remove", "review"]))
    return files, make_duplicates(groups, files, action)


@settings(max_examples=60, deadline=None, database=None)
@given(
    folders(),
    st.sampled_from([(0.1, 0.1), (0.3, 0.3), (0.0, 0.5), (0.25, 0.0)]),
    st.integers(0, 3),
    st.randoms(),
)
def test_properties(
    made: tuple[pd.DataFrame, pd.DataFrame], shares: tuple[float, float], seed: int, random
) -> None:
    files, duplicates = made
    chosen = SplitSettings(*shares, seed)
    split = split_files(files, duplicates, PHOTOS.empty(), chosen)
    assert sorted(split.path) == sorted(files.path)
    used = split[split.split != "out"]
    assert (used.groupby("group").split.nunique() == 1).all()
    assert (used.groupby("content").split.nunique() == 1).all()
    numbers = duplicates.set_index("path").group
    assert (used.groupby(used.path.map(numbers)).split.nunique() <= 1).all()
    order = list(range(len(files)))
    random.shuffle(order)
    mixed = duplicates.sample(frac=1, random_state=random.randrange(1000))
    assert split_files(files.iloc[order], mixed, PHOTOS.empty(), chosen).equals(split)
    wished = {"train"} | {part for part, share in zip(("val", "test"), shares, strict=True) if share}
    one_label = used.groupby("group").label.nunique().max() == 1 if len(used) else False
    if one_label:
        for _, rows in used.groupby("label"):
            if rows.group.nunique() >= 3:
                assert set(rows.split) == wished


def test_what_was_joined_through_pictures_in_quarantine_stays_on_one_side():
    files = make_files([(f"a/{number}.png", f"p{number}") for number in range(40)])
    joined = [[content(f"p{number}") for number in (0, 7, 23)], [content("p1"), content("gone")]]
    for seed in range(5):
        table = split_files(
            files, DUPLICATES.empty(), PHOTOS.empty(), SplitSettings(0.3, 0.3, seed), joined=joined
        ).set_index("path")
        three = table.loc[["a/0.png", "a/7.png", "a/23.png"]]
        assert three["split"].nunique() == three["group"].nunique() == 1
    assert table["group"].nunique() == 38
