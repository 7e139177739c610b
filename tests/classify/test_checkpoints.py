import pytest
import torch

from classify import checkpoints
from curate.errors import UserError

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7, dtype=torch.int64)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_comes_back(tmp_path):
    progress = checkpoints.Progress(
        step=5, epoch=2, elapsed=1.5, history=[{"loss": 0.1}, {"loss": float("nan")}]
    )
    checkpoints.write(tmp_path, TENSORS, progress, {"data": "x"})
    tensors, found, about = checkpoints.read(tmp_path)
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    assert (found.step, found.epoch, found.elapsed, found.history[0]) == (5, 2, 1.5, {"loss": 0.1})
    assert about == {"data": "x"}
    assert names(tmp_path) == [checkpoints.NAME]


def test_nothing_there(tmp_path):
    assert checkpoints.read(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"words", None])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    path = tmp_path / checkpoints.NAME
    if content is None:
        checkpoints.write(tmp_path, TENSORS, checkpoints.Progress(), {})
        content = path.read_bytes()[:-4]
    path.write_bytes(content)
    with pytest.raises(UserError, match="train anew") as caught:
        checkpoints.read(tmp_path)
    assert str(path) in caught.value.message
