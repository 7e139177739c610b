"""The encoders: what they give for a picture, and what they say of a name or a file that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curate.encoders import BuiltinEncoder, Preparation, builtin_weights, load_encoder
from curate.errors import UserError


@pytest.fixture(scope="module")
def builtin() -> BuiltinEncoder:
    encoder = load_encoder("builtin")
    assert isinstance(encoder, BuiltinEncoder)
    return encoder


@pytest.fixture
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40 + 9 * n, 70, 3), dtype=np.uint8) for n in range(5)]


def test_builtin_vectors_are_unit_length_and_of_the_stated_size(builtin, pictures):
    vectors = builtin.embed(pictures)
    assert vectors.shape == (5, builtin.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_builtin_is_the_published_network(builtin, pictures):
    """Folding the norms and own code must not change what timm's definition of the network computes."""
    import timm
    import torch

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    stored = torch.load(builtin_weights(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), stored.values(), strict=True)))
    pixels = np.stack([builtin.preparation(picture) for picture in pictures])
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        x = network.bn1(network.conv_stem(x))
        for stage in network.blocks[:6]:
            x = stage(x)
    expected = x.mean((2, 3)).numpy()
    vectors, moments = builtin.look(pictures)
    np.testing.assert_allclose(moments[:, -384:-192], expected, atol=1e-3)
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-4)


def test_a_picture_gives_the_same_whatever_stands_beside_it(builtin, pictures):
    together = builtin.embed(pictures)
    alone = np.concatenate([builtin.embed([picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_pictures_give_no_vectors(builtin):
    vectors, moments = builtin.look([])
    assert vectors.shape == (0, 192)
    assert moments.shape == (0, builtin.moments)
    assert builtin.embed([]).shape == (0, 192)


def test_preparing_twice_is_preparing_once(pictures):
    for how in ("stretch", "crop"):
        preparation = Preparation(32, how)
        once = preparation(pictures[3])
        assert once.shape == (32, 32, 3)
        np.testing.assert_array_equal(preparation(once), once)


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        Preparation(32)(np.zeros((5, 5), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        Preparation(32)(np.zeros((5, 5, 3)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bultin", "Did you mean 'builtin'?"),
        ("openclip:ViT-B-32/openai", "Did you mean 'open_clip'?"),
        ("open_clip:ViT-B-33/openai", "Did you mean 'ViT-B-32'?"),
        ("open_clip:ViT-B-32/laion2b_s34b_b79", "Did you mean 'laion2b_s34b_b79k'?"),
        ("open_clip:ViT-B-32", "open_clip:MODEL/PRETRAINED"),
        ("open_clip:ViT-B-32/nowhere/model.pt", "there is no such checkpoint"),
        ("timm:resnet18", "timm:MODEL@FILE"),
        ("timm:resnet1@x.safetensors", "Did you mean"),
        ("timm:resnet18@nowhere.safetensors", "there is no such checkpoint"),
    ],
)
def test_a_wrong_name_is_told_with_what_mends_it(name, said):
    with pytest.raises(UserError) as error:
        load_encoder(name)
    assert said in str(error.value)


def test_a_file_that_is_no_checkpoint_is_told(tmp_path):
    for suffix in (".safetensors", ".pt"):
        file = tmp_path / f"junk{suffix}"
        file.write_bytes(b"not weights at all")
        with pytest.raises(UserError, match="cannot be read as a checkpoint"):
            load_encoder(f"timm:test_vit@{file}")


def test_weights_of_another_network_are_told(tmp_path):
    import torch

    file = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, file)
    with pytest.raises(UserError, match="not the weights of EfficientNet-Lite0"):
        BuiltinEncoder(file)
    with pytest.raises(UserError, match="does not fit the model 'test_vit'"):
        load_encoder(f"timm:test_vit@{file}")


def test_a_pickle_with_code_is_not_run(tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return (Path(tmp_path / "ran").touch, ())

    torch.save({"weight": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        load_encoder(f"timm:test_vit@{tmp_path / 'evil.pt'}")
    assert not (tmp_path / "ran").exists()


def test_a_local_timm_checkpoint_is_used(tmp_path, pictures):
    import timm
    from safetensors.torch import save_file

    network = timm.create_model("test_vit", pretrained=False)
    save_file(network.state_dict(), tmp_path / "own.safetensors")
    encoder = load_encoder(f"timm:test_vit@{tmp_path / 'own.safetensors'}")
    vectors = encoder.embed(pictures)
    assert vectors.shape == (5, encoder.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_a_local_open_clip_checkpoint_is_used(tiny_clip, pictures):
    encoder = load_encoder(f"open_clip:tiny-test/{tiny_clip}")
    assert encoder.dimensions == 16
    assert encoder.preparation == Preparation(32, "crop")
    vectors = encoder.embed(pictures)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(vectors, load_encoder(f"open_clip:tiny-test/{tiny_clip}").embed(pictures))


def test_without_a_network_a_download_is_told(monkeypatch):
    import open_clip

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(open_clip, "create_model_and_transforms", offline)
    with pytest.raises(UserError) as error:
        load_encoder("open_clip:ViT-B-32/openai")
    assert "Network is unreachable" in error.value.message
    assert "local file" in error.value.remedy
