#!/usr/bin/env python3
"""From random weights in the same time, beside timm and fastai: macro-F1 on a test folder.

usage: training_peers.py TRAIN TEST [--minutes 15] [--seeds N] [--methods NAME ...] [--out FOLDER] [--python timm=PYTHON]

TRAIN and TEST hold class folders; all methods get the same files. Give TRAIN as `curate apply --copy` wrote it. Each run is a
process of its own, one after the other. A peer is given as many epochs as fit into the time, by the pace of its first
batches, so that its schedule ends in time; loading and the timing of the pace are not counted against it, judging
neither. Ours counts everything and holds out a tenth for validation; the peers learn from all of TRAIN.

  timm          the parts and the defaults of timm's train.py: resnet50 at 224 px, SGD 0.05, cosine after 5 epochs of warm-up,
                random resized crops, colour jitter 0.4, label smoothing 0.1, batches of 128
  timm-small    what its papers and scripts say for little data, at a size that fits the time: resnet18 at 64 px, AdamW 0.002,
                weight decay 0.05, RandAugment m9, random erasing 0.25, mixup 0.2, crops of 35 % or more, average of weights;
                32-bit floats, or --amp --amp-dtype bfloat16 --channels-last where that is faster
  fastai        the tutorial: resnet18 at 224 px, Learner.fit_one_cycle with its defaults
  fastai-small  its Imagenette leaderboard: xresnet18 with Mish and self-attention, 64 px, ranger with 0.008, flat and cosine,
                mixup, label smoothing, crops of 35 % or more, aug_transforms
  ours          `classify train TRAIN` with the default settings but for the minutes

Each method needs its packages in the interpreter that runs it: --python fastai=PYTHON names another one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hardware import hardware

METHODS = ("timm", "timm-small", "fastai", "fastai-small", "ours")
WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PACE_SECONDS = 10


def macro_f1(truth: Iterable[int], found: Iterable[int]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(list(truth), list(found), average="macro"))


def seeded(seed: int) -> None:
    import numpy as np
    import torch

    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)


def epochs_in(seconds: float, batches: int, step: Callable[[], None]) -> int:
    """How many epochs of so many `batches` fit into the time, by the pace of `step`."""
    step()
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < PACE_SECONDS:
        step()
        done += 1
    return max(1, math.floor(seconds / ((time.perf_counter() - begun) / done * batches)))


def timm(train: Path, test: Path, seconds: float, seed: int, small: bool) -> dict[str, float]:
    import torch
    from timm import create_model
    from timm.data import Mixup, create_loader, resolve_data_config
    from timm.data.dataset import ImageDataset
    from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2
    from timm.utils import ModelEmaV3

    seeded(seed)
    data = ImageDataset(str(train))
    classes = len(data.reader.class_to_idx)
    size, batch = (64, 64) if small else (224, 128)
    network = create_model("resnet18" if small else "resnet50", num_classes=classes)
    look = resolve_data_config({"input_size": (3, size, size)}, model=network)
    common: dict[str, Any] = {
        "input_size": look["input_size"], "batch_size": batch, "use_prefetcher": False, "num_workers": WORKERS,
        "mean": look["mean"], "std": look["std"], "crop_pct": look["crop_pct"], "device": torch.device("cpu"),
    }  # fmt: skip
    more = {"auto_augment": "rand-m9-inc1", "re_prob": 0.25, "scale": (0.35, 1.0)} if small else {}
    loader = create_loader(
        data, is_training=True, color_jitter=0.4, interpolation="random", hflip=0.5, **common, **more
    )
    mixup = Mixup(mixup_alpha=0.2, label_smoothing=0.1, num_classes=classes) if small else None
    loss_of: Any = SoftTargetCrossEntropy() if small else LabelSmoothingCrossEntropy(0.1)

    amp, form = False, torch.contiguous_format

    def begin() -> tuple[Any, Any]:
        fresh = create_model("resnet18" if small else "resnet50", num_classes=classes).to(memory_format=form)
        given = {"opt": "adamw", "lr": 0.002, "weight_decay": 0.05} if small else {
            "opt": "sgd", "lr": 0.1 * batch / 256, "weight_decay": 2e-5, "momentum": 0.9}  # fmt: skip
        return fresh, create_optimizer_v2(fresh, **given)

    def learn(network: Any, optimizer: Any, images: Any, labels: Any) -> None:
        if mixup:
            images, labels = mixup(images, labels)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            loss = loss_of(network(images.contiguous(memory_format=form)), labels)
        loss.backward()
        optimizer.step()

    trial, batches = begin(), iter(loader)

    def one() -> None:
        nonlocal batches
        found = next(batches, None)
        if found is None:
            batches = iter(loader)
            found = next(batches)
        learn(*trial, *found)

    epochs = epochs_in(seconds, len(loader), one)
    if small:
        amp, form = True, torch.channels_last
        trial = begin()
        reduced = epochs_in(seconds, len(loader), one)
        if reduced <= epochs:
            amp, form = False, torch.contiguous_format
        epochs = max(epochs, reduced)
    seeded(seed)
    network, optimizer = begin()
    average = ModelEmaV3(network, decay=0.998, use_warmup=True) if small else None
    schedule, _ = create_scheduler_v2(
        optimizer, "cosine", num_epochs=epochs, warmup_epochs=min(5, epochs // 5), warmup_lr=1e-5
    )
    begun, number = time.perf_counter(), 0
    for epoch in range(epochs):
        schedule.step(epoch)
        for images, labels in loader:
            learn(network, optimizer, images, labels)
            number += 1
            if average:
                average.update(network, number)
    spent = time.perf_counter() - begun
    judged = average.module if average else network
    judged.eval()
    held = ImageDataset(str(test), class_map=data.reader.class_to_idx)
    truth, found = [], []
    with torch.inference_mode():
        for images, labels in create_loader(held, is_training=False, **common):
            truth += labels.tolist()
            found += judged(images).argmax(1).tolist()
    return {"macro_f1": macro_f1(truth, found), "epochs": epochs, "seconds": spent}


def fastai(train: Path, test: Path, seconds: float, seed: int, small: bool) -> dict[str, float]:
    import torch
    from fastai.callback import schedule  # noqa: F401  gives Learner its fit_one_cycle and fit_flat_cos
    from fastai.callback.mixup import MixUp
    from fastai.data.all import DataBlock, parent_label
    from fastai.layers import Mish
    from fastai.losses import CrossEntropyLossFlat, LabelSmoothingCrossEntropy
    from fastai.optimizer import Adam, ranger
    from fastai.vision.all import (
        CategoryBlock,
        ImageBlock,
        Learner,
        RandomResizedCrop,
        Resize,
        aug_transforms,
        get_image_files,
    )  # fmt: skip
    from fastai.vision.models.xresnet import xresnet18
    from torchvision.models import resnet18

    seeded(seed)
    files = get_image_files(train)
    item = RandomResizedCrop(64, min_scale=0.35) if small else Resize(224)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=lambda source: files,
        get_y=parent_label,
        splitter=lambda items: (
            list(range(len(items))),
            [0],
        ),  # a validation part of one: all are learnt from
        item_tfms=item,
        batch_tfms=aug_transforms() if small else None,
    )
    loaders = block.dataloaders(train, bs=64, num_workers=WORKERS)

    def begin() -> Any:
        network = (
            xresnet18(n_out=loaders.c, act_cls=Mish, sa=True) if small else resnet18(num_classes=loaders.c)
        )
        loss = LabelSmoothingCrossEntropy() if small else CrossEntropyLossFlat()
        return Learner(
            loaders,
            network,
            loss_func=loss,
            opt_func=ranger if small else Adam,
            cbs=MixUp() if small else None,
        )

    trial, batches = begin(), iter(loaders.train)
    trial.create_opt()

    def one() -> None:
        nonlocal batches
        found = next(batches, None)
        if found is None:
            batches = iter(loaders.train)
            found = next(batches)
        images, labels = (one.as_subclass(torch.Tensor) for one in found)  # as its callback CastToTensor does
        trial.opt.zero_grad()
        trial.loss_func(trial.model(images), labels).backward()
        trial.opt.step()

    epochs = epochs_in(seconds, len(loaders.train), one)
    seeded(seed)
    learner = begin()
    begun = time.perf_counter()
    with learner.no_bar(), learner.no_logging():
        if small:
            learner.fit_flat_cos(epochs, 8e-3, wd=1e-2)
        else:
            learner.fit_one_cycle(epochs)
    spent = time.perf_counter() - begun
    held = get_image_files(test)
    with learner.no_bar():
        beliefs, _ = learner.get_preds(dl=loaders.test_dl(held))
    number = {name: index for index, name in enumerate(loaders.vocab)}
    truth = [number[parent_label(file)] for file in held]
    return {"macro_f1": macro_f1(truth, beliefs.argmax(1).tolist()), "epochs": epochs, "seconds": spent}


def ours(train: Path, test: Path, seconds: float, seed: int, run: Path) -> dict[str, float]:
    words = ["--set", f"training.minutes={seconds / 60}", "--set", f"training.seed={seed}", "--json"]
    program = [sys.executable, "-m", "classify"]
    done = subprocess.run(
        [*program, "train", train, "--out", run, "--set", "data.raw=true", *words],
        check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    result = json.loads(done.stdout)
    subprocess.run([*program, "evaluate", test, run / "best.safetensors", "--quiet"], check=True)
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())
    return {"macro_f1": metrics["macro_f1"], "epochs": result["epochs"], "seconds": result["seconds"]}


def cell(method: str, train: Path, test: Path, seconds: float, seed: int, place: Path) -> dict[str, float]:
    """One training in this process."""
    if method == "ours":
        return ours(train, test, seconds, seed, place / f"ours-{seed}")
    name, _, small = method.partition("-")
    return {"timm": timm, "fastai": fastai}[name](train, test, seconds, seed, bool(small))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, default=Path("runs/training_peers"))
    parser.add_argument("--python", action="append", default=[], metavar="METHOD=PYTHON")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # a seed: a single cell, as JSON
    given = parser.parse_args()
    seconds = 60 * given.minutes
    if given.one is not None:
        print(json.dumps(cell(given.methods[0], given.train, given.test, seconds, given.one, given.out)))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    pythons = dict(text.split("=", 1) for text in given.python)
    print(f"{hardware()}; {given.minutes:g} minutes each, n = {given.seeds} seeds\n", flush=True)
    print(
        "| method | macro-F1 on the test folder, mean (sd) | each | epochs | minutes |\n|---|---|---|---|---|"
    )
    for method in given.methods:
        python = pythons.get(method, pythons.get(method.partition("-")[0], sys.executable))
        rows = []
        for seed in range(given.seeds):
            words = [python, __file__, given.train, given.test, "--minutes", str(given.minutes)]
            words += ["--methods", method, "--out", given.out, "--one", str(seed)]
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
        scores = [row["macro_f1"] for row in rows]
        spread = statistics.stdev(scores) if len(scores) > 1 else math.nan
        each = ", ".join(f"{score:.3f}" for score in scores)
        epochs, minutes = (statistics.mean(row[key] for row in rows) for key in ("epochs", "seconds"))
        print(
            f"| {method} | {statistics.mean(scores):.3f} ({spread:.3f}) | {each} | {epochs:.0f} | {minutes / 60:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
