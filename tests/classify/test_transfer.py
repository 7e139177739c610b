"""Training from weights that others made: which start, what is kept of it, and what is said where it will not do."""

import hashlib
import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from classify import loop, models, weights
from classify.provenance import RANDOM_START
from classify.settings import read_settings
from classify.training import train
from classify.transfer import prepare, preprocessing_of
from classify.weights import Preprocessing
from curate.encoders import builtin_weights, load_checkpoint
from curate.errors import UserError

QUICK = [
    "training.minutes=0",
    "training.epochs=1",
    "training.batch_size=8",
    "training.device=cpu",
    "training.precision=fp32",
    "augmentation.mixup=0",
]
RESNET = ["model.name=timm:test_resnet", "data.size=32"]
VIT = ["model.name=timm:test_vit", "data.size=32"]
LITE0 = ["model.name=lite0", "model.weights=pretrained", "data.size=64"]


def chosen(*more):
    return read_settings(None, [*QUICK, *more])


@pytest.fixture
def nowhere(tmp_path):
    return tmp_path / "no run yet"


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A checkpoint of timm's smallest residual network, made here, for 5 classes."""
    torch.manual_seed(7)
    file = tmp_path_factory.mktemp("timm") / "resnet.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=5).state_dict(), file)
    return file


def body(state, *head):
    return {name: value for name, value in state.items() if not name.startswith(head)}


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(value, other[name]) for name, value in one.items())


# What a network starts as


def test_a_checkpoint_of_timm_is_taken_and_its_head_replaced(resnet, nowhere):
    start = prepare(chosen(*RESNET, f"model.weights={resnet}"), nowhere)
    network, head = start.network(["a", "b"], 3)
    assert head == {"fc.weight", "fc.bias"}
    assert network.fc.weight.shape == (2, 96)
    assert 0 < network.fc.weight.abs().max() < 0.1
    assert not network.fc.bias.any()
    assert same(body(network.state_dict(), "fc."), body(load_checkpoint(resnet), "fc."))
    assert start.preprocessing == Preprocessing(32, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert same(network.state_dict(), start.network(["a", "b"], 3)[0].state_dict())
    assert not torch.equal(network.fc.weight, start.network(["a", "b"], 4)[0].fc.weight)
    assert hashlib.sha256(resnet.read_bytes()).hexdigest() in start.describe(["a", "b"])


def test_a_head_of_as_many_but_unknown_classes_is_replaced_too(resnet, nowhere):
    start = prepare(chosen(*RESNET, f"model.weights={resnet}"), nowhere)
    network, _ = start.network(list("abcde"), 0)
    assert not torch.equal(network.fc.weight, load_checkpoint(resnet)["fc.weight"])


def test_a_torch_file_with_the_state_below_model_does_too(resnet, nowhere, tmp_path):
    state = {f"module.{name}": value for name, value in load_checkpoint(resnet).items()}
    torch.save({"model": state, "epoch": 3}, tmp_path / "c.pth")
    network, _ = prepare(chosen(*RESNET, f"model.weights={tmp_path / 'c.pth'}"), nowhere).network("ab", 0)
    assert torch.equal(network.conv1[0].weight, load_checkpoint(resnet)["conv1.0.weight"])


def test_without_weights_an_architecture_of_timm_starts_from_the_seed(nowhere):
    start = prepare(chosen(*RESNET), nowhere)
    network, head = start.network(["a", "b"], 3)
    assert start.describe(["a", "b"]) == RANDOM_START
    assert head == frozenset()
    assert same(network.state_dict(), start.network(["a", "b"], 3)[0].state_dict())


def test_positions_are_resampled_to_the_size(nowhere, tmp_path):
    whole = timm.create_model("test_vit", num_classes=5)
    save_file(whole.state_dict(), tmp_path / "vit.safetensors")
    network, _ = prepare(chosen(*VIT, f"model.weights={tmp_path / 'vit.safetensors'}"), nowhere).network(
        "ab", 0
    )
    assert network.pos_embed.shape != whole.pos_embed.shape
    assert torch.equal(network.blocks[0].attn.qkv.weight, whole.blocks[0].attn.qkv.weight)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


def test_lite0_starts_from_the_installed_weights_without_a_network(nowhere, offline):
    start = prepare(chosen(*LITE0), nowhere)
    network, head = start.network(["a", "b"], 0)
    stored = load_checkpoint(builtin_weights())
    assert head == {"classifier.weight", "classifier.bias"}
    assert torch.equal(network.conv_stem.weight, stored["_conv_stem.weight"])
    assert torch.equal(network.bn2.running_var, stored["_bn1.running_var"])
    assert builtin_weights().name in start.describe(["a", "b"])
    assert start.preprocessing.size == 64
    assert start.preprocessing.mean == pytest.approx((127 / 255,) * 3)


@pytest.mark.parametrize(
    ("name", "size"), [("lite0", 224), ("timm:test_resnet", 160), ("timm:resnet18", 224)]
)
def test_size_0_is_the_networks_own(name, size, nowhere):
    start = prepare(chosen(f"model.name={name}", "data.size=0", "data.fit=crop"), nowhere)
    assert start.preprocessing.size == size
    assert start.preprocessing.fit == "crop"


def test_what_the_input_looks_like_needs_no_weights(offline, nowhere):
    asked = chosen("model.name=timm:resnet18", "data.size=0", "model.weights=pretrained")
    assert (
        preprocessing_of(asked)
        == prepare(chosen("model.name=timm:resnet18", "data.size=0"), nowhere).preprocessing
    )
    with pytest.raises(UserError, match="'small-resnt' is not known"):
        preprocessing_of(chosen("model.name=small-resnt"))


# A whole run


def test_a_run_from_a_checkpoint_moves_the_head_alone_and_its_weights_load_without_it(
    stripes, resnet, tmp_path, offline
):
    gone = tmp_path / "gone.safetensors"
    gone.write_bytes(resnet.read_bytes())
    said = []
    settings = chosen(*RESNET, f"model.weights={gone}", "transfer.mode=head", "training.epochs=3")
    result = train(stripes, tmp_path / "run", settings, say=said.append, workers=1)
    gone.unlink()
    classifier = weights.load(result.last)
    assert classifier.preprocessing.std == (0.5, 0.5, 0.5)
    assert same(body(classifier.model.state_dict(), "fc."), body(load_checkpoint(resnet), "fc."))
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert "gone.safetensors" in record["start"]
    assert hashlib.sha256(resnet.read_bytes()).hexdigest() in record["start"]
    assert any("Starting from gone.safetensors" in text for text in said)
    assert train(stripes, tmp_path / "run", resume=True, workers=1).epochs == 3


def test_lite0_learns_in_a_few_steps_at_64_pixels(stripes, tmp_path):
    settings = chosen(*LITE0, "transfer.mode=head", "optimizer.lr=0.02", "training.epochs=4", "data.val=0.3")
    result = train(stripes, tmp_path / "run", settings, workers=1)
    assert result.macro_f1 > 0.7
    classifier = weights.load(result.best)
    assert classifier.preprocessing.size == 64
    assert torch.equal(
        classifier.model.conv_stem.weight, load_checkpoint(builtin_weights())["_conv_stem.weight"]
    )


def test_a_killed_run_goes_on_with_the_backbone_still_frozen(stripes, resnet, tmp_path, monkeypatch):
    settings = chosen(*RESNET, f"model.weights={resnet}", "transfer.mode=head", "training.epochs=3")
    train(stripes, tmp_path / "whole", settings, workers=1)
    monkeypatch.setattr(loop, "_SAVE_SECONDS", 0)

    def stop(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stripes, tmp_path / "killed", settings, workers=1, on_epoch=stop)
    train(stripes, tmp_path / "killed", resume=True, workers=1)
    whole, killed = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("whole", "killed"))
    assert whole == killed


def test_own_weights_go_on_with_their_head_where_the_classes_are_the_same(stripes, nowhere, tmp_path):
    first = train(stripes, tmp_path / "first", chosen("data.size=16", "model.width=4"), workers=1)
    start = prepare(chosen(f"model.weights={first.last}", "data.size=0", "model.dropout=0.5"), nowhere)
    stored = weights.load(first.last).model.state_dict()
    assert start.preprocessing == Preprocessing(16)
    assert start.options == {"size": 16, "width": 4, "dropout": 0.5}
    assert same(start.network(["level", "upright"], 1)[0].state_dict(), stored)
    other, head = start.network(["level", "upright", "wavy"], 1)
    assert head == {"head.weight", "head.bias"}
    assert other.head.weight.shape[0] == 3
    assert same(body(other.state_dict(), "head."), body(stored, "head."))
    assert "with its head" in start.describe(["level", "upright"])
    assert "drawn from training.seed" in start.describe(["upright", "level"])


# What will not do


def test_a_checkpoint_of_another_network_names_what_does_not_fit(resnet, nowhere, tmp_path):
    state = load_checkpoint(resnet)
    del state["conv1.0.weight"], state["bn1.bias"]
    state["layer1.0.conv1.weight"] = torch.zeros(1, 2)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(UserError) as caught:
        prepare(chosen(*RESNET, f"model.weights={tmp_path / 'other.safetensors'}"), nowhere).network("ab", 0)
    assert "2 of" in caught.value.message
    assert "conv1.0.weight, bn1.bias" in caught.value.message
    assert "layer1.0.conv1.weight [1, 2] instead of" in caught.value.message
    with pytest.raises(UserError, match=r"tensors are missing: .*\.\.\."):
        prepare(chosen("data.size=16", f"model.weights={resnet}"), nowhere).network("ab", 0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["model.weights=pretrained"], "'small-resnet' has no published weights"),
        (["model.weights=nowhere.safetensors"], "there is no such checkpoint"),
        (["model.weights=pretraind"], "Did you mean 'pretrained'"),
        (["transfer.mode=head"], "starts from random weights"),
        (["transfer.layer_decay=0.7"], "transfer.layer_decay is 0.7"),
        (["data.size=0"], "has no size of its own"),
        (["model.name=timm:resnet19"], "Did you mean 'timm:resnet1"),
        (["model.name=timm:resnet18.nonsense"], "cannot be made"),
        (
            ["model.name=timm:resnet18", "model.width=16"],
            "model.width is 16, but 'timm:resnet18' has the width",
        ),
    ],
)
def test_a_start_that_cannot_be_is_told_with_what_mends_it(more, said, nowhere):
    with pytest.raises(UserError) as caught:
        prepare(chosen(*more), nowhere)
    assert said in str(caught.value)
    assert caught.value.remedy


def test_a_misspelt_family_is_told(stripes, tmp_path):
    with pytest.raises(UserError, match="Did you mean 'lite0'"):
        train(stripes, tmp_path / "run", chosen("model.name=lite-0"), workers=1)
    assert not (tmp_path / "run").exists()


def test_own_weights_of_another_model_are_told(stripes, nowhere, tmp_path):
    first = train(stripes, tmp_path / "first", chosen("data.size=16", "model.width=4"), workers=1)
    with pytest.raises(UserError, match="holds weights of the model 'small-resnet', not of 'lite0'"):
        prepare(chosen("model.name=lite0", f"model.weights={first.last}"), nowhere)


def own(path, name, classes, **options):
    """A weights file of ours, of a network as it is drawn."""
    network = models.create(name, len(classes), options)
    weights.save(
        path,
        network.state_dict(),
        model=name,
        model_options=options,
        classes=classes,
        preprocessing=Preprocessing(options["size"]),
        settings={},
    )
    return path


def test_own_weights_that_know_one_size_only_say_so_before_training(nowhere, tmp_path):
    file = own(tmp_path / "own.safetensors", "lenet5", ["a", "b"], size=28)
    one = "model.name=lenet5", f"model.weights={file}"
    with pytest.raises(UserError, match="'lenet5' cannot take pictures of 64 pixels") as caught:
        prepare(chosen(*one, "data.size=64"), nowhere).network("ab", 0)
    assert "0 for the model's own" in caught.value.remedy
    prepare(chosen(*one, "data.size=0"), nowhere).network("ab", 0)


def test_one_cannot_go_on_from_several_networks(nowhere, tmp_path):
    file = own(tmp_path / "own.safetensors", "plain-cnn", ["a", "b"], size=28, members=2)
    with pytest.raises(UserError, match="holds 2 networks that answer together"):
        prepare(chosen("model.name=plain-cnn", f"model.weights={file}"), nowhere)


def test_a_pickle_with_code_is_not_run(nowhere, tmp_path):
    class Evil:
        def __reduce__(self):
            return ((tmp_path / "ran").touch, ())

    torch.save({"weight": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        prepare(chosen(f"model.weights={tmp_path / 'evil.pt'}"), nowhere)
    assert not (tmp_path / "ran").exists()


def test_a_size_that_the_network_cannot_take_is_told(nowhere):
    with pytest.raises(UserError, match=r"10 pixels|cannot be made"):
        prepare(chosen("model.name=timm:test_vit", "data.size=10"), nowhere).network("ab", 0)


def test_published_weights_offline_are_one_sentence(stripes, tmp_path, offline, caplog, capfd):
    settings = chosen(*RESNET, "model.weights=pretrained")
    said = []
    with pytest.raises(UserError, match="published weights cannot be had") as caught:
        train(stripes, tmp_path / "run", settings, workers=1, say=said.append)
    assert "connect to the network" in caught.value.remedy
    assert "lite0" in caught.value.remedy
    assert said == ["Getting the weights of timm:test_resnet; what is not on this machine yet is downloaded."]
    assert "\n" not in str(caught.value)
    assert not caplog.records
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "run").exists()


def test_settings_take_size_0_but_no_size_below_8():
    assert read_settings(None, ["data.size=0"]).data.size == 0
    with pytest.raises(UserError, match="from 8 to 1024, or 0"):
        read_settings(None, ["data.size=3"])


def test_every_family_is_named_where_a_name_is_not_known():
    with pytest.raises(UserError) as caught:
        models.create("resnet-81", 2)
    for name in ("lite0", "timm:NAME", "hf:FOLDER_OR_ID"):
        assert name in caught.value.remedy
