"""Fixtures of the classifier's tests: a network that cannot be reached, and a few pictures in two classes."""

import socket

import numpy as np
import pytest
from PIL import Image

from classify.settings import Settings


@pytest.fixture
def offline(monkeypatch):
    """No name can be looked up and no connection made, and clients that try again do not wait."""

    def refuse(*arguments, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture(scope="session")
def stripes(tmp_path_factory):
    """Twelve pictures of 24 px each with upright and with level stripes, in noise."""
    root = tmp_path_factory.mktemp("stripes")
    random = np.random.default_rng(0)
    for name in ("level", "upright"):
        (root / name).mkdir()
        for index in range(12):
            wave = np.sin(np.arange(24) * random.uniform(0.6, 1.2) + random.uniform(0, 6))
            plane = np.tile(
                wave[:, None] if name == "level" else wave, (24, 1) if name == "upright" else (1, 24)
            )
            pixels = 128 + 80 * plane[..., None] + random.normal(0, 10, (24, 24, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def tiny():
    """Settings of a training that takes a second."""
    changes = {
        "data": {"size": 16},
        "model": {"width": 4},
        "training": {
            "epochs": 2, "minutes": 0.0, "batch_size": 8, "precision": "fp32", "first_size": 0, "device": "cpu",
        },
    }  # fmt: skip
    return Settings().replaced(changes, "test").resolved()
