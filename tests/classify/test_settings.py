import dataclasses
import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from classify.cli import app
from classify.settings import Settings, read_settings
from curate.errors import UserError


def test_defaults_survive_toml(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(Settings().to_toml(), encoding="utf-8")
    assert read_settings(path) == Settings()


def test_a_file_then_overrides(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("[training]\nminutes = 3\nepochs = 9\n[data]\nbackground = [0, 10, 20]\n")
    settings = read_settings(path, ["training.minutes=0.5", "model.name=resnet18", "data.raw=true"])
    assert settings.training.minutes == 0.5
    assert settings.training.epochs == 9
    assert settings.data.background == (0, 10, 20)
    assert settings.model.name == "resnet18"
    assert settings.data.raw is True
    again = tmp_path / "again.toml"
    again.write_text(settings.to_toml(), encoding="utf-8")
    assert read_settings(again) == settings


def test_a_whole_number_does_for_a_number():
    minutes = read_settings(None, ["training.minutes=15"]).training.minutes
    assert minutes == 15
    assert type(minutes) is float


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.minuts=3", "Did you mean 'minutes'"),
        ("trainin.minutes=3", "Did you mean 'training'"),
        ("training.lr=0.1", "Did you mean optimizer.lr?"),
        ("optimizer.leraning_rate=1", "Did you mean 'lr' (highest learning rate"),
        ("training.minutes", "not of the form"),
        ("minutes=3", "not of the form"),
        ("training.minutes=soon", "is a number, not 'soon'"),
        ("training.epochs=1.5", "is a whole number, not 1.5"),
        ("training.epochs=true", "is a whole number"),
        ("training.minutes=nan", "must be 0 or more"),
        ("training.minutes=inf", "must be a finite number"),
        (f"training.minutes=1{'0' * 400}", "must be a finite number"),
        (f"training.minutes=1{'0' * 5000}", "is a number, not"),
        ("training.epochs=0", "must be 1 or more"),
        ("augmentation.flip=1.5", "from 0 to 1"),
        ("data.raw=1", "is true or false"),
        ("data.fit=padd", "Did you mean 'pad'"),
        ("data.background=[1, 2]", "list of 3 whole numbers"),
        ("data.background=[1, 2, 300]", "from 0 to 255"),
        ("model.name=3", "is a text"),
        ("model.width=-1", "from 0 to 1024"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(text, message):
    with pytest.raises(UserError) as caught:
        read_settings(None, [text])
    assert message in str(caught.value)
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such settings file"),
        (b"[training\n", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        (b"training = 3\n", "'training' is a section"),
        (b"[model]\nwidth = 'wide'\n", "model.width is a whole number, not 'wide'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    path = tmp_path / "s.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_settings(path)
    assert message in str(caught.value)
    assert str(path) in caught.value.message


def test_an_optimiser_gets_its_usual_rate_and_decay_unless_told():
    usual = read_settings(None, ["optimizer.name=sgd"]).resolved().optimizer
    assert (usual.lr, usual.weight_decay) == (0.1, 5e-4)
    told = read_settings(None, ["optimizer.lr=0.3", "optimizer.weight_decay=0"]).resolved().optimizer
    assert (told.name, told.lr, told.weight_decay) == ("muon", 0.3, 0)


def test_a_key_without_its_section_gets_it():
    for text, remedy in (
        ("lr=0.1", "Did you mean optimizer.lr?"),
        ("name=sgd", "Did you mean model.name or optimizer.name?"),
        ("xyz=1", "For example --set training.minutes=5."),
    ):
        with pytest.raises(UserError, match=r"is not of the form section\.key=value") as caught:
            read_settings(None, [text])
        assert caught.value.remedy == remedy


def test_extra_folders_are_a_list_of_texts():
    assert read_settings(None, ["data.extra=more"]).data.extra == ("more",)
    found = read_settings(None, ['data.extra=["a b", "c"]'])
    assert found.data.extra == ("a b", "c")
    assert tomllib.loads(found.to_toml())["data"]["extra"] == ["a b", "c"]
    for wrong in ("[1]", "3", '[""]'):
        with pytest.raises(UserError, match=r"data\.extra is a list of texts") as caught:
            read_settings(None, [f"data.extra={wrong}"])
        assert "added for training only" in caught.value.remedy


def test_every_default_is_within_its_own_limits():
    Settings().replaced(Settings().to_dict(), "defaults")
    for section in dataclasses.fields(Settings):
        for field in dataclasses.fields(getattr(Settings(), section.name)):
            assert field.metadata["meaning"]


@pytest.mark.parametrize(
    "recipe", sorted(Path(__file__).parents[2].glob("recipes/*.toml")), ids=lambda path: path.stem
)
def test_every_recipe_can_be_read(recipe):
    assert tomllib.loads(recipe.read_text(encoding="utf-8"))
    read_settings(recipe)


@pytest.mark.parametrize(("weights", "name"), [("", "muon"), ("pretrained", "adamw")])
def test_the_optimiser_follows_where_the_run_starts(weights, name):
    settings = read_settings(None, [f'model.weights="{weights}"'])
    assert settings.optimizer.name == "auto"
    assert settings.resolved().optimizer.name == name
    told = read_settings(None, [f'model.weights="{weights}"', "optimizer.name=sgd"]).resolved()
    assert told.optimizer.name == "sgd"


@pytest.mark.parametrize(
    ("more", "size"),
    [
        ((), 32),
        (("data.size=80",), 40),
        (("data.size=32",), 0),  # 16 pixels would be too few
        (("training.first_size=0",), 0),
        (("training.first_size=24",), 24),
        (("model.name=lenet5",), 0),
        (("model.name=timm:vit_tiny_patch16_224",), 0),
        (("model.weights=pretrained", "model.name=lite0"), 0),
        (("training.patience=3",), 0),  # epochs of different sizes cannot be compared
        (("training.patience=3", "training.first_size=24"), 24),
    ],
)
def test_training_begins_with_small_pictures_where_that_is_known_to_work(more, size):
    settings = read_settings(None, more)
    assert settings.resolved().training.first_size == size
    assert settings.resolved().resolved() == settings.resolved()


def test_mixup_and_cutmix_are_no_more_than_certain():
    assert read_settings(None, ["augmentation.mixup=0.4", "augmentation.cutmix=0.6"]).resolved()
    with pytest.raises(UserError, match=r"cutmix 0\.8: a batch gets one of them"):
        read_settings(None, ["augmentation.mixup=0.4", "augmentation.cutmix=0.8"]).resolved()


def test_the_command_prints_what_a_run_would_use_and_takes_it_back(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, ["settings", *map(str, arguments)])

    done = run("--set", "model.name=resnet18")
    assert done.exit_code == 0
    assert 'name = "muon"  # ' in done.stdout
    (tmp_path / "own.toml").write_text(done.stdout, encoding="utf-8")
    assert run("--settings", tmp_path / "own.toml").stdout == done.stdout
    assert json.loads(run("--json").stdout)["training"]["first_size"] == 32
    done = run("--set", "training.first_size=200")
    assert done.exit_code == 2
    assert "from 8 to data.size, which is 64" in done.stderr
