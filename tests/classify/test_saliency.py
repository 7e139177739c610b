"""Saliency maps: the right layer of every network, and maps whose answer is known."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from classify import models
from classify.saliency import FIRST, LAST, TOKENS, find_layer, saliency
from classify.weights import Classifier, Preprocessing
from curate.errors import UserError

CLASSES = ["red", "green", "blue"]


def classifier(network, size, name="test"):
    network.eval().requires_grad_(False)
    return Classifier(network, CLASSES, Preprocessing(size), {}, {"model": {"name": name}})


def noise(size):
    return np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)


def patches(size=32):
    """White, with a red square at the upper left and a blue one at the lower right."""
    image = np.full((size, size, 3), 255, dtype=np.uint8)
    quarter = size // 4
    image[:quarter, :quarter] = (255, 0, 0)
    image[-quarter:, -quarter:] = (0, 0, 255)
    return image


class Colours(nn.Module):
    """Each class is the share of the picture in its colour, seen in places of 4 px; the map is kept as `layout` says.

    `tokens` are that many tokens ahead of the map; with `mixed` the answer is read off the first, into which attention
    mixes the others, and a last normalisation of all tokens follows.
    """

    def __init__(self, layout=FIRST, tokens=0, mixed=False):
        super().__init__()
        self.patches = nn.Conv2d(3, 3, 4, 4, bias=False)
        with torch.no_grad():
            for colour in range(3):
                self.patches.weight[colour] = -1 / 16
                self.patches.weight[colour, colour] = 1 / 16
        self.act = nn.ReLU()
        self.norm = nn.Identity()
        self.value = nn.Linear(3, 3, bias=False)
        nn.init.eye_(self.value.weight)
        self.last = nn.Identity()
        self.layout, self.tokens, self.mixed = layout, tokens, mixed

    def forward(self, x):
        x = self.act(self.patches(x))
        if self.layout == FIRST:
            return self.last(x).mean((2, 3))
        if self.layout == LAST:
            return self.last(x.permute(0, 2, 3, 1)).mean((1, 2))
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([torch.zeros(len(x), self.tokens, 3), x], 1)
        if not self.mixed:
            return self.last(x)[:, self.tokens :].mean(1)
        x = self.norm(x)
        seen = self.value(x).mean(1, keepdim=True)
        return self.last(torch.cat([seen, x[:, 1:]], 1))[:, 0]


# Maps whose answer is known


@pytest.mark.parametrize(
    ("layout", "tokens", "mixed", "name"),
    [
        (FIRST, 0, False, "last"),
        (LAST, 0, False, "last"),
        (TOKENS, 0, False, "last"),
        (TOKENS, 5, False, "last"),
        (TOKENS, 1, True, "norm"),
    ],
)
def test_the_map_is_where_the_colour_is(layout, tokens, mixed, name):
    found = classifier(Colours(layout, tokens, mixed), 32)
    layer = find_layer(found)
    assert (layer.name, layer.layout, layer.side, layer.ahead) == (name, layout, 8, tokens)
    red, blue = (saliency(found, patches(), index, layer) for index in (0, 2))
    assert red.shape == (32, 32)
    assert red.dtype == np.float32
    assert red[:6, :6].min() > 0.75
    assert red[12:].max() == red[:, 12:].max() == 0
    assert blue[::-1, ::-1] == pytest.approx(red, abs=1e-5)


def test_nothing_speaks_for_a_colour_that_is_not_there():
    assert saliency(classifier(Colours(), 32), patches(), 1).max() == 0


def test_the_same_picture_gives_the_same_map_and_the_network_stays_as_it_was():
    found = classifier(Colours(), 32)
    before = {name: value.clone() for name, value in found.model.state_dict().items()}
    one, other = (saliency(found, patches(), 0) for _ in range(2))
    assert (one == other).all()
    assert all((value == before[name]).all() for name, value in found.model.state_dict().items())
    assert not any(value.requires_grad for value in found.model.parameters())
    assert not any(module._forward_hooks for module in found.model.modules())


# Every network


class Opposed(nn.Module):
    """What speaks against one class speaks for another: so that random weights leave no picture without a map."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        logits = self.network(x)[:, :1]
        return torch.cat([logits, -logits, 0 * logits], 1)


def check(network, size, name):
    found = classifier(Opposed(network), size, name)
    layer = find_layer(found)
    assert layer.side > 1
    maps = [saliency(found, noise(size), index, layer) for index in range(3)]
    assert all(one.shape == (size, size) and one.dtype == np.float32 for one in maps)
    assert all(np.isfinite(one).all() and one.min() >= 0 and one.max() <= 1 for one in maps)
    assert max(one.max() for one in maps) > 0.99
    return replace(layer, name=layer.name.removeprefix("network."))


@pytest.mark.parametrize("name", models.names())
def test_every_network_of_the_registry_has_a_layer(name):
    torch.manual_seed(1)
    layer = check(models.create(name, 3, {"size": 32, "width": 4}), 32, name)
    assert layer.layout == FIRST


def test_lite0_and_networks_of_timm():
    """The rules of the layers, not of names: convolutions, a class token, a teacher's, registers, windows."""
    import timm

    torch.manual_seed(0)
    family = models.family_of("lite0")
    assert check(family.create(3, family.options(96, 0)), 96, "lite0").name == "bn2"
    small = {"num_classes": 3, "img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
    for name, more, expected in (
        ("resnet10t", {"num_classes": 3}, ("layer4", FIRST, 0)),
        ("vit_tiny_patch16_224", small, ("blocks.1.norm1", TOKENS, 1)),
        ("deit_tiny_distilled_patch16_224", small, ("blocks.1.norm1", TOKENS, 2)),
        ("vit_small_patch14_reg4_dinov2", small, ("blocks.1.norm1", TOKENS, 5)),
        (
            "swin_tiny_patch4_window7_224",
            {"num_classes": 3, "img_size": 32, "window_size": 2, "embed_dim": 8, "depths": (2, 2), "num_heads": (1, 2)},
            ("norm", LAST, 0),
        ),
    ):  # fmt: skip
        size = 32 if "img_size" in more else 64
        layer = check(timm.create_model(name, **more), size, name)
        assert (layer.name, layer.layout, layer.ahead) == expected


def test_networks_of_transformers():
    transformers = pytest.importorskip("transformers")
    from classify.models.hf_family import Logits

    small = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "num_labels": 3,
    }
    torch.manual_seed(0)
    for attention in ("sdpa", "eager"):
        config = transformers.ViTConfig(
            **small, intermediate_size=32, patch_size=8, attn_implementation=attention
        )
        layer = check(Logits(transformers.ViTForImageClassification(config), False), 32, "hf:vit")
        assert (layer.name, layer.side, layer.ahead) == ("model.vit.layers.1.layernorm_before", 4, 1)
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4, num_labels=3
    )
    layer = check(Logits(transformers.SwinForImageClassification(config), False), 32, "hf:swin")
    assert (layer.name, layer.layout, layer.side) == ("model.swin.layernorm", TOKENS, 8)


# What cannot be done


def test_a_network_that_keeps_no_places_apart():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))
    with pytest.raises(UserError, match="model 'flat': no layer's output is a map"):
        find_layer(classifier(flat, 32, "flat"))


def test_another_shape_and_another_class():
    found = classifier(Colours(), 32)
    with pytest.raises(ValueError, match=r"shape \(16, 16, 3\)"):
        saliency(found, noise(16), 0)
    with pytest.raises(ValueError, match="class_index: 3, of 3"):
        saliency(found, noise(32), 3)


def test_without_the_library_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    with pytest.raises(UserError, match=r"pip install 'curate-classify\[explain\]'"):
        saliency(classifier(Colours(), 32), patches(), 0)
