"""`classify export` whole: the file, the words, the snippet of the docs, refusals that leave nothing."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from classify import models, weights
from classify.answers import answer
from classify.cli import app
from classify.exporting import graph as graph_module
from classify.exporting.check import pictures_of, synthetic
from classify.weights import Preprocessing

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

OPTIONS = {"size": 28, "width": 2}
SNIPPET = Path(__file__).parents[3] / "docs" / "export.md"


def save(path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = models.create("lenet5", 3, OPTIONS)
    torch.nn.init.normal_(network.head.weight, std=3)
    weights.save(
        path, network.state_dict(), model="lenet5", model_options=OPTIONS, classes=["ant", "bee", "cät"],
        preprocessing=Preprocessing(28, background=(255, 200, 0)), settings={}, extra={"epoch": 1, "temperature": 0.5},
    )  # fmt: skip
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    # Wide, so that no path is folded.
    done = CliRunner().invoke(app, ["export", *map(str, arguments)], env={"COLUMNS": "500"})
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str]:
    """A folder with weights, exported once, and what was printed."""
    folder = tmp_path_factory.mktemp("export")
    code, out, err = run(save(folder / "best.safetensors"))
    assert code == 0, err
    return folder, out


@pytest.fixture
def quick(made, monkeypatch):
    """Exporting gives the graph that is there already, whatever the weights."""
    model = onnx.load(made[0] / "best.onnx")
    monkeypatch.setattr(graph_module, "graph", lambda classifier, more: model)


def test_two_files_and_the_figures(made):
    folder, out = made
    assert sorted(path.name for path in folder.iterdir()) == [
        "MODEL_CARD.md",
        "best.onnx",
        "best.safetensors",
    ]
    assert re.search(r"on 48 pictures: logits differ by \S+ at most, probabilities by .* in 100\.00%", out)
    about = {entry.key: entry.value for entry in onnx.load(folder / "best.onnx").metadata_props}
    assert json.loads(about["trained"]) == {"epoch": 1}
    assert len(json.loads(about["weights_sha256"])) == 64
    assert json.loads(about["temperature"]) == 0.5


def test_json_and_pictures_to_check_with(made, quick, stripes, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "words.txt").write_text("no picture")
    for name in ("a/0.png", "a/1.png"):
        (tmp_path / name).write_bytes((stripes / "level" / Path(name).name).read_bytes())
    (tmp_path / "a" / "2.png").write_text("no picture")
    out = tmp_path / "x.onnx"
    code, text, _ = run(made[0] / "best.safetensors", "--check", tmp_path / "a", "--out", out, "--json")
    assert code == 0
    found = json.loads(text)
    assert found["bytes"] == out.stat().st_size
    assert (found["check"]["pictures"], found["check"]["unreadable"], found["check"]["differing"]) == (
        2,
        1,
        0,
    )
    assert found["check"]["logits"] <= 1e-4


def test_what_answers_otherwise_is_refused_and_what_was_there_stays(quick, tmp_path):
    other = save(tmp_path / "other.safetensors", seed=1)
    (tmp_path / "other.onnx").write_text("old")
    before = sorted(tmp_path.iterdir())
    code, _, err = run(other)
    assert code == 4
    assert "was not written: onnxruntime beside PyTorch on 48 pictures" in err
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "other.onnx").read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("w.safetensors", "--out", "x.bin"), "does not end in .onnx"),
        (("w.safetensors", "--out", "nowhere/x.onnx"), "there is no such folder"),
        (("w.safetensors", "--out", "folder.onnx"), "is a folder"),
        (("w.safetensors", "--check", "nowhere"), "is no folder"),
        (("w.safetensors", "--check", "folder.onnx"), "there is no picture in it"),
        (("w.safetensors", "--check", "words"), "none of the 1 files to check with can be read"),
        (("gone.safetensors",), "there is no such file"),
        (("words/words.png",), "is no weights file"),
        (("gone.safetensors", "--card-only"), "there is no such file"),
        (("w.safetensors", "--card-only", "--check", "words"), "--check is for the ONNX file"),
        ((".",), "is a folder, not a weights file"),
    ],
)
def test_bad_input_is_said_and_nothing_is_written(quick, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "w.safetensors")
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "words.png").write_text("no picture")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run(*arguments)
    assert code == 2, err
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_card_alone_goes_into_the_folder_that_is_named(tmp_path):
    save(tmp_path / "w.safetensors")
    (tmp_path / "cards").mkdir()
    for out, place in (("cards", "cards/MODEL_CARD.md"), ("x.onnx", "MODEL_CARD.md")):
        code, _, err = run(tmp_path / "w.safetensors", "--card-only", "--out", tmp_path / out)
        assert code == 0, err
        assert (tmp_path / place).is_file()


def test_missing_packages_are_named_and_a_card_needs_none(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else find(name)
    )
    file = save(tmp_path / "w.safetensors")
    code, _, err = run(file)
    assert code == 2
    assert "export needs onnx, onnxscript, onnxruntime" in err
    assert "pip install 'curate-classify[export]'" in err
    code, out, _ = run(file, "--card-only")
    assert code == 0
    assert "MODEL_CARD.md" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["MODEL_CARD.md", "w.safetensors"]


def test_made_up_pictures_are_the_same_every_time_and_a_folder_is_walked_evenly(tmp_path, monkeypatch):
    for one, other in zip(synthetic(5), synthetic(5), strict=True):
        assert np.array_equal(one, other)
    monkeypatch.setattr("classify.exporting.check.MOST", 3)
    for index in range(9):
        (tmp_path / f"{index}.png").write_text("")
    assert [path.name for path in pictures_of(tmp_path)] == ["0.png", "4.png", "8.png"]


def picture(kind: str, path: Path, scene) -> None:
    """A file of the kind, larger than twice the network's input."""
    image = scene(3, 200)
    faded = Image.fromarray(np.tile(np.linspace(0, 255, 200).astype(np.uint8), (200, 1)))
    if kind in ("RGBA", "LA"):
        image.putalpha(faded)
        image.convert(kind).save(path, "PNG")
    elif kind == "palette":
        image.quantize(16).save(path, "PNG", transparency=2)
    elif kind == "16 bit":
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200).save(path, "PNG")
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.crop((0, 0, 200, 120)).save(path, "JPEG", exif=exif)
    else:
        mode, form = kind.split()
        image.resize((200, 333)).convert(mode).save(path, form)


@pytest.mark.parametrize(
    "kind",
    ["RGB PNG", "RGB JPEG", "L JPEG", "CMYK JPEG", "1 PNG", "RGBA", "LA", "palette", "16 bit", "turned"],
)
def test_the_snippet_of_the_docs_gives_the_same_answer(made, kind, tmp_path, monkeypatch, scene, capsys):
    picture(kind, tmp_path / "picture.png", scene)
    (tmp_path / "best.onnx").write_bytes((made[0] / "best.onnx").read_bytes())
    code = re.search(r"<!-- onnx -->\n```python\n(.*?)```", SNIPPET.read_text(encoding="utf-8"), re.DOTALL)
    assert "classify" not in code[1]
    assert "curate" not in code[1]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code[1], names)
    own = answer([tmp_path / "picture.png"], made[0] / "best.safetensors", top=1).iloc[0]
    assert capsys.readouterr().out.split()[0] == own.class_1
    assert names["probabilities"].max() == pytest.approx(own.probability_1, abs=1e-4)
