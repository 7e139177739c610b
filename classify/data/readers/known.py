"""Where known data sets come from, for the error that says that they are not there. Nothing is ever fetched."""

from __future__ import annotations

import re
from pathlib import Path

_IDX = (
    "the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz"
)
_CIFAR_PAGE = "the page 'The CIFAR-10 and CIFAR-100 datasets' of Alex Krizhevsky, University of Toronto"

_ORIGINS = {
    "mnist": ("the page 'The MNIST Database of Handwritten Digits' of Yann LeCun", _IDX),
    "fashionmnist": ("the page 'Fashion-MNIST' of Zalando Research", _IDX),
    "emnist": (
        "the page 'The EMNIST Dataset' of NIST, in the MNIST's binary format",
        "the files of one of its sets, e.g. emnist-letters-train-images-idx3-ubyte.gz, and its emnist-letters-mapping.txt",
    ),
    "cifar10": (
        f"{_CIFAR_PAGE}, in the binary version",
        "data_batch_1.bin to data_batch_5.bin, test_batch.bin and batches.meta.txt",
    ),
    "cifar100": (f"{_CIFAR_PAGE}, in the binary version", "train.bin, test.bin and fine_label_names.txt"),
}


def origin(place: Path) -> str | None:
    """Where to get the data set that a missing folder is named after, and what the folder must hold; None for others."""
    found = _ORIGINS.get(re.sub(r"[-_ .]", "", place.name.lower()))
    if found is None:
        return None
    page, files = found
    return f"Nothing is downloaded. Get the set from {page}, and unpack it into that folder; it must hold {files}."
