import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics as sklearn_metrics

from classify import models, weights
from classify.evaluation import classification_report, confusion, evaluate, measure, summary, uncertainty
from classify.evaluation.scores import remarks
from classify.exporting.records import read_records
from classify.matching import match_classes
from curate.errors import UserError

CLASSES = ["bird", "cat", "dog", "elephant", "fish", "goat"]


# Metrics against scikit-learn --------------------------------------------------------------------------------------


@st.composite
def tables(draw):
    """A random predictions table of classes with odd names, some without pictures, and its classes in any order."""
    names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
    classes = draw(st.lists(names, min_size=1, max_size=9, unique=True))
    rows = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    belief = rng.dirichlet(np.ones(len(classes)), rows).astype(np.float32)
    if draw(st.booleans()):
        belief[:, -1] = 0
    table = pd.DataFrame(belief, columns=[f"p:{name}" for name in classes])
    known = draw(st.integers(1, len(classes)))
    table["label"] = [classes[i] for i in rng.integers(0, known, rows)]
    table["prediction"] = [classes[i] for i in belief.argmax(axis=1)]
    return table, classes


@settings(max_examples=40, deadline=None)
@given(tables())
def test_scores_agree_with_scikit_learn(given_table):
    table, classes = given_table
    truth, guess = table["label"].to_list(), table["prediction"].to_list()
    present = sorted(set(truth))
    scores = measure(table, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sklearn_metrics.classification_report(truth, guess, labels=present, output_dict=True)
        report = sklearn_metrics.classification_report(truth, guess, labels=present)
        plain = sklearn_metrics.classification_report(truth, guess)
        balanced = sklearn_metrics.balanced_accuracy_score(truth, guess)
    assert classification_report(truth, guess) == report
    if set(guess) <= set(truth):
        assert report == plain
    assert scores["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(truth, guess))
    assert scores["balanced_accuracy"] == pytest.approx(balanced)
    for average in ("macro", "weighted"):
        for mine, name in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert scores[f"{average}_{mine}"] == pytest.approx(theirs[f"{average} avg"][name])
    for mine, score in (
        ("precision", sklearn_metrics.precision_score),
        ("recall", sklearn_metrics.recall_score),
        ("f1", sklearn_metrics.f1_score),
    ):
        expected = score(truth, guess, labels=present, average="micro", zero_division=0)
        assert scores[f"micro_{mine}"] == pytest.approx(expected)
    assert list(scores["per_class"]) == present
    for name, values in scores["per_class"].items():
        expected = sklearn_metrics.precision_recall_fscore_support(
            truth, guess, labels=[name], average=None, zero_division=0
        )
        assert [values[key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(
            [float(part[0]) for part in expected]
        )
    names, matrix = confusion(table, classes)
    assert (matrix == sklearn_metrics.confusion_matrix(truth, guess, labels=names)).all()
    json.dumps(scores, allow_nan=False)


@settings(max_examples=20, deadline=None)
@given(st.integers(6, 12), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_top_five_agrees_with_scikit_learn(count, rows, seed):
    rng = np.random.default_rng(seed)
    classes = [f"class {i:02}" for i in range(count)]
    belief = rng.dirichlet(np.ones(count), rows)
    labels = rng.integers(0, count, rows)
    table = pd.DataFrame(belief, columns=[f"p:{name}" for name in classes])
    table["label"] = [classes[i] for i in labels]
    table["prediction"] = [classes[i] for i in belief.argmax(axis=1)]
    expected = sklearn_metrics.top_k_accuracy_score(labels, belief, k=5, labels=np.arange(count))
    assert measure(table, classes)["top_5_accuracy"] == pytest.approx(expected)


def by_hand(pairs, classes):
    table = pd.DataFrame(pairs, columns=["label", "prediction"])
    for name in classes:
        table[f"p:{name}"] = (table["prediction"] == name).astype(np.float32)
    return table


def test_classes_too_small_for_an_interval_are_named():
    per_class = {name: {"support": count} for name, count in (("a", 2), ("b", 3), ("c", 1))}
    scores = {"per_class": per_class, "most_confused": [], "intervals": {}}
    assert remarks(scores, list("abc")) == [
        "2 classes have fewer than 3 test pictures: a, c. Do not rely on the intervals."
    ]


def test_ten_rows_by_hand():
    pairs = [("a", "a")] * 4 + [("a", "b")] * 2 + [("b", "b")] * 3 + [("b", "c")]
    scores = measure(by_hand(pairs, "abc"), list("abc"))
    assert scores["accuracy"] == pytest.approx(0.7)
    assert scores["per_class"]["a"] == pytest.approx(
        {"precision": 1, "recall": 4 / 6, "f1": 0.8, "support": 6}
    )
    assert scores["per_class"]["b"] == pytest.approx(
        {"precision": 0.6, "recall": 0.75, "f1": 2 / 3, "support": 4}
    )
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores["micro_precision"] == pytest.approx(7 / 9)
    assert scores["confusion_matrix"] == {
        "classes": ["a", "b", "c"],
        "counts": [[4, 2, 0], [0, 3, 1], [0, 0, 0]],
    }
    assert scores["most_confused"][0] == pytest.approx(
        {"label": "a", "prediction": "b", "count": 2, "share": 1 / 3}
    )
    assert "top_5_accuracy" not in scores
    text = "\n".join(summary(scores, list("abc")))
    assert "The averages are over the 2 of 3 classes that have test pictures; without: c." in text
    assert "1 picture was taken for a class without test pictures" in text
    assert "a taken for b (2, 33% of its pictures)" in text


def test_no_rows_are_an_error():
    with pytest.raises(ValueError, match="no rows"):
        measure(by_hand([], "ab"), ["a", "b"])


# Matching by name --------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.permutations(CLASSES), st.permutations([*CLASSES[1:], "zebra"]))
def test_matching_ignores_order(classes, folders):
    match = match_classes(folders, classes)
    assert match.labels == {name: name for name in CLASSES[1:]}
    assert match.unknown == ["zebra"]
    assert match.missing == ["bird"]


def test_case_and_unicode_form_match_where_they_are_not_ambiguous():
    assert match_classes(["Cat", "CAFE\u0301"], ["cat", "caf\u00e9"]).respelled == {
        "Cat": "cat",
        "CAFE\u0301": "caf\u00e9",
    }
    two_folders = match_classes(["Cat", "CAT"], ["cat"])
    assert (two_folders.labels, two_folders.ambiguous, two_folders.missing) == ({}, ["CAT", "Cat"], ["cat"])
    own_name_too = match_classes(["cat", "Cat"], ["cat"])
    assert (own_name_too.labels, own_name_too.ambiguous) == ({"cat": "cat"}, ["Cat"])
    two_classes = match_classes(["CAT"], ["cat", "Cat"])
    assert (two_classes.labels, two_classes.ambiguous) == ({}, ["CAT"])


# Whole evaluations -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "best.safetensors"
    torch.manual_seed(0)
    options = {"size": 16, "width": 4}
    network = models.create("small-resnet", len(CLASSES), options)
    with torch.no_grad():  # make the answers differ from picture to picture
        for value in network.parameters():
            value += 0.5 * torch.randn_like(value)
    weights.save(
        path,
        network.state_dict(),
        model="small-resnet",
        model_options=options,
        classes=CLASSES,
        preprocessing=weights.Preprocessing(size=16),
        settings={"evaluation": {"flip": True}},
    )
    return path


@pytest.fixture(scope="module")
def full_folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("full") / "test"
    rng = np.random.default_rng(1)
    for name in CLASSES:
        (root / name / "deep").mkdir(parents=True)
        for i in range(5):
            pixels = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
            picture = Image.fromarray(pixels).resize((30, 20), Image.Resampling.NEAREST)
            picture.save(root / name / ("deep" if i == 4 else "") / f"{i}.png")
    return root


@pytest.fixture
def folder(full_folder, tmp_path):
    return Path(shutil.copytree(full_folder, tmp_path / "test"))


@pytest.fixture(scope="module")
def full(full_folder, weights_file, tmp_path_factory):
    return evaluate(full_folder, weights_file, out=tmp_path_factory.mktemp("out"))


def answers(evaluation):
    return dict(zip(evaluation.predictions["path"], evaluation.predictions["prediction"], strict=True))


def _change(path):
    """Give the weights file another temperature."""
    found = weights.load(path)
    weights.save(
        path,
        found.model.state_dict(),
        model=found.metadata["model"]["name"],
        model_options=found.metadata["model"]["options"],
        classes=found.classes,
        preprocessing=found.preprocessing,
        settings=found.settings,
        extra={"temperature": 3.0},
    )


def test_where_pictures_and_weights_are_does_not_hang_on_where_one_stands(
    full_folder, weights_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(full_folder)
    result = evaluate(".", weights_file, out=tmp_path / "out", leaks=False)
    assert result.metrics["folder"] == str(full_folder)
    assert Path(result.metrics["weights"]).is_absolute()
    assert "group" not in result.predictions, "copies were not looked for"


def test_what_is_replaced_is_said(folder, full_folder, weights_file, tmp_path):
    def last_line(pictures, weights=weights_file):
        said = []
        evaluate(pictures, weights, out=tmp_path / "out", leaks=False, say=said.append)
        return said[-1].splitlines()[-1]

    assert last_line(full_folder).startswith("Written to")
    assert last_line(full_folder).startswith("Written to")
    assert f"the evaluation of {full_folder} that was there" in last_line(folder)
    other = Path(shutil.copy(weights_file, tmp_path / "other.safetensors"))
    assert last_line(folder, other).startswith("Written to"), "the same weights in another place"
    _change(other)
    assert "the evaluation by these weights before they changed that was there" in last_line(folder, other)
    assert f"the evaluation by {other} that was there" in last_line(folder)
    assert last_line(folder).startswith("Written to")
    (tmp_path / "out" / "metrics.json").write_text("[]")
    assert last_line(full_folder).startswith("Written to")


def test_everything_is_written_and_can_be_read_back(full_folder, weights_file, tmp_path):
    said = []
    result = evaluate(
        full_folder,
        weights_file,
        out=tmp_path / "deep" / "out",
        draw=lambda matrix, names: b"picture",
        say=said.append,
    )
    out = tmp_path / "deep" / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "confusion_matrix.csv", "confusion_matrix.png", "metrics.json", "predictions.parquet", "report.txt",
    ]  # fmt: skip
    table = pd.read_parquet(out / "predictions.parquet")
    assert list(table.columns) == [
        "path",
        "label",
        "prediction",
        "confidence",
        "group",
        *(f"p:{name}" for name in CLASSES),
    ]
    assert len(table) == 30
    assert table["path"].is_monotonic_increasing
    assert "bird/deep/4.png" in set(table["path"])
    assert set(table["prediction"]) <= set(CLASSES)
    belief = table[[f"p:{name}" for name in CLASSES]]
    assert (belief.idxmax(axis=1) == "p:" + table["prediction"]).all()
    np.testing.assert_allclose(belief.max(axis=1), table["confidence"])
    stored = json.loads((out / "metrics.json").read_text())
    assert stored == result.metrics
    assert stored["schema"] == 2
    truth, guess = table["label"], table["prediction"]
    assert stored["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(truth, guess, average="macro"))
    report = sklearn_metrics.classification_report(truth, guess, zero_division=0)
    assert result.report == report
    text = (out / "report.txt").read_text()
    assert report in text
    assert report in "\n".join(said)
    assert f"micro-F1 {stored['micro_f1']:.4f}" in text
    counts = pd.read_csv(out / "confusion_matrix.csv", index_col=0)
    assert list(counts.index) == list(counts.columns) == CLASSES
    assert counts.to_numpy().sum() == 30
    assert (out / "confusion_matrix.png").read_bytes() == b"picture"


def test_intervals_and_calibration_stand_beside_the_scores(full):
    found = full.metrics["intervals"]
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        low, high = found[name]
        assert 0 <= low <= full.metrics[name] <= high <= 1
        assert high - low > 0.05  # thirty pictures say little
    for name, ends in found["per_class"].items():
        assert ends["f1"][0] <= full.metrics["per_class"][name]["f1"] <= ends["f1"][1]
    assert sum(row["pictures"] for row in full.metrics["calibration"]["bins"]) == 30
    low, high = found["accuracy"]
    assert f"95% intervals: accuracy {low:.3f} to {high:.3f}" in full.text
    assert "no temperature was fitted" in full.text


def test_a_temperature_changes_confidences_and_no_prediction(full_folder, weights_file, full, tmp_path):
    found = weights.load(weights_file)
    warm = tmp_path / "warm.safetensors"
    weights.save(
        warm,
        found.model.state_dict(),
        model="small-resnet",
        model_options={"size": 16, "width": 4},
        classes=found.classes,
        preprocessing=found.preprocessing,
        settings=found.settings,
        extra={"temperature": 40.0},
    )
    result = evaluate(full_folder, warm, out=tmp_path / "out")
    assert answers(result) == answers(full)
    assert (result.predictions["confidence"] < full.predictions["confidence"] - 1e-4).all()
    calibration = result.metrics["calibration"]
    assert calibration["temperature"] == 40
    assert calibration["ece_without_temperature"] == pytest.approx(
        full.metrics["calibration"]["ece"], abs=1e-6
    )
    assert "without the temperature 40.00" in result.text


def test_ten_thousand_pictures_of_five_hundred_classes_have_scores_and_intervals():
    generator = np.random.default_rng(0)
    names = [f"class {i}" for i in range(500)]
    labels = np.arange(10_000) % 500
    belief = generator.random((10_000, 500), np.float32)
    belief[np.arange(10_000), np.where(generator.random(10_000) < 0.6, labels, 0)] += 1
    belief /= belief.sum(1, keepdims=True)
    table = pd.DataFrame(belief, columns=[f"p:{name}" for name in names])
    table.insert(0, "label", [names[i] for i in labels])
    table.insert(1, "prediction", [names[i] for i in belief.argmax(1)])
    scores = measure(table, names) | uncertainty(table, names)
    low, high = scores["intervals"]["macro_f1"]
    assert low < scores["macro_f1"] < high < low + 0.05


def test_the_default_place_is_beside_the_weights(full_folder, weights_file, tmp_path):
    own = tmp_path / "run" / "best.safetensors"
    own.parent.mkdir()
    shutil.copy(weights_file, own)
    result = evaluate(full_folder, own)
    assert result.out == own.parent / "evaluation"
    assert (result.out / "metrics.json").is_file()
    records = read_records(own)
    assert records.notes == []
    assert records.metrics["accuracy"] == result.metrics["accuracy"], "the model card knows them as its own"


def test_the_same_folder_gives_the_same_bytes(full_folder, weights_file, full, tmp_path):
    evaluate(full_folder, weights_file, out=tmp_path)
    for name in ("metrics.json", "predictions.parquet", "report.txt", "confusion_matrix.csv"):
        assert (tmp_path / name).read_bytes() == (full.out / name).read_bytes()


def test_a_missing_folder_changes_no_prediction_and_is_said(folder, weights_file, full, tmp_path):
    shutil.rmtree(folder / "dog")
    result = evaluate(folder, weights_file, out=tmp_path / "out")
    expected = {path: name for path, name in answers(full).items() if not path.startswith("dog/")}
    assert answers(result) == expected
    assert "1 class has no folder: dog." in result.text
    assert "The averages are over the 5 of 6 classes that have test pictures; without: dog." in result.text
    assert result.metrics["folders"]["missing"] == ["dog"]
    assert result.metrics["classes_without_pictures"] == ["dog"]
    kept = full.predictions[full.predictions["label"] != "dog"]
    present = [name for name in CLASSES if name != "dog"]
    expected_f1 = sklearn_metrics.f1_score(
        kept["label"], kept["prediction"], labels=present, average="macro", zero_division=0
    )
    assert result.metrics["macro_f1"] == pytest.approx(expected_f1)


def test_an_extra_folder_is_said_and_not_scored(folder, weights_file, full, tmp_path):
    shutil.copytree(folder / "dog", folder / "zebra")
    result = evaluate(folder, weights_file, out=tmp_path / "out")
    assert answers(result) == answers(full)
    assert result.metrics["accuracy"] == full.metrics["accuracy"]
    assert "1 folder is no class of these weights: zebra. 5 files there are not scored." in result.text
    assert result.metrics["folders"]["unknown"] == ["zebra"]
    unscored = result.metrics["unscored"]
    assert {row["path"].removeprefix("zebra/"): row["prediction"] for row in unscored} == {
        path.removeprefix("dog/"): name for path, name in answers(full).items() if path.startswith("dog/")
    }


def test_an_empty_folder_is_said(folder, weights_file, full, tmp_path):
    shutil.rmtree(folder / "cat")
    (folder / "cat").mkdir()
    (folder / "cat" / ".hidden.png").write_bytes(b"x")
    result = evaluate(folder, weights_file, out=tmp_path / "out")
    assert answers(result) == {
        path: name for path, name in answers(full).items() if not path.startswith("cat/")
    }
    assert "1 folder is empty: cat." in result.text
    assert "without: cat." in result.text
    assert "no folder" not in result.text
    assert result.metrics["hidden"] == 1


def test_another_case_is_matched_and_said(folder, weights_file, full, tmp_path):
    (folder / "dog").rename(folder / "DOG")
    result = evaluate(folder, weights_file, out=tmp_path / "out")
    assert {path.replace("DOG/", "dog/"): name for path, name in answers(result).items()} == answers(full)
    assert set(result.predictions["label"]) == set(CLASSES)
    assert result.metrics["accuracy"] == full.metrics["accuracy"]
    assert "Folder 'DOG' is taken for class 'dog'" in result.text


def test_a_nearly_right_name_gets_a_hint(folder, weights_file, tmp_path):
    (folder / "elephant").rename(folder / "elefant")
    result = evaluate(folder, weights_file, out=tmp_path / "out")
    assert "If 'elefant' is meant to be 'elephant', rename it." in result.text


def test_folders_that_sort_otherwise_change_nothing(folder, weights_file, full, tmp_path):
    """The classes of the weights in another order: positions differ, names decide."""
    path = tmp_path / "reordered.safetensors"
    found = weights.load(weights_file)
    order = [3, 0, 5, 1, 4, 2]
    state = dict(found.model.state_dict())
    state["head.weight"], state["head.bias"] = state["head.weight"][order], state["head.bias"][order]
    weights.save(
        path, state, model="small-resnet", model_options={"size": 16, "width": 4},
        classes=[CLASSES[i] for i in order], preprocessing=found.preprocessing, settings=found.settings,
    )  # fmt: skip
    result = evaluate(folder, path, out=tmp_path / "out")
    assert answers(result) == answers(full)
    assert result.report == full.report
    assert result.metrics["confusion_matrix"] == full.metrics["confusion_matrix"]


def test_unreadable_files_are_counted_and_named(folder, weights_file, full, tmp_path):
    (folder / "dog" / "0.png").write_bytes(b"")
    (folder / "dog" / "notes.txt").write_text("words")
    result = evaluate(folder, weights_file, out=tmp_path / "out")
    assert answers(result) == {path: name for path, name in answers(full).items() if path != "dog/0.png"}
    assert (
        "2 files cannot be read as pictures and are not scored: dog/0.png (the file has no bytes)"
        in result.text
    )
    assert [(row["path"], row["reason"]) for row in result.metrics["unreadable"]] == [
        ("dog/0.png", "empty"),
        ("dog/notes.txt", "not_an_image"),
    ]


def test_hidden_and_loose_files_are_left_out(folder, weights_file, full, tmp_path):
    shutil.copy(folder / "dog" / "0.png", folder / "loose.png")
    shutil.copy(folder / "dog" / "0.png", folder / "dog" / ".hidden.png")
    shutil.copytree(folder / "dog", folder / ".cache")
    shutil.copytree(folder / "cat", folder / "dog" / ".trash")
    result = evaluate(folder, weights_file, out=tmp_path / "out")
    assert answers(result) == answers(full)
    assert "1 file lies outside the class folders: not scored." in result.text
    assert result.metrics["hidden"] == 3


@pytest.mark.skipif(os.name == "nt", reason="names of bytes are a matter of POSIX")
def test_names_that_are_not_text(folder, weights_file, full, tmp_path):
    try:
        (folder / "dog" / "0.png").rename(folder / "dog" / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system takes no such names")
    result = evaluate(folder, weights_file, out=tmp_path / "out")
    assert answers(result)["dog/\\xff.png"] == answers(full)["dog/0.png"]
    assert (tmp_path / "out" / "metrics.json").is_file()


# Bad input ---------------------------------------------------------------------------------------------------------


def refused(tmp_path, folder, weights_file, **options):
    """The message of an evaluation that must fail, and leave nothing behind."""
    out = options.pop("out", tmp_path / "out" / "deep")
    with pytest.raises(UserError) as caught:
        evaluate(folder, weights_file, out=out, **options)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()
    return str(caught.value)


def test_folder_and_weights_the_wrong_way_round(folder, weights_file, tmp_path):
    message = refused(tmp_path, weights_file, folder)
    assert "is a weights file" in message
    assert f"{folder} {weights_file}" in message


def test_a_table_gives_what_its_folder_gives(full_folder, weights_file, full, tmp_path):
    paths = full.predictions["path"].tolist()
    lines = [f"{full_folder / path},{path.split('/')[0].upper()},test" for path in paths]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,label,split", "lost.png,cat,train", *lines, "lost.png2,zebra,test"]))
    result = evaluate(table, weights_file, out=tmp_path / "out")
    assert result.predictions["path"].tolist() == [str(full_folder / path) for path in paths]
    assert result.predictions["prediction"].tolist() == full.predictions["prediction"].tolist()
    assert result.metrics["accuracy"] == full.metrics["accuracy"]
    assert "Label 'BIRD' is taken for class 'bird'" in result.text
    assert "1 label is no class of these weights: zebra." in result.text
    assert result.metrics["folder"] == str(table)


@pytest.fixture
def flat(full_folder, tmp_path):
    """The same pictures in one folder, and the list of their labels."""
    root = tmp_path / "flat"
    root.mkdir()
    lines = ["path,label"]
    for path in sorted(full_folder.rglob("*.png")):
        parts = path.relative_to(full_folder).parts
        shutil.copy(path, root / "-".join(parts))
        lines.append(f"{'-'.join(parts)},{parts[0]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return root


def test_a_flat_folder_with_a_list_of_labels_gives_what_class_folders_give(
    flat, weights_file, full, tmp_path
):
    shutil.copy(flat / "cat-0.png", flat / "more.png")
    result = evaluate(flat, weights_file, out=tmp_path / "out", labels=tmp_path / "labels.csv")
    assert answers(result) == {path.replace("/", "-"): name for path, name in answers(full).items()}
    assert result.report == full.report
    assert result.metrics["intervals"] == full.metrics["intervals"]
    assert "1 file of" in result.text
    assert "has no line in labels.csv: not scored" in result.text


def test_a_listed_file_that_is_not_there_is_named(flat, weights_file, full, tmp_path):
    (flat / "cat-0.png").unlink()
    result = evaluate(flat, weights_file, out=tmp_path / "out", labels=tmp_path / "labels.csv")
    assert [row["path"] for row in result.metrics["unreadable"]] == ["cat-0.png"]
    assert len(result.predictions) == 29


def test_mapped_folders_give_the_same_verdicts(folder, weights_file, full, tmp_path):
    (folder / "cat").rename(folder / "Katze")
    (folder / "dog" / "deep").rename(folder / "Welpe")
    shutil.copytree(folder / "bird", folder / "rubbish")
    table = tmp_path / "map.csv"
    table.write_text("folder,class\nKatze,cat\nWelpe,dog\nrubbish,\nHase,goat\n")
    result = evaluate(folder, weights_file, out=tmp_path / "out", classes=table)
    renamed = {
        path.replace("Katze/", "cat/").replace("Welpe/", "dog/deep/"): name
        for path, name in answers(result).items()
    }
    assert renamed == answers(full)
    assert result.report == full.report
    assert "By the map: Katze as cat, Welpe as dog." in result.text
    assert "By the map left out: rubbish." in result.text
    assert "The map names what there is no folder of: Hase." in result.text
    assert result.metrics["folders"]["mapped"] == {"Katze": "cat", "Welpe": "dog"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not name the columns folder and class"),
        ("folder,class\n", "names no folder"),
        ("folder,class\na,cta\n", "line 2: 'cta' is no class of the weights"),
        ("folder,class\na,cat\na,dog\n", "line 3: a is named twice"),
        ("folder,class\n,dog\n", "line 2: the folder is empty"),
        (None, "cannot be read"),
    ],
)
def test_a_map_that_will_not_do(text, message, tmp_path, folder, weights_file):
    table = tmp_path / "map.csv"
    if text is not None:
        table.write_text(text)
    assert message in refused(tmp_path, folder, weights_file, classes=table)


def test_a_list_of_labels_that_will_not_do(tmp_path, flat, folder, weights_file):
    assert "is no CSV file" in refused(tmp_path, flat, weights_file, labels=weights_file)
    assert "there is no such file" in refused(tmp_path, flat, weights_file, labels=tmp_path / "none.csv")
    (tmp_path / "short.csv").write_text("path\ncat-0.png\n")
    assert "has no column label" in refused(tmp_path, flat, weights_file, labels=tmp_path / "short.csv")
    assert "is a file, not a folder" in refused(
        tmp_path, weights_file, weights_file, labels=tmp_path / "labels.csv"
    )


def test_arrays_have_readable_names_in_the_predictions(weights_file, tmp_path):
    root = tmp_path / "digits"
    root.mkdir()
    pictures = np.random.default_rng(0).integers(0, 256, (3, 9, 9), np.uint8)
    (root / "t10k-images-idx3-ubyte").write_bytes(
        bytes([0, 0, 8, 3, *(0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 9)]) + pictures.tobytes()
    )
    (root / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 0, 1]))
    with pytest.raises(UserError, match=r"none of its labels is a class of the weights\. Its labels: 0, 1"):
        evaluate(root, weights_file, out=tmp_path / "out")
    digits = tmp_path / "digits.safetensors"
    weights.save(
        digits,
        models.create("small-resnet", 2, {"size": 16, "width": 4}).state_dict(),
        model="small-resnet",
        model_options={"size": 16, "width": 4},
        classes=["1", "0"],
        preprocessing=weights.Preprocessing(size=16),
        settings={},
    )
    result = evaluate(root, digits, out=tmp_path / "out")
    assert result.predictions["path"].tolist() == [f"t10k-images[{index}]" for index in range(3)]
    assert result.predictions["label"].tolist() == ["1", "0", "1"]


def test_no_such_folder(tmp_path, weights_file):
    assert "nowhere: there is no such folder" in refused(tmp_path, tmp_path / "nowhere", weights_file)


def test_a_file_for_a_folder(tmp_path, weights_file):
    assert "is a file, not a folder" in refused(tmp_path, weights_file, weights_file)


def test_an_empty_test_folder(tmp_path, weights_file):
    (tmp_path / "test").mkdir()
    assert "holds no class folders; it is empty." in refused(tmp_path, tmp_path / "test", weights_file)


def test_a_flat_folder(tmp_path, folder, weights_file):
    text = refused(tmp_path, folder / "dog" / "deep", weights_file)
    assert "holds no class folders, only 1 file." in text
    assert "FOLDER/CLASS/picture.png, or give a CSV file" in text
    assert "the weights know bird, cat, dog" in text


def test_no_folder_is_a_class(tmp_path, folder, weights_file):
    for name in CLASSES:
        (folder / name).rename(folder / f"0{name}0")
    text = refused(tmp_path, folder, weights_file)
    assert "none of its folders is a class" in text
    assert "Its folders: 0bird0, 0cat0" in text
    assert "The weights' classes: bird, cat" in text


def test_the_folder_above_the_test_folder(tmp_path, folder, weights_file):
    (tmp_path / "data").mkdir()
    folder.rename(tmp_path / "data" / "validation")
    shutil.copytree(tmp_path / "data" / "validation", tmp_path / "data" / "train")
    asked = refused(tmp_path, tmp_path / "data", weights_file)
    assert f"Did you mean {tmp_path / 'data' / 'validation'}?" in asked, (
        "never the training part where there is another"
    )
    (tmp_path / "data" / "validation").rename(tmp_path / "data" / "test")
    assert f"Did you mean {tmp_path / 'data' / 'test'}?" in refused(tmp_path, tmp_path / "data", weights_file)


def test_only_empty_class_folders(tmp_path, weights_file):
    (tmp_path / "test" / "dog").mkdir(parents=True)
    assert "the class folders hold no pictures" in refused(tmp_path, tmp_path / "test", weights_file)


def test_nothing_can_be_read(tmp_path, weights_file):
    (tmp_path / "test" / "dog").mkdir(parents=True)
    (tmp_path / "test" / "dog" / "a.png").write_bytes(b"words")
    text = refused(tmp_path, tmp_path / "test", weights_file)
    assert "none of its 1 files can be read as a picture; the first is dog/a.png: the bytes are not" in text


def test_weights_that_are_none(tmp_path, folder):
    (tmp_path / "no.safetensors").write_bytes(b"no weights at all")
    assert "is no weights file" in refused(tmp_path, folder, tmp_path / "no.safetensors")
    assert "there is no such file" in refused(tmp_path, folder, tmp_path / "nothing")


def test_results_never_go_into_the_test_folder(tmp_path, folder, weights_file):
    before = sorted(folder.rglob("*"))
    assert "inside the test folder" in refused(tmp_path, folder, weights_file, out=folder / "results")
    shutil.copy(weights_file, folder / "best.safetensors")
    assert "inside the test folder" in refused(tmp_path, folder, folder / "best.safetensors", out=None)
    (folder / "best.safetensors").unlink()
    assert sorted(folder.rglob("*")) == before


def test_a_place_that_cannot_be_written(tmp_path, folder, weights_file):
    (tmp_path / "file").write_text("")
    text = refused(tmp_path, folder, weights_file, out=tmp_path / "file")
    assert "the results cannot be written there" in text
    assert "--out" in text


def test_a_full_disk_leaves_what_was_there(tmp_path, folder, weights_file, monkeypatch):
    out = tmp_path / "kept"
    evaluate(folder, weights_file, out=out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    shutil.rmtree(folder / "dog")
    calls = []

    def fsync(handle):
        calls.append(handle)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("classify.outputs.os.fsync", fsync)
    text = refused(tmp_path, folder, weights_file, out=out)
    assert "No space left on device" in text
    assert "Make room" in text
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
