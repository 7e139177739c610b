"""Every recipe runs on a stand-in of its data's layout, and says what a reader needs."""

from __future__ import annotations

import gzip
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classify.data.sources import find_source
from classify.evaluation import evaluate
from classify.models import family_of
from classify.settings import read_settings
from classify.training import train
from curate.errors import UserError

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
KEYS = {"data", "layout", "train", "evaluate", "reference", "ours"}
TINY = [
    "training.minutes=0",
    "training.epochs=1",
    "training.batch_size=4",
    "training.precision=fp32",
    "training.device=cpu",
    "data.val=0.25",
]

random = np.random.default_rng(0)


def picture(side: int) -> np.ndarray:
    return random.integers(0, 255, (side, side, 3)).astype(np.uint8)


def folders(place: Path) -> Path:
    for name in ("one", "two"):
        (place / name).mkdir(parents=True)
        for index in range(8):
            Image.fromarray(picture(32)).save(place / name / f"{index}.png")
    return place


def table(place: Path) -> Path:
    folders(place)
    rows = [
        f"{name}/{index}.png,{name},{'test' if index > 5 else 'train'}"
        for name in ("one", "two")
        for index in range(8)
    ]
    (place / "set.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    return place / "set.csv"


def idx(place: Path) -> Path:
    place.mkdir()
    for part, count in (("train", 16), ("t10k", 4)):
        head = bytes([0, 0, 8, 3]) + b"".join(int(side).to_bytes(4, "big") for side in (count, 28, 28))
        images = random.integers(0, 255, (count, 28, 28)).astype(np.uint8)
        (place / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        labels = bytes([0, 0, 8, 1]) + count.to_bytes(4, "big") + bytes(index % 2 for index in range(count))
        (place / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return place


def cifar(place: Path) -> Path:
    place.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        rows = [bytes([index % 2]) + picture(32).transpose(2, 0, 1).tobytes() for index in range(4)]
        (place / f"{name}.bin").write_bytes(b"".join(rows))
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    (place / "batches.meta.txt").write_text("\n".join(names) + "\n")
    return place


LAYOUTS: dict[str, Callable[[Path], Path]] = {"folders": folders, "csv": table, "idx": idx, "cifar": cifar}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_it_is_for(recipe: Path) -> None:
    about = tomllib.loads(recipe.read_text())["recipe"]
    assert set(about) == KEYS
    assert all(about.values())
    assert f"--settings recipes/{recipe.name}" in about["train"]
    assert about["evaluate"].startswith("classify evaluate ")
    model = read_settings(recipe).model
    if model.name.startswith("timm:"):
        import timm

        assert model.name.removeprefix("timm:") in timm.list_pretrained()


@pytest.mark.parametrize(
    "recipe", [one for one in RECIPES if one.stem != "illustrations20"], ids=lambda path: path.stem
)
def test_a_recipe_whose_data_are_not_there_says_where_they_are_had(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tomllib.loads(recipe.read_text())["recipe"]["train"].split()[2]
    with pytest.raises(UserError, match="there is no such") as caught:
        find_source(place)
    assert "Get the set from the" in caught.value.remedy


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_on_a_stand_in(recipe: Path, tmp_path: Path) -> None:
    about = tomllib.loads(recipe.read_text())["recipe"]
    data = LAYOUTS[about["layout"]](tmp_path / "data")
    settings, more = read_settings(recipe), list(TINY)
    if settings.data.size > 40:
        more.append("data.size=40")
    if family_of(settings.model.name) is None:
        more.append("model.width=4")
    if settings.model.name.startswith("timm:"):  # the network itself is large, and its weights a download
        more += [
            "model.name=timm:test_convnext",
            'model.weights=""',
            "transfer.mode=full",
            "transfer.layer_decay=1",
            "transfer.head_share=0.2",
        ]
    result = train(data, tmp_path / "run", read_settings(recipe, more), workers=1)
    found = evaluate(data, result.best, workers=1)
    assert 0 <= found.metrics["accuracy"] <= 1
