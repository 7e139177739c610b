#!/usr/bin/env python3
"""Make curate/photos/head.safetensors from free pictures.

usage: train_photo_head.py FOLDER [--out FILE] [--jobs N]

FOLDER takes what is downloaded (about 1 GB of Debian packages; needs apt-get and dpkg-deb, no root) and is reused by the
next run. Prints what each package gave, the figures on pictures held out, and the error on each package when the head
has not seen it. docs/photo-head.md is the data sheet.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import photo_head_sources
import photo_head_views
import torch
from joblib import Parallel, delayed
from PIL import Image
from safetensors.numpy import save_file
from sklearn.metrics import roc_auc_score
from torch import nn

from curate.encoders import BuiltinEncoder
from curate.photos.contamination import KINDS
from curate.photos.head import WEIGHTS, Head

VIEWS = {"photo": 6, "drawing": 2, "painting": 3}
"""Views a picture, so that the kinds come out about equal; photographs cut out are rare and get as many again."""

UNITS, MEMBERS, LIMIT, EPOCHS = 48, 4, 5.0, 25


def look(rows: Sequence[dict[str, str]], folder: Path, jobs: int) -> dict[str, np.ndarray]:
    """Moments float32 (V, 928), kind int (V,) and picture int (V,) of all views; kept in `folder/views.npz`."""
    file = folder / "views.npz"
    if not file.exists():
        encoder, moments, kinds, pictures = BuiltinEncoder(), [], [], []
        work = (delayed(_views)(index, row) for index, row in enumerate(rows))
        for index, found in enumerate(
            Parallel(jobs, return_as="generator", pre_dispatch=8 * jobs, batch_size=4)(work)
        ):
            moments.append(encoder.look([pixels for pixels, _ in found])[1].astype(np.float16))
            kinds += [KINDS.index(kind) for _, kind in found]
            pictures += [index] * len(found)
            if index % 500 == 0:
                print(f"{index} of {len(rows)} pictures", flush=True)
        np.savez(file, moments=np.concatenate(moments), kind=kinds, picture=pictures)
    stored = np.load(file)
    return {**stored, "moments": stored["moments"].astype(np.float32)}


def _views(index: int, row: dict[str, str]) -> list[tuple[np.ndarray, str]]:
    image = Image.open(row["file"])
    image.load()
    found = []
    rare = row["kind"] == "photo" and image.mode == "RGBA"
    for number in range(VIEWS[row["kind"]] * (1 + rare)):
        rng = np.random.default_rng([int(row["sha256"][:8], 16), number])
        pixels, kind = photo_head_views.view(image, row["kind"], rng)
        found.append((BuiltinEncoder.preparation(np.ascontiguousarray(pixels)), kind))
    return found


def train(moments: np.ndarray, kind: np.ndarray, seed: int = 0) -> Head:
    """A head from views: MEMBERS perceptrons, each from its own start, side by side."""
    mean, scale = moments.mean(axis=0), moments.std(axis=0) + 1e-4
    x = torch.from_numpy(np.clip((moments - mean) / scale, -LIMIT, LIMIT))
    members = [_member(x, torch.from_numpy(kind), seed * 100 + number) for number in range(MEMBERS)]
    return Head(
        mean=mean,
        scale=scale,
        limit=np.array(LIMIT, np.float32),
        hidden=np.concatenate([net[0].weight.detach().numpy().T for net in members], axis=1),
        hidden_bias=np.concatenate([net[0].bias.detach().numpy() for net in members]),
        out=np.concatenate([net[3].weight.detach().numpy().T for net in members]) / MEMBERS,
        out_bias=np.mean([net[3].bias.detach().numpy() for net in members], axis=0),
    )


def _member(x: torch.Tensor, kind: torch.Tensor, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    weight = len(kind) / 3 / torch.bincount(kind, minlength=3).clamp(min=1)
    net = nn.Sequential(nn.Linear(x.shape[1], UNITS), nn.ReLU(), nn.Dropout(0.3), nn.Linear(UNITS, 3))
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    steps = EPOCHS * -(-len(x) // 512)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(512):
            noisy = x[rows] + 0.4 * torch.randn(len(rows), x.shape[1])
            loss = nn.functional.cross_entropy(net(noisy), kind[rows], weight.float(), label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def odds(head: Head, moments: np.ndarray) -> np.ndarray:
    """Log-odds (V,) of a photograph against drawings and paintings, equally common."""
    evidence = torch.from_numpy(head.evidence(head.cues(moments)))
    return (evidence[:, 0] - torch.logsumexp(evidence[:, 1:], 1) + np.log(2)).numpy()


def temperature(head: Head, moments: np.ndarray, kind: np.ndarray) -> float:
    """The factor that makes the evidence on held-out pictures as sure as it is right (Guo et al., arXiv:1706.04599)."""
    logits = torch.from_numpy(head.evidence(head.cues(moments)))
    weight = (len(kind) / 3 / np.bincount(kind, minlength=3)).astype(np.float32)
    losses = {
        factor: float(
            nn.functional.cross_entropy(logits * factor, torch.from_numpy(kind), torch.from_numpy(weight))
        )
        for factor in np.arange(0.2, 2.01, 0.05)
    }
    return float(min(losses, key=losses.__getitem__))


def packages_out(views: dict[str, np.ndarray], package: np.ndarray) -> None:
    """Print, package by package, how a head that has not seen the package judges its pictures."""
    for name in np.unique(package):
        inside = package == name
        kinds = views["kind"][inside]
        if inside.sum() < 100:
            continue
        found = odds(train(views["moments"][~inside], views["kind"][~inside]), views["moments"][inside])
        parts = [
            f"{kind} {np.mean(found[kinds == number] > 0):.3f} of {np.sum(kinds == number)}, over 3: {np.mean(found[kinds == number] > 3):.3f}"
            for number, kind in enumerate(KINDS)
            if (kinds == number).any()
        ]
        print(f"unseen {name}: called photo: {'; '.join(parts)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--packages-out", action="store_true", help="also leave out each package in turn")
    given = parser.parse_args()
    listing = given.folder / "pool.json"
    rows = json.loads(listing.read_text()) if listing.exists() else photo_head_sources.gather(given.folder)
    views = look(rows, given.folder, given.jobs)
    held_out = np.random.default_rng(1).random(len(rows))[views["picture"]] < 0.15
    trial = train(views["moments"][~held_out], views["kind"][~held_out])
    test, kind = views["moments"][held_out], views["kind"][held_out]
    factor = temperature(trial, test, kind)
    print(f"{len(rows)} pictures, {len(held_out)} views: {np.bincount(views['kind'])} of {KINDS}")
    print(
        f"held out: AUROC of photographs {roc_auc_score(kind == 0, odds(trial, test)):.4f}, temperature {factor:.2f}"
    )
    if given.packages_out:
        packages_out(views, np.array([row["package"] for row in rows])[views["picture"]])
    head = train(views["moments"], views["kind"])
    tensors = {name: np.asarray(value, np.float16) for name, value in vars(head).items()}
    tensors["mean"], tensors["scale"] = head.mean, head.scale
    tensors["out"], tensors["out_bias"] = np.float32(head.out * factor), np.float32(head.out_bias * factor)
    # safetensors writes an array's memory as it lies, so it has to lie row by row.
    tensors = {name: np.ascontiguousarray(value).reshape(np.shape(value)) for name, value in tensors.items()}
    # One entry only: safetensors writes several in an order that changes from run to run.
    save_file(tensors, given.out, {"made": f"{len(held_out)} views, temperature {factor:.2f}"})
    print(f"{given.out}: {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
