import pytest
import torch
from torch import nn

from classify.groups import Freezing, distances, scaled_groups
from classify.learner import Learner, Plan, fastest_plan
from classify.models import create
from classify.settings import TransferSettings, read_settings
from classify.weights import Preprocessing

HEAD = frozenset({"head.weight", "head.bias"})


def network():
    torch.manual_seed(0)
    return create("small-resnet", 2, {"size": 16, "width": 4})


def learner(*more):
    settings = read_settings(None, ["training.precision=fp32", *more]).resolved()
    return Learner(network(), settings, Preprocessing(16), Plan("fp32", True), torch.device("cpu"), head=HEAD)


def one_step(one, number=0):
    torch.manual_seed(1)
    images = torch.randint(0, 256, (8, 16, 16, 3), dtype=torch.uint8)
    targets = one.targets(torch.tensor([0, 1] * 4), torch.ones(8), 2)
    one.step(images, targets, 0.01, number)


def moved(one, before):
    return {name for name, value in one.network.state_dict().items() if not torch.equal(value, before[name])}


def copied(one):
    return {name: value.clone() for name, value in one.network.state_dict().items()}


def test_a_frozen_backbone_stays_as_it_is_and_gets_no_gradients():
    one = learner("transfer.mode=head")
    before = copied(one)
    for number in range(3):
        one_step(one, number)
    assert moved(one, before) == HEAD
    assert {name for name, value in one.network.named_parameters() if value.grad is not None} == HEAD
    averaged = one.averaged.state_dict()
    assert all(torch.equal(averaged[name], value) for name, value in before.items() if name not in HEAD)


def test_without_freezing_everything_moves_and_the_statistics_too():
    one = learner()
    before = copied(one)
    one_step(one)
    assert {"head.weight", "stem.0.weight", "stem.1.running_mean"} <= moved(one, before)


def test_head_first_frees_the_backbone_at_its_share():
    one = learner("transfer.mode=head-first", "transfer.head_share=0.5")
    before = copied(one)
    one.freezing.at(0.49)
    one_step(one)
    assert moved(one, before) == HEAD
    one.freezing.at(0.5)
    one_step(one, 1)
    assert {"stem.0.weight", "stem.1.running_mean"} <= moved(one, before)


def test_a_run_that_goes_on_after_the_change_is_the_same():
    """The optimiser's state of weights that never moved is empty, and must come back as that."""
    whole, first, second = (learner("transfer.mode=head-first", "transfer.layer_decay=0.5") for _ in range(3))
    for one in (whole, first):
        one_step(one)
    second.restore(first.state())
    for one in (whole, second):
        one.freezing.at(0.6)
        one_step(one, 1)
    assert not moved(whole, copied(second))


def test_a_network_from_random_weights_is_never_frozen():
    one = network()
    freezing = Freezing(one, frozenset(), TransferSettings(mode="head"))
    assert not freezing.frozen
    assert all(value.requires_grad for value in one.parameters())


def test_measuring_does_not_leave_a_frozen_network_behind():
    settings = read_settings(None, ["training.precision=auto", "transfer.mode=head-first"]).resolved()
    one = network()
    fastest_plan(one, settings, Preprocessing(16), torch.device("cpu"), 2, head=HEAD)
    assert all(value.requires_grad for value in one.parameters())


def test_the_rate_falls_by_the_factor_with_each_layer():
    one = learner("transfer.layer_decay=0.5")
    one_step(one)
    groups = [group for optimizer in one.optimizers for group in optimizer.param_groups]
    rates = {id(value): group["lr"] / 0.01 for group in groups for value in group["params"]}
    found = {name: rates[id(value)] for name, value in one.network.named_parameters()}
    assert found["head.weight"] == found["head.bias"] == 1
    assert found["stages.5.conv1.weight"] == found["stages.5.norm2.bias"] == 0.5
    assert found["stages.0.conv2.weight"] == 0.5**6
    assert found["stem.0.weight"] == found["stem.1.weight"] == 0.5**7
    decays = {group["weight_decay"] for group in groups}
    assert decays == {0.0, 0.05}


def test_without_decay_there_is_one_group_with_all_parameters():
    (group,) = scaled_groups(network(), HEAD, 1.0)
    assert group["lr_scale"] == 1
    assert len(group["params"]) == len(list(network().parameters()))


class _Tower(nn.Module):
    """Named as those of transformers: a backbone in a wrapper, stages of layers, and a numbered leaf."""

    def __init__(self):
        super().__init__()
        self.base = nn.Module()
        self.base.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        stage = nn.Module()
        stage.layers = nn.ModuleList([nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(2)])
        stage.down = nn.ModuleList([nn.LayerNorm(2)])
        self.base.stages = nn.ModuleList([stage])
        self.base.norm = nn.LayerNorm(2)
        self.head = nn.Linear(2, 2)


def test_blocks_of_stages_are_layers_of_their_own():
    far = distances(_Tower(), HEAD)
    assert far["head.bias"] == 0
    assert far["base.norm.weight"] == 1
    assert far["base.stages.0.down.0.weight"] == 2
    assert far["base.stages.0.layers.1.0.weight"] == far["base.stages.0.layers.1.1.bias"] == 3
    assert far["base.stages.0.layers.0.0.weight"] == 4
    assert far["base.stem.0.weight"] == far["base.stem.1.weight"] == 5


def test_timm_says_what_its_layers_are():
    timm = pytest.importorskip("timm")
    far = distances(timm.create_model("test_vit", num_classes=2), HEAD)
    assert far["head.weight"] == 0
    last = max(int(name.split(".")[1]) for name in far if name.startswith("blocks."))
    assert far["norm.weight"] == far[f"blocks.{last}.attn.qkv.weight"] == 1
    assert far["blocks.0.attn.qkv.weight"] == 1 + last
    assert far["patch_embed.proj.weight"] == far["pos_embed"] == 2 + last
