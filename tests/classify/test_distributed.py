"""Two processes, as torchrun starts them, learn what one learns."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from classify.distributed import ALONE, Group, join
from curate.errors import UserError

SCRIPT = """
import sys
from torch import nn
from classify import models
from classify.settings import read_settings
from classify.training import train

@models.register("flat")
def flat(classes, size, width, dropout):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (size - 2) ** 2, classes))

off = ["affine", "flip", "mix", "hue", "tone", "grey", "invert", "erase", "mixup"]
settings = read_settings(None, [
    *(f"augmentation.{name}=0" for name in off), "model.name=flat", "data.size=8", "training.minutes=0",
    "training.epochs=2", "training.batch_size=8", "training.device=cpu", "training.precision=fp32",
])
said = []
result = train(sys.argv[1], sys.argv[2], settings, workers=1, say=said.append)
assert bool(said) == (result.macro_f1 is not None)
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(14):
            noise = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(noise).save(tmp_path / "data" / name / f"{index}.png")
    return tmp_path / "data"


def test_two_processes_learn_what_one_learns(pictures: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    two = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for run, launch in (("one", []), ("two", two)):
        subprocess.run(
            [sys.executable, *launch, str(script), str(pictures), str(tmp_path / run)],
            check=True,
            capture_output=True,
            cwd=Path(__file__).parents[2],
        )
    one, other = (load_file(tmp_path / run / "last.safetensors") for run in ("one", "two"))
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5)


def test_one_process_of_several_speaks(pictures: Path, tmp_path: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "classify"]
    more = [
        "data.size=16",
        "model.width=4",
        "training.minutes=0",
        "training.epochs=1",
        "training.batch_size=8",
    ]
    words = [
        word for text in (*more, "training.device=cpu", "training.precision=fp32") for word in ("--set", text)
    ]
    done = subprocess.run(
        [sys.executable, *launch, "train", str(pictures), "--out", str(tmp_path / "run"), "--json", *words],
        check=True, capture_output=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert json.loads(done.stdout)["macro_f1"] is not None


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with (
        pytest.raises(UserError, match="cannot be divided among 3 processes") as error,
        join(torch.device("cpu"), 64),
    ):
        pass
    assert "63" in error.value.remedy


def test_each_process_takes_its_part_of_the_batch() -> None:
    batch = np.arange(6)
    assert [Group(rank, 2).part(batch).tolist() for rank in (0, 1)] == [[0, 2, 4], [1, 3, 5]]
    assert ALONE.part(batch).tolist() == batch.tolist()
    assert ALONE.agree(1.5, 2) == [1.5, 2]
    assert ALONE.agree_text("ä") == "ä"


BY_RANK = """
import os, sys
from classify.cli import main
pictures, other, out = sys.argv[1:]
small = ["data.size=16", "model.width=4", "training.minutes=0", "training.epochs=1", "training.precision=fp32"]
words = [word for text in (*small, "training.device=cpu") for word in ("--set", text)]
sys.argv = ["classify", "train", other if os.environ["RANK"] == "1" else pictures, "--out", out, *words]
main()
"""


@pytest.mark.parametrize(
    ("other", "out", "message"),
    [("fewer", "run", "read different pictures there"), ("data", "file/run", "cannot be made")],
)
def test_what_stops_several_processes_is_one_sentence_each(
    pictures: Path, tmp_path: Path, other: str, out: str, message: str
) -> None:
    (tmp_path / "script.py").write_text(BY_RANK)
    (tmp_path / "file").touch()
    shutil.copytree(pictures, tmp_path / "fewer")
    (tmp_path / "fewer" / "a" / "3.png").unlink()
    launch = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(tmp_path / "script.py"),
    ]
    done = subprocess.run(
        [sys.executable, *launch, str(pictures), str(tmp_path / other), str(tmp_path / out)],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120,
    )  # fmt: skip
    assert done.returncode
    assert message in done.stderr
    assert "this is a bug" not in done.stderr
    assert not (tmp_path / "run").exists()
