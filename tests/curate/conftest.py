"""What several tests of curate use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def tiny_clip(tmp_path) -> Path:
    """A random open_clip model of two small towers, and its checkpoint."""
    import open_clip
    import torch

    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }
    (tmp_path / "tiny-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-test.json")
    torch.manual_seed(0)
    file = tmp_path / "tiny.pt"
    torch.save(open_clip.create_model("tiny-test").state_dict(), file)
    return file
