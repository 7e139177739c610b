"""Where known data sets come from, for the error that says that they are not there. Nothing is ever fetched."""

from __future__ import annotations

import re
from pathlib import Path

_IDX = (
    "the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz"
)
_FOLDERS = "train and test, with one folder of pictures for each class"
_TABLE = "the pictures, beside a CSV file of path, label and split that is written from its lists"
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
    "dogsvscats": ("the competition 'Dogs vs. Cats' of Kaggle", _FOLDERS),
    "intelscenes": ("the set 'Intel Image Classification' of Kaggle", "its folders seg_train and seg_test"),
    "imagenetsketch": ("the page 'ImageNet-Sketch' of Haohan Wang", _FOLDERS),
    "oxfordpets": ("the page 'The Oxford-IIIT Pet Dataset' of the Visual Geometry Group, Oxford", _TABLE),
    "cub200": ("the page 'Caltech-UCSD Birds-200-2011' of Caltech", _TABLE),
}
_ALSO = {"cifar10batchesbin": "cifar10", "cifar100binary": "cifar100"}
"""What the archives unpack to."""


def origin(place: Path) -> str | None:
    """Where to get the data set that a missing folder or file is named after, and what there must be; None for others.

    It may be a part of the set that is missing: `imagenet-sketch/train`.
    """
    own = place.parent if place.suffix.lower() in (".csv", ".parquet") else place
    for name, folder in ((place.name, own), (place.stem, own), (place.parent.name, place.parent)):
        plain = re.sub(r"[-_ .]", "", name.lower())
        if found := _ORIGINS.get(_ALSO.get(plain, plain)):
            page, files = found
            where = "the current folder" if folder == Path() else folder
            return f"Nothing is downloaded. Get the set from {page}, and unpack it into {where}; it must hold {files}."
    return None
