import csv
import dataclasses
import json
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from classify import checkpoints, loop, models, pool, provenance, weights
from classify.checkpoints import Progress
from classify.data.sources import find_source
from classify.history import Epoch, enter, scores, standard_error
from classify.learner import Learner, Plan, fastest_plan, pick
from classify.models.speedrun import Airbench
from classify.schedule import Budget, learning_rate, side
from classify.settings import OptimizerSettings, Settings, read_settings
from classify.stopwatch import Stopwatch
from classify.training import train
from classify.transfer import prepare
from classify.weights import Preprocessing
from curate.errors import UserError

TINY = [
    "data.size=16",
    "model.width=8",
    "training.minutes=0",
    "training.batch_size=16",
    "training.device=cpu",
    "training.precision=fp32",
]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def tiny(*more):
    return read_settings(None, [*TINY, *more])


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Discs and crosses anywhere, in any colour: 40 and 24 pictures."""
    root = tmp_path_factory.mktemp("shapes")
    random = np.random.default_rng(0)
    for name, count in (("cross", 40), ("disc", 24)):
        (root / name).mkdir()
        for index in range(count):
            ground, ink = (tuple(int(v) for v in random.integers(low, low + 90, 3)) for low in (160, 0))
            image = Image.new("RGB", (32, 32), ground)
            draw = ImageDraw.Draw(image)
            x, y, r = (int(v) for v in (*random.integers(11, 21, 2), random.integers(7, 11)))
            if name == "disc":
                draw.ellipse((x - r, y - r, x + r, y + r), ink)
            else:
                draw.line((x - r, y - r, x + r, y + r), ink, 3)
                draw.line((x - r, y + r, x + r, y - r), ink, 3)
            image.save(root / name / f"{index}.png")
    return root


def test_a_run_learns_and_leaves_all_its_files(shapes, tmp_path):
    epochs, said = [], []
    out = tmp_path / "deep" / "run"
    result = train(
        shapes, out, tiny("training.epochs=12"), on_epoch=epochs.append, say=said.append, workers=1
    )
    assert names(out) == [
        ".lock",
        "best.safetensors",
        "checkpoint.safetensors",
        "files.csv",
        "fingerprints.parquet",
        "history.csv",
        "last.safetensors",
        "provenance.json",
        "settings.toml",
    ]
    assert [epoch.epoch for epoch in epochs] == list(range(1, 13))
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].used == 1
    assert "macro-F1" in str(epochs[0])
    assert result.macro_f1 > 0.8
    assert result.classes == ["cross", "disc"]
    json.dumps(vars(result))
    classifier = weights.load(result.best)
    assert classifier.classes == ["cross", "disc"]
    assert classifier.settings["optimizer"]["lr"] == 0.003
    assert classifier.settings == read_settings(out / "settings.toml").to_dict()
    with (out / "history.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(1, 13))
    assert any("Held out 6 of 64" in text for text in said)
    assert any("has 6 pictures: its scores say little, in whole steps of 17%" in text for text in said)


def test_a_budget_of_pictures_ends_within_an_epoch(shapes, tmp_path):
    epochs = []
    settings = tiny("training.epochs=100", "training.pictures=90", "training.batch_size=8")
    result = train(shapes, tmp_path / "run", settings, on_epoch=epochs.append, workers=1)
    assert result.pictures == 96, "whole batches"
    assert [round(epoch.used, 3) for epoch in epochs] == [round(7 / 12, 3), 1.0]
    assert epochs[-1].learning_rate < epochs[0].learning_rate


def test_the_same_seed_gives_the_same_bytes(shapes, tmp_path):
    runs = {}
    for name, more, workers in (("one", (), 1), ("two", (), 2), ("other", ("training.seed=1",), 1)):
        train(shapes, tmp_path / name, tiny("training.epochs=2", *more), workers=workers)
        runs[name] = (tmp_path / name / "last.safetensors").read_bytes()
    assert runs["one"] == runs["two"]
    assert runs["one"] != runs["other"]


def test_where_the_decoded_pictures_lie_changes_nothing(shapes, tmp_path):
    for cache in ("memory", "disk"):
        train(shapes, tmp_path / cache, tiny("training.epochs=1", f"data.cache={cache}"), workers=1)
    one, other = (names(tmp_path / cache) for cache in ("memory", "disk"))
    assert one == other
    one, other = (weights.load(tmp_path / cache / "last.safetensors") for cache in ("memory", "disk"))
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])


def test_no_room_for_the_decoded_pictures(shapes, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(UserError, match=r"the pictures need 0.0 GB on disk \(No space left") as error:
        train(shapes, tmp_path / "run", tiny("data.cache=disk"), workers=1)
    assert "data.size" in error.value.remedy
    assert not (tmp_path / "run").exists()


def test_a_killed_run_goes_on_to_the_same_bytes(shapes, tmp_path):
    # Each in a process of its own: the bytes are those of a number of threads, and other tests may leave another one here.
    code = f"""
        import os, sys
        from classify import loop, training
        from classify.settings import read_settings
        loop._SAVE_SECONDS = 0
        run, ending, resume = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resume"
        settings = None if resume else read_settings(None, {[*TINY, "training.epochs=4"]!r})
        step, count = loop.Learner.step, 0
        def dying(self, *arguments):
            global count
            count += arguments[3] > 0
            if count > ending:
                os.kill(os.getpid(), {int(signal.SIGKILL)})
            return step(self, *arguments)
        loop.Learner.step = dying
        result = training.train({str(shapes)!r}, run, settings, resume=resume, say=print, workers=1)
        assert result.epochs == 4
        print("macro-F1", result.macro_f1)
    """

    def run(name, ending, how):
        words = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / name), str(ending), how]
        return subprocess.run(words, check=False, capture_output=True, text=True)

    assert run("whole", 999, "new").returncode == 0
    assert run("killed", 9, "new").returncode == -signal.SIGKILL
    resumed = run("killed", 999, "resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "Going on after epoch" in resumed.stdout
    for name in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    again = train(shapes, tmp_path / "killed", resume=True, workers=1)
    assert resumed.stdout.splitlines()[-1] == f"macro-F1 {again.macro_f1}"


def test_a_finished_run_that_is_resumed_says_so_and_stays(shapes, tmp_path):
    said = []
    train(shapes, tmp_path / "run", tiny("training.epochs=1"), workers=1)
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    result = train(shapes, tmp_path / "run", resume=True, workers=1, say=said.append)
    assert said[-1] == "It had ended already: nothing is left to do."
    assert result.epochs == 1
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_minutes_end_the_run_with_the_schedule_done(shapes, tmp_path):
    epochs = []
    start = time.monotonic()
    train(
        shapes,
        tmp_path / "run",
        tiny("training.minutes=0.05", "training.epochs=100000"),
        on_epoch=epochs.append,
        workers=1,
    )
    assert epochs[-1].used == 1
    assert epochs[-1].learning_rate == 0
    assert len(epochs) < 1000
    assert time.monotonic() - start < 60


def test_minutes_that_reading_uses_up_are_told_and_leave_nothing(shapes, tmp_path):
    with pytest.raises(UserError, match=r"training\.minutes = 0\.0001: reading .* took all of it") as caught:
        train(shapes, tmp_path / "run", tiny("training.minutes=0.0001"), workers=1)
    assert "Give it more" in caught.value.remedy
    assert not (tmp_path / "run").exists()


def test_a_run_of_one_step_learns_in_it(shapes, tmp_path):
    settings = tiny("training.epochs=1", "training.batch_size=64").resolved()
    result = train(shapes, tmp_path / "run", settings, workers=1)
    assert result.pictures == 64
    drawn = prepare(settings, tmp_path / "none").network(["cross", "disc"], 0)[0].state_dict()
    learnt = weights.load(result.last).model.state_dict()
    assert not torch.equal(learnt["head.weight"], drawn["head.weight"])


def test_a_loss_that_is_no_number_ends_the_run_and_what_was_kept_stays(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SAVE_SECONDS", 0)
    wild = ["optimizer.name=sgd", "optimizer.lr=100", "optimizer.weight_decay=10", "optimizer.warmup=0"]
    epochs: list[Epoch] = []
    with pytest.raises(UserError, match=r"in epoch \d+ the loss is no number any more") as caught:
        train(shapes, tmp_path / "run", tiny("training.epochs=40", *wild), workers=1, on_epoch=epochs.append)
    assert "lower optimizer.lr (it is 100)" in caught.value.remedy
    assert all(np.isfinite(epoch.loss) for epoch in epochs)
    if epochs:
        kept = weights.load(tmp_path / "run" / "best.safetensors").model.state_dict()
        assert all(value.isfinite().all() for value in kept.values())


def test_a_run_among_its_own_pictures_is_refused(shapes):
    before = sorted(shapes.rglob("*"))
    with pytest.raises(UserError, match="among the pictures"):
        train(shapes, shapes / "runs" / "shapes", tiny("training.epochs=1"), workers=1)
    assert sorted(shapes.rglob("*")) == before


@pytest.fixture
def stopped(shapes, tmp_path, monkeypatch):
    """A run that was interrupted after its second epoch of four."""
    monkeypatch.setattr(loop, "_SAVE_SECONDS", 0)

    def stop(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(shapes, tmp_path / "run", tiny("training.epochs=4"), workers=1, on_epoch=stop)
    return tmp_path / "run"


def test_settings_that_were_changed_below_a_run_are_told(shapes, stopped):
    text = (stopped / "settings.toml").read_text()
    for key, value in (("muon", "adamw"), ("small-resnet", "plain-cnn")):
        (stopped / "settings.toml").write_text(text.replace(f'name = "{key}"', f'name = "{value}"'))
        with pytest.raises(UserError, match=r"settings\.toml is not that of its checkpoint"):
            train(shapes, stopped, resume=True, workers=1)


def test_best_weights_of_a_later_epoch_than_the_checkpoints_are_not_kept(shapes, stopped):
    """As a kill leaves them between the weights and the checkpoint."""
    tensors, progress, _ = checkpoints.read(stopped)
    ahead = weights.load(stopped / "best.safetensors")
    state = {name: value + 1 for name, value in ahead.model.state_dict().items()}
    weights.save(
        stopped / "best.safetensors", state, model="small-resnet", model_options=ahead.metadata["model"]["options"],
        classes=ahead.classes, preprocessing=ahead.preprocessing, settings=ahead.settings, extra={"epoch": 3},
    )  # fmt: skip

    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(shapes, stopped, resume=True, workers=1, on_epoch=stop)
    found = weights.load(stopped / "best.safetensors")
    assert found.metadata["epoch"] == progress.best_epoch
    prefix = "best." if progress.best_epoch != progress.epoch else "averaged."
    for name, value in found.model.state_dict().items():
        assert torch.equal(value, tensors[prefix + name])


def test_kept_weights_of_an_earlier_epoch_go_through_a_stop(shapes, tmp_path, monkeypatch):
    def first_alone(state, *rest):
        enter(state, *rest)
        state.best_epoch = 1
        return state.epoch == 1

    def stop(epoch):
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_SAVE_SECONDS", 0)
    monkeypatch.setattr(loop, "enter", first_alone)
    best = tmp_path / "run" / "best.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(shapes, tmp_path / "run", tiny("training.epochs=3"), workers=1, on_epoch=stop)
    kept = weights.load(best).model.state_dict()
    best.write_bytes(b"torn by a full disk")
    train(shapes, tmp_path / "run", resume=True, workers=1)
    again = weights.load(best)
    assert again.metadata["epoch"] == 1
    assert all(torch.equal(value, kept[name]) for name, value in again.model.state_dict().items())


def test_another_balance_or_order_is_not_gone_on_with(shapes, stopped):
    source = find_source(shapes)
    twice = dataclasses.replace(
        source, copies=np.full(len(source.items), 2, np.int32), weights=np.ones(len(source.items), np.float32)
    )
    with pytest.raises(UserError, match="their order or their balance are no longer those"):
        train(twice, stopped, resume=True, workers=1)
    tensors, progress, about = checkpoints.read(stopped)
    checkpoints.write(stopped, tensors, progress, {**about, "processes": 2})
    with pytest.raises(UserError, match="was trained by 2 processes together, now there is 1") as caught:
        train(shapes, stopped, resume=True, workers=1)
    assert "Go on with as many" in caught.value.remedy
    checkpoints.write(stopped, tensors, progress, about)
    assert train(shapes, stopped, resume=True, workers=1).epochs == 4


def test_time_that_runs_out_between_two_epochs_makes_no_empty_one(shapes, tmp_path, monkeypatch):
    over = False
    monkeypatch.setattr(Budget, "used", lambda self, step, elapsed: 1.0 if over else step / 100)

    def between(epoch):
        nonlocal over
        over = epoch.epoch == 2
        epochs.append(epoch)

    epochs: list[Epoch] = []
    said: list[str] = []
    settings = tiny("training.patience=0")
    result = train(shapes, tmp_path / "run", settings, on_epoch=between, say=said.append, workers=1)
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert all(np.isfinite(epoch.loss) and epoch.rate > 0 for epoch in epochs)
    assert result.epochs == result.best_epoch == 2
    assert not any("Stopped" in text for text in said)
    assert "temperature" in weights.load(result.best).metadata, "the run has ended as others do"
    train(shapes, tmp_path / "run", resume=True, say=said.append, workers=1)
    assert said[-1] == "It had ended already: nothing is left to do."


def test_patience_ends_the_run_early(shapes, tmp_path):
    settings = tiny("training.epochs=30", "training.patience=2", "optimizer.lr=1e-7")
    said: list[str] = []
    result = train(shapes, tmp_path / "run", settings, workers=1, say=said.append)
    assert result.epochs < 30
    assert result.highest is not None
    assert said[-1] == "Stopped: 2 epochs without a better macro-F1 (training.patience)."


def test_epochs_of_smaller_pictures_count_neither_for_best_nor_for_patience():
    state, kept = Progress(), []
    for number, (side_, macro_f1) in enumerate(
        [(32, 0.9), (32, 0.9), (64, 0.5), (64, 0.5), (64, 0.4), (64, 0.4)], 1
    ):
        epoch = Epoch(number, 1.0, macro_f1, macro_f1, 0.1, 1.0, 0.1, 10.0, 0.0, side_, number / 10, 1.0)
        kept.append(enter(state, epoch, 10_000, patience=2 if side_ == 64 else 0))
        if number == 4:
            assert not state.finished, "the first epoch at the full size is the highest until now"
    assert kept == [True, True, True, True, False, False]
    assert state.best_epoch == 4
    assert state.finished


def test_patience_needs_something_to_judge_by(shapes, tmp_path):
    source = find_source(shapes)
    bare = dataclasses.replace(source, splits=["train"] * len(source.items))
    with pytest.raises(UserError, match=r"patience is 2, but .* has no validation part") as caught:
        train(bare, tmp_path / "run", tiny("training.patience=2"), workers=1)
    assert "--val 0.1" in caught.value.remedy
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
    ],
)
def test_too_little_memory_is_told_and_the_folder_can_be_used_again(shapes, tmp_path, monkeypatch, error):
    def step(*arguments):
        raise error

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(UserError, match=r"batches of 16 pictures of 16 px") as caught:
        train(shapes, tmp_path / "run", tiny("training.epochs=1"), workers=1)
    assert "smaller training.batch_size" in caught.value.remedy
    monkeypatch.undo()
    assert train(shapes, tmp_path / "run", tiny("training.epochs=1"), workers=1).epochs == 1


def test_other_errors_of_torch_stay_what_they_are(shapes, tmp_path, monkeypatch):
    def step(*arguments):
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(RuntimeError, match="size mismatch"):
        train(shapes, tmp_path / "run", tiny("training.epochs=1"), workers=1)


def test_waiting_counts_from_the_choice_of_pictures(shapes, tmp_path, monkeypatch):
    def slow(images, rows):
        time.sleep(0.05)
        return pick(images, rows)

    monkeypatch.setattr(pool, "pick", slow)
    result = train(shapes, tmp_path / "run", tiny("training.epochs=2"), workers=1)
    assert result.waiting * result.seconds > 0.05 * result.pictures / 16 * 0.5


def test_a_gpus_time_is_that_of_its_stream(monkeypatch):
    class Event:
        clock = 0.0

        def __init__(self, enable_timing):
            assert enable_timing

        def record(self, stream):
            Event.clock += 1000.0
            self.at = Event.clock

        def synchronize(self):
            pass

        def elapsed_time(self, other):
            return other.at - self.at

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    watch = Stopwatch(torch.device("cuda"))
    watch.ready()  # nothing was begun
    for _ in range(3):
        watch.begin()
        watch.ready()
    assert watch.seconds() == 3.0
    assert watch.seconds() == 0.0


def test_a_folder_with_a_run_is_not_overwritten(shapes, tmp_path):
    out = tmp_path / "run"
    train(shapes, out, tiny("training.epochs=1"), workers=1)
    before = (out / "best.safetensors").read_bytes()
    with pytest.raises(UserError, match="holds a run already") as caught:
        train(shapes, out, tiny("training.epochs=1"), workers=1)
    assert "--resume" in caught.value.remedy
    assert (out / "best.safetensors").read_bytes() == before
    with pytest.raises(UserError, match=r"optimizer\.ema = .*, not 0\.5, training\.epochs = 1, not 2\."):
        train(shapes, out, tiny("optimizer.ema=0.5", "training.epochs=2"), resume=True, workers=1)


def test_resuming_with_other_pictures_is_refused(shapes, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(shapes, copy)
    train(copy, tmp_path / "run", tiny("training.epochs=1"), workers=1)
    (copy / "disc" / "3.png").unlink()
    with pytest.raises(UserError, match="no longer those"):
        train(copy, tmp_path / "run", resume=True, workers=1)


def test_bad_places_are_said_and_nothing_is_left(shapes, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file; a run needs a folder"):
        train(shapes, tmp_path / "file", tiny())
    with pytest.raises(UserError, match="cannot be made"):
        train(shapes, tmp_path / "file" / "run", tiny())
    with pytest.raises(UserError, match="no run to go on with"):
        train(shapes, tmp_path / "none", resume=True)
    with pytest.raises(UserError, match="no such folder"):
        train(tmp_path / "missing", tmp_path / "a" / "run", tiny())
    broken = tmp_path / "broken"
    for name in "ab":
        (broken / name).mkdir(parents=True)
        (broken / name / "1.png").write_bytes(b"words")
    with pytest.raises(UserError, match="can be read"):
        train(broken, tmp_path / "a" / "run", tiny(), workers=1)
    with pytest.raises(UserError, match="Did you mean 'small-resnet'"):
        train(shapes, tmp_path / "a" / "run", tiny("model.name=small-resnt"), workers=1)
    with pytest.raises(UserError, match="'airbench' takes pictures of 9 pixels or more, not 8"):
        train(shapes, tmp_path / "a" / "run", tiny("model.name=airbench", "data.size=8"), workers=1)
    assert names(tmp_path) == ["broken", "file"]


def test_provenance_tells_the_random_start(shapes, tmp_path):
    train(shapes, tmp_path / "run", tiny("training.epochs=1", "training.seed=5"), workers=1)
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())
    torch.manual_seed(5)
    network = models.create("small-resnet", 2, {"size": 16, "width": 8})
    assert record["initial_weights_sha256"] == provenance.digest(network.state_dict())
    assert record["settings"]["training"]["seed"] == 5
    assert record["versions"]["torch"] == torch.__version__.split("+")[0] or record["versions"]["torch"]


def test_a_network_that_wants_pictures_gets_them_once(shapes, tmp_path, monkeypatch):
    seen = []
    prepare = Airbench.prepare
    monkeypatch.setattr(loop, "_SAMPLE", 20)
    monkeypatch.setattr(
        Airbench, "prepare", lambda self, images: (seen.append(images.clone()), prepare(self, images))
    )
    out = tmp_path / "run"
    train(shapes, out, tiny("model.name=airbench", "training.epochs=1"), workers=1)
    (images,) = seen
    assert images.shape == (20, 3, 16, 16)
    assert images.dtype == torch.float32
    torch.manual_seed(0)
    network = models.create("airbench", 2, {"size": 16, "width": 8})
    record = json.loads((out / "provenance.json").read_text())
    assert record["initial_weights_sha256"] == provenance.digest(network.state_dict())
    prepare(network, images)
    trained = weights.load(out / "last.safetensors").model
    assert torch.equal(trained.whitening.weight, network.whitening.weight)
    train(shapes, out, resume=True, workers=1)
    weights.load(out / "best.safetensors")
    assert len(seen) == 1


def test_a_network_is_prepared_with_fewer_pictures_where_they_are_large(shapes, tmp_path, monkeypatch):
    counts = []
    monkeypatch.setattr(loop, "_SAMPLE_PIXELS", 3 * 16 * 16)
    monkeypatch.setattr(Airbench, "prepare", lambda self, images: counts.append(len(images)))
    train(shapes, tmp_path / "run", tiny("model.name=airbench", "training.epochs=1"), workers=1)
    assert counts == [3]


# Parts of the loop


def test_the_budget_follows_steps_or_the_clock():
    assert Budget(10, 0).used(5, 1e9) == 0.5
    assert Budget(10, 100).used(5, 80) == 0.8
    assert Budget(10, 100).used(5, 20) == 0.5
    closing = Budget(10, 100)
    closing.closing = 10
    assert closing.used(0, 85) == 1


@pytest.mark.parametrize(
    ("decay", "middle"),
    [
        ("cosine", 1.0),
        ("linear", 1.0),
        ("polynomial", 0.5),
        ("exponential", 0.2),
        ("step", 0.2),
        ("trapezoid", 2.0),
        ("constant", 2.0),
    ],
)
def test_the_rate_rises_and_falls(decay, middle):
    settings = OptimizerSettings(warmup=0.25, decay=decay)
    assert learning_rate(settings, 2.0, 0.0) == 0
    assert learning_rate(settings, 2.0, 0.125) == pytest.approx(1)
    assert learning_rate(settings, 2.0, 0.25) == pytest.approx(2)
    assert learning_rate(settings, 2.0, 0.625) == pytest.approx(middle)
    assert learning_rate(settings, 2.0, 1.5) == pytest.approx(
        {"constant": 2.0, "exponential": 0.02, "step": 0.02}.get(decay, 0), abs=1e-9
    )


def learner(*more):
    torch.manual_seed(0)
    network = models.create("small-resnet", 3, {"size": 16, "width": 4})
    return Learner(
        network, tiny(*more).resolved(), Preprocessing(16), Plan("fp32", True), torch.device("cpu")
    )


def data():
    torch.manual_seed(1)
    return torch.randint(0, 256, (8, 16, 16, 3), dtype=torch.uint8), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


@pytest.mark.parametrize(
    ("used", "pixels"), [(0.0, 32), (0.3, 40), (0.4, 48), (0.69, 56), (0.7, 64), (1.0, 64)]
)
def test_pictures_grow_in_steps_of_eight_pixels(used, pixels):
    assert side(32, 64, 0.7, used) == pixels
    assert side(0, 64, 0.7, used) == 64


def test_a_network_sees_small_pictures_first(shapes, tmp_path, monkeypatch):
    seen, inside = [], models.create

    def watched(*arguments):
        network = inside(*arguments)
        network.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[2]))
        return network

    monkeypatch.setattr("classify.models.create", watched)
    more = ("training.epochs=4", "data.size=24", "training.first_size=16", "training.grown=0.5")
    train(shapes, tmp_path / "run", tiny(*more), workers=1)
    in_training = seen[1:]  # the first look sees whether the network takes the size
    assert set(in_training) == {16, 24}
    assert in_training == sorted(in_training)
    assert (
        in_training.count(16) == 2 * 4 + 1
    )  # half of four epochs of four steps, and the first epoch's evaluation
    assert weights.load(tmp_path / "run" / "last.safetensors").preprocessing.size == 24


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("training.first_size=32",), "first_size is 32; it must be from 8 to data.size, which is 24"),
        (("training.first_size=4",), "first_size is 4; it must be from 8"),
        (("training.first_size=16", "model.name=lenet5"), "'lenet5' cannot take pictures of 16 pixels"),
    ],
)
def test_pictures_that_cannot_grow(more, message, shapes, tmp_path):
    with pytest.raises(UserError, match=message):
        train(shapes, tmp_path / "run", tiny("data.size=24", *more), workers=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_state_and_restore_continue_exactly(optimizer):
    images, labels = data()
    whole, first = learner(f"optimizer.name={optimizer}"), learner(f"optimizer.name={optimizer}")
    for number in range(2):
        for one in (whole, first):
            one.step(images, one.targets(labels, torch.ones(8), 3), 0.01, number)
    second = learner(f"optimizer.name={optimizer}", "training.seed=0")
    second.restore(first.state())
    for one in (whole, second):
        one.step(images, one.targets(labels, torch.ones(8), 3), 0.01, 2)
    assert provenance.digest(whole.state()) == provenance.digest(second.state())


def test_targets_are_smoothed_and_weighed():
    rows = learner("optimizer.label_smoothing=0.3").targets(torch.tensor([2, 0]), torch.tensor([1.0, 2.0]), 3)
    torch.testing.assert_close(rows, torch.tensor([[0.1, 0.1, 0.8], [1.6, 0.2, 0.2]]))


def test_the_average_lags_behind_the_weights():
    images, labels = data()
    one = learner()
    before = one.network.head.weight.detach().clone()
    for number in range(1000, 1005):
        one.step(images, one.targets(labels, torch.ones(8), 3), 0.1, number)
    moved = (one.network.head.weight - before).norm()
    lag = (one.averaged.head.weight - before).norm()
    assert 0 < lag < 0.1 * moved


def test_the_fastest_plan_is_measured_and_leaves_the_network_alone():
    torch.manual_seed(0)
    network = models.create("small-resnet", 3, {"size": 16, "width": 4})
    before = provenance.digest(network.state_dict())
    settings = tiny("training.precision=auto").resolved()
    plan, rates = fastest_plan(network, settings, Preprocessing(16), torch.device("cpu"), 3)
    names = {
        f"{precision}, channels {order}" for precision in ("fp32", "bf16") for order in ("last", "first")
    }
    assert str(plan) in rates
    assert set(rates) <= names
    assert provenance.digest(network.state_dict()) == before


def test_a_hopeless_plan_costs_no_whole_batch(monkeypatch):
    tried = []

    def seconds(learner, images, targets):
        tried.append((learner.plan, len(images)))
        return 1.0 if learner.plan.precision == "fp32" else 3.5

    monkeypatch.setattr("classify.learner._seconds", seconds)
    network = models.create("small-resnet", 3, {"size": 16, "width": 4})
    settings = tiny("training.precision=auto").resolved()
    plan, rates = fastest_plan(network, settings, Preprocessing(16), torch.device("cpu"), 3)
    assert plan == Plan("fp32", True)
    assert set(rates) == {"fp32, channels last", "fp32, channels first"}
    assert {count for plan, count in tried if plan.precision == "bf16"} == {2}
    assert {count for plan, count in tried if plan.precision == "fp32"} == {2, 16}


def test_macro_f1_is_over_the_classes_that_occur():
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    macro, accuracy = scores(labels, predicted)
    assert macro == pytest.approx((1 + 2 / 3) / 2)
    assert accuracy == 0.75
    assert np.isnan(scores(np.zeros(0, int), np.zeros(0, int))).all()


def test_chance_moves_scores_of_few_pictures_more():
    assert standard_error(0.5, 100) == pytest.approx(0.05)
    assert standard_error(0.5, 400) == pytest.approx(0.025)
    assert standard_error(-1, 10) == 0


@pytest.mark.parametrize("more", [("data.balance=logits",), ("data.balance=none", "optimizer.focal=2")])
def test_other_ways_with_unequal_classes_learn_too(more, shapes, tmp_path):
    result = train(shapes, tmp_path / "run", tiny("training.epochs=12", *more), workers=1)
    assert result.macro_f1 > 0.8


def test_a_gpu_that_is_not_there(shapes, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match=r"training\.device"):
        train(shapes, tmp_path / "run", tiny("training.device=cuda"), workers=1)
    assert Settings().training.device == "auto"
