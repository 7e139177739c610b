#!/usr/bin/env python3
"""Pictures a second in training, beside a plain PyTorch script of the same network on the same pictures.

usage: training_rate.py DATA [--sizes 32 96] [--model NAME] [--seconds S] [--rounds N] [--compiled]

DATA holds class folders. The plain script is what a tutorial shows: torchvision's ImageFolder, its transforms (affine, mirror,
colour jitter, grey, erasing) and a DataLoader with a worker a processor, AdamW, 32-bit floats. Ours is a run with the default
settings: pictures decoded once, augmentation in batches, the arithmetic that is measured to be the fastest. They take
turns, so a busy machine slows both; the ratio is taken round by round. `--compiled` lets ours take part once more, with
its network through torch.compile, and says how long compiling took.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from hardware import hardware
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import v2

from classify import models
from classify.data.dataset import read_dataset
from classify.data.sampling import draw_epoch
from classify.data.sources import find_source
from classify.learner import Learner, fastest_plan
from classify.settings import read_settings
from classify.weights import Preprocessing

BATCH = 64


def plain(data: Path, size: int, model: str, device: torch.device) -> Callable[[float], float]:
    """A function of seconds: pictures a second of the tutorial's loop in that time."""
    changes = v2.Compose(
        [
            v2.Resize((size, size)),
            v2.RandomAffine(15, translate=(0.1, 0.1), scale=(0.8, 1.25), shear=8),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.3, 0.3, 0.3, 0.1),
            v2.RandomGrayscale(0.1),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.25] * 3),
            v2.RandomErasing(0.25),
        ]
    )
    folder = datasets.ImageFolder(data, changes)
    loader = DataLoader(
        folder, BATCH, shuffle=True, drop_last=True, num_workers=os.cpu_count() or 1, persistent_workers=True
    )
    network = models.create(model, len(folder.classes), {"size": size}).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), 0.002)
    state = {"batches": iter(loader)}

    def run(seconds: float) -> float:
        done, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            try:
                images, labels = next(state["batches"])
            except StopIteration:
                state["batches"] = iter(loader)
                continue
            loss = nn.functional.cross_entropy(network(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            float(loss.detach())
            done += len(labels)
        return done / (time.perf_counter() - begun)

    return run


def ours(
    data: Path, size: int, model: str, device: torch.device, compiled: bool = False
) -> tuple[Callable[[float], float], Learner]:
    """The same of a run's loop, and its learner. All pictures at their full size: a run begins with small ones."""
    settings = read_settings(None, [f"data.size={size}", f"model.name={model}"]).resolved()
    preprocessing = Preprocessing(size)
    found = read_dataset(find_source(data, True), preprocessing)
    network = models.create(model, len(found.classes), {"size": size})
    plan, _ = fastest_plan(network, settings, preprocessing, device, len(found.classes))
    learner = Learner(network, settings, preprocessing, plan, device)
    if compiled:
        learner.forward = torch.compile(learner.forward)
    images = torch.from_numpy(found.train.images).to(device)
    labels = torch.from_numpy(found.train.labels).to(device)
    weights = torch.ones(len(labels), device=device)
    steps = max(1, len(labels) // BATCH)
    state = {"step": 0}

    def run(seconds: float) -> float:
        done, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            epoch = draw_epoch(
                found.train.weights.astype(float), steps * BATCH, 0, state["step"] // steps
            ).reshape(steps, -1)
            for indices in epoch:
                learner.waiting.begin()
                chosen = torch.from_numpy(indices).to(device)
                targets = learner.targets(labels[chosen], weights[chosen], len(found.classes))
                loss = learner.step(images[chosen], targets, 0.001, state["step"])
                state["step"] += 1
                done += BATCH
                if time.perf_counter() - begun >= seconds:
                    break
        float(loss)
        return done / (time.perf_counter() - begun)

    return run, learner


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 96])
    parser.add_argument("--model", default="small-resnet")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiled", action="store_true")
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else "no GPU"
    print(f"{hardware()}, {where}; n = {given.rounds} rounds of {given.seconds:g} s each, {given.model}\n")
    print(
        "| size | plain, pictures/s (sd) | ours (sd) | ratio (sd) | ours waits for data | arithmetic |\n|---|---|---|---|---|---|"
    )
    for size in given.sizes:
        theirs = plain(given.data, size, given.model, device)
        mine, learner = ours(given.data, size, given.model, device)
        theirs(5), mine(5)  # warm up: workers start, memory is taken
        runs = [theirs, mine]
        if given.compiled:
            begun = time.perf_counter()
            runs.append(ours(given.data, size, given.model, device, compiled=True)[0])
            runs[2](1)
            compiling = time.perf_counter() - begun
        learner.waiting.seconds()
        rows = [[run(given.seconds) for run in runs] for _ in range(given.rounds)]
        a, b, *others = np.array(rows).T
        busy = given.rounds * given.seconds
        print(
            f"| {size} | {shown(a, 0)} | {shown(b, 0)} | {shown(b / a)} | {learner.waiting.seconds() / busy:.1%} | {learner.plan} |",
            flush=True,
        )
        if others:
            print(f"\ncompiled, {size} px: {shown(others[0] / b)} of ours; ready after {compiling:.0f} s\n")


def shown(values: NDArray[np.float64], digits: int = 2) -> str:
    """Mean and standard deviation."""
    return f"{values.mean():.{digits}f} ({values.std(ddof=1):.{digits}f})"


if __name__ == "__main__":
    main()
