"""The shipped head: whole, small, and sure of what is plain."""

from __future__ import annotations

import numpy as np
import pytest

from curate.encoders import BuiltinEncoder
from curate.errors import UserError
from curate.photos.head import WEIGHTS, load_head


def test_the_weights_are_small_and_finite():
    assert WEIGHTS.stat().st_size < 1_000_000
    head = load_head()
    assert head.hidden.shape[0] == BuiltinEncoder.moments
    assert head.out.shape == (head.hidden.shape[1], 3)
    assert all(np.isfinite(tensor).all() for tensor in vars(head).values())
    assert (head.scale > 0).all()


def test_shapes_and_types():
    head = load_head()
    cues = head.cues(np.zeros((4, BuiltinEncoder.moments), np.float32))
    assert cues.dtype == np.float32
    assert head.evidence(cues).shape == (4, 3)
    assert head.evidence(head.cues(np.zeros((0, BuiltinEncoder.moments), np.float32))).shape == (0, 3)


def test_one_mad_moment_does_not_decide():
    """Moments are cut at the limit, so a channel that explodes on a strange picture counts no more than a large one."""
    head = load_head()
    moments = head.mean[None].repeat(2, axis=0)
    moments[0, 5] = head.mean[5] + head.limit * head.scale[5]
    moments[1, 5] = 1e6
    np.testing.assert_allclose(*head.cues(moments), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bytes_", [b"", b"no weights"])
def test_a_broken_file_is_told(tmp_path, bytes_):
    file = tmp_path / "head.safetensors"
    file.write_bytes(bytes_)
    with pytest.raises(UserError, match="Install curate-classify again"):
        load_head(file)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_head(tmp_path / "head.safetensors")
