"""Models of the library transformers, which is an extra: made from configurations here, never downloaded."""

import json
import sys

import pytest
import torch

from classify import models, weights
from classify.models.hf_family import Logits
from classify.settings import read_settings
from classify.training import train
from classify.transfer import prepare
from classify.weights import Preprocessing
from curate.errors import UserError

QUICK = [
    "training.minutes=0",
    "training.epochs=1",
    "training.batch_size=8",
    "training.device=cpu",
    "training.precision=fp32",
]


def chosen(*more):
    return read_settings(None, [*QUICK, *more])


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A folder as `save_pretrained` writes it: a tiny ViT for 5 classes of 16 px, with its image processor."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("hf") / "vit"
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=8,
        num_labels=5,
    )
    torch.manual_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    look = {
        "image_processor_type": "ViTImageProcessor",
        "do_normalize": True,
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.4],
        "size": {"height": 16, "width": 16},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(look))
    return folder


def stored(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_a_folder_gives_its_weights_its_colours_and_its_size(vit, tmp_path, offline, capfd):
    start = prepare(
        chosen(f"model.name=hf:{vit}", "model.weights=pretrained", "data.size=0"), tmp_path / "run"
    )
    network, head = start.network(["a", "b"], 1)
    assert start.preprocessing == Preprocessing(16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    assert head == {"model.classifier.weight", "model.classifier.bias"}
    patches = "vit.embeddings.patch_embeddings.projection.weight"
    assert torch.equal(network.state_dict()[f"model.{patches}"], stored(vit)[patches])
    assert network(torch.zeros(1, 3, 16, 16)).shape == (1, 2)
    assert capfd.readouterr().err == ""


def test_positions_are_interpolated_where_the_size_is_another(vit, tmp_path):
    start = prepare(chosen(f"model.name=hf:{vit}", "data.size=24"), tmp_path / "run")
    network, _ = start.network("abc", 1)
    assert network(torch.zeros(2, 3, 24, 24)).shape == (2, 3)


def test_numbers_of_half_precision_are_learnt_with_in_full(vit, tmp_path):
    import transformers

    model = transformers.ViTForImageClassification.from_pretrained(vit, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "half")
    start = prepare(
        chosen(f"model.name=hf:{tmp_path / 'half'}", "model.weights=pretrained", "data.size=16"),
        tmp_path / "run",
    )
    network, _ = start.network("ab", 0)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    json.dumps(start.options)


def test_without_an_image_processor_the_colours_are_imagenets(vit, tmp_path):
    import shutil

    shutil.copytree(vit, tmp_path / "bare")
    (tmp_path / "bare" / "preprocessor_config.json").unlink()
    start = prepare(chosen(f"model.name=hf:{tmp_path / 'bare'}", "data.size=0"), tmp_path / "run")
    assert start.preprocessing.size == 16
    assert start.preprocessing.mean == (0.485, 0.456, 0.406)


def test_a_run_leaves_weights_that_load_without_the_folder(vit, stripes, tmp_path, offline):
    import shutil

    shutil.copytree(vit, tmp_path / "vit")
    settings = chosen(
        f"model.name=hf:{tmp_path / 'vit'}",
        "model.weights=pretrained",
        "data.size=16",
        "transfer.mode=head-first",
        "transfer.head_share=0.5",
        "transfer.layer_decay=0.5",
        "training.epochs=2",
    )
    result = train(stripes, tmp_path / "run", settings, workers=1)
    shutil.rmtree(tmp_path / "vit")
    classifier = weights.load(result.last)
    assert isinstance(classifier.model, Logits)
    assert classifier.classes == ["level", "upright"]
    pictures = torch.zeros(3, 16, 16, 3, dtype=torch.uint8)
    assert classifier.probabilities(pictures).shape == (3, 2)
    assert (
        "the weights of hf:vit (" in json.loads((tmp_path / "run" / "provenance.json").read_text())["start"]
    )
    assert train(stripes, tmp_path / "run", resume=True, workers=1).epochs == 2
    again = prepare(
        chosen("model.name=hf:elsewhere", f"model.weights={result.last}", "data.size=24"), tmp_path / "new"
    )
    network, _ = again.network(["level", "upright"], 0)
    assert network(torch.zeros(1, 3, 24, 24)).shape == (1, 2)


def test_a_checkpoint_of_the_model_itself_fits(vit, tmp_path):
    file = vit / "model.safetensors"
    start = prepare(chosen(f"model.name=hf:{vit}", f"model.weights={file}", "data.size=16"), tmp_path / "run")
    network, _ = start.network("ab", 0)
    assert torch.equal(
        network.state_dict()["model.vit.layernorm.weight"], stored(vit)["vit.layernorm.weight"]
    )


def test_a_folder_whose_weights_lack_a_tensor_is_told(vit, tmp_path):
    import shutil

    from safetensors.torch import save_file

    shutil.copytree(vit, tmp_path / "torn")
    state = stored(vit)
    del state["vit.layernorm.weight"]
    save_file(state, tmp_path / "torn" / "model.safetensors", {"format": "pt"})
    start = prepare(
        chosen(f"model.name=hf:{tmp_path / 'torn'}", "model.weights=pretrained", "data.size=16"),
        tmp_path / "run",
    )
    with pytest.raises(UserError, match=r"tensors are missing: model\.vit\.layernorm\.weight"):
        start.network("ab", 0)


def test_code_that_comes_with_a_model_is_not_run_and_not_asked_about(vit, tmp_path, monkeypatch):
    import shutil

    folder = tmp_path / "own"
    shutil.copytree(vit, folder)
    written = json.loads((folder / "config.json").read_text())
    written |= {"model_type": "odd", "auto_map": {"AutoConfig": "code.OddConfig"}}
    (folder / "config.json").write_text(json.dumps(written))
    mark = tmp_path / "was run"
    (folder / "code.py").write_text(
        f"from transformers import PretrainedConfig\nopen({str(mark)!r}, 'w')\n"
        "class OddConfig(PretrainedConfig):\n    model_type = 'odd'\n"
    )
    monkeypatch.setattr("builtins.input", lambda *words: pytest.fail("the user is asked"))
    with pytest.raises(UserError, match="its configuration cannot be had"):
        prepare(chosen(f"model.name=hf:{folder}", "model.weights=pretrained"), tmp_path / "run")
    assert not mark.exists()


def test_what_is_neither_a_folder_nor_on_the_hub_is_one_sentence(tmp_path, offline, caplog, capfd):
    pytest.importorskip("transformers")
    with pytest.raises(UserError, match="configuration cannot be had") as caught:
        prepare(chosen("model.name=hf:nobody/nothing", "model.weights=pretrained"), tmp_path / "run")
    assert "save_pretrained" in caught.value.remedy
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_a_dropout_that_would_do_nothing_is_refused(vit, tmp_path):
    with pytest.raises(UserError, match=r"model\.dropout cannot be set"):
        prepare(chosen(f"model.name=hf:{vit}", "model.dropout=0.2"), tmp_path / "run")


def test_a_library_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs transformers") as caught:
        models.family_of("hf:anything")
    assert "[hf]" in caught.value.message
