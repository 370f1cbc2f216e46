"""Images in MNIST's files: Fashion-MNIST as Debian ships it, or MNIST itself."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from examples.experiments.learning import Split

FASHION = Path("/usr/share/datasets/fashion-mnist")
VALIDATION = 10_000


def read(path: Path) -> np.ndarray:
    """An IDX file of bytes: two zeros, the type, the number of axes, their lengths, the data."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is no IDX file of bytes")
    axes = raw[3]
    shape = np.frombuffer(raw, ">u4", axes, offset=4)
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * axes)
    if len(values) != shape.prod(dtype=np.int64):
        raise ValueError(f"{path} has {len(values)} bytes, but tells of {tuple(map(int, shape))}")
    return values.reshape(shape)


def find(folder: Path, name: str) -> Path:
    """The file of that name, compressed or not, with a dot or a hyphen as they are spelled."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for suffix in (".gz", ""):
            if (path := folder / (spelling + suffix)).exists():
                return path
    hint = " (Debian: apt-get install dataset-fashion-mnist)" if folder == FASHION else ""
    raise FileNotFoundError(f"{folder} has no {name}, compressed or not{hint}")


@dataclass(frozen=True)
class Images:
    """All of them, with pixels from 0 to 1."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def split(self, seed: int, few: bool = False) -> Split:
        """Some of the training images are for validation, others for each seed."""
        order = np.random.default_rng([seed, 2]).permutation(len(self.y))
        held = VALIDATION if not few else len(order) // 4
        learn, check = order[held:], order[:held]
        return Split(
            self.x[learn], self.y[learn], self.x[check], self.y[check], self.x_test, self.y_test
        )


def load(folder: Path, few: bool = False) -> Images:
    """The four files; or some hundreds of images, to see that it runs."""
    found = []
    for part in ("train", "t10k"):
        x = read(find(folder, f"{part}-images-idx3-ubyte"))[: 800 if few else None]
        y = read(find(folder, f"{part}-labels-idx1-ubyte"))[: 800 if few else None]
        if len(x) != len(y):
            raise ValueError(f"{folder}: {len(x)} images, but {len(y)} labels")
        found += [x.reshape(len(x), -1).astype(np.float32) / np.float32(255), y.astype(np.int64)]
    return Images(*found)
