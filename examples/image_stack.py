"""Monte Carlo dropout over a stack of images that does not fit into the memory it may use.

A small network reads every pixel with its neighbours, with dropout on its hidden units, several
times; the spread of what it says is how sure it is. Dask cuts the stack into blocks and computes a
few at a time. The masks are those of the whole stack: any one image, computed alone and without
Dask, has the same numbers, which is checked at the end.

    python examples/image_stack.py --images 256 --side 512 --memory 700

It needs ``pip install fastdrop-kernels[dask]``, and prints Dask's progress bar to standard output.
"""

from __future__ import annotations

import argparse
import resource
import sys
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.diagnostics import ProgressBar

import fastdrop
import fastdrop.dask

HIDDEN, P, SEED = 16, 0.2, 1
WEIGHTS = np.random.default_rng(0).standard_normal((9, HIDDEN)).astype(np.float32) / 3
HEAD = np.random.default_rng(1).standard_normal(HIDDEN).astype(np.float32) / 4


def pictures(side: int, block_info: Any = None) -> np.ndarray:
    """A block of images: rings around the middle, and noise that grows from image to image."""
    (first, last), *_ = block_info[None]["array-location"]
    y, x = np.mgrid[:side, :side] / side - 0.5
    rings = np.sin(40 * np.hypot(x, y)).astype(np.float32)
    images = np.empty((last - first, side, side), np.float32)
    for i, image in enumerate(images, first):
        noise = np.random.default_rng(i).standard_normal((side, side), np.float32)
        image[...] = rings + noise * (i % 8) / 8
    return images


def hidden(images: np.ndarray) -> np.ndarray:
    """The hidden units of every pixel: of it and its eight neighbours."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = images.shape[1:]
    units = np.zeros((*images.shape, HIDDEN), np.float32)
    for i, weights in enumerate(WEIGHTS):
        top, left = divmod(i, 3)
        units += padded[:, top : top + height, left : left + width, None] * weights
    return np.maximum(units, 0, out=units)


def key(sample: int) -> fastdrop.Key:
    """Each sample has a stream of its own."""
    return fastdrop.Key(SEED, sample)


def spread(stack: Any, samples: int) -> Any:
    """How far the samples are apart, one number for each image; nothing is computed yet."""
    units = stack.map_blocks(
        hidden, dtype=np.float32, chunks=(*stack.chunks, (HIDDEN,)), new_axis=3
    )
    outputs = [
        fastdrop.dask.dropout(units, P, rng=key(k)).map_blocks(
            np.dot, HEAD, dtype=np.float32, drop_axis=3
        )
        for k in range(samples)
    ]
    return da.stack(outputs).std(axis=0).mean(axis=(1, 2))


def spread_of_one(stack: Any, number: int, samples: int) -> float:
    """The same for one image, by NumPy and a window of the whole."""
    units = hidden(stack[number : number + 1].compute(scheduler="synchronous"))
    window = ((*stack.shape, HIDDEN), (number, 0, 0, 0))
    outputs = [fastdrop.dropout(units, P, rng=key(k), window=window) @ HEAD for k in range(samples)]
    return float(np.stack(outputs).std(axis=0).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--memory", type=int, default=700, help="MB that this process may use")
    options = parser.parse_args()
    chunks = (1, options.side, options.side)
    shape = (options.images, options.side, options.side)
    stack = da.map_blocks(
        pictures, options.side, dtype=np.float32, chunks=da.core.normalize_chunks(chunks, shape)
    )
    # Memory beyond the limit would be refused: nothing here may hold the hidden units of the stack.
    megabytes = 1 << 20
    resource.setrlimit(resource.RLIMIT_DATA, (options.memory * megabytes,) * 2)
    units = stack.nbytes * HIDDEN // megabytes
    print(f"{units} MB of hidden units, {options.samples} times, in {options.memory} MB")

    with ProgressBar(), dask.config.set(scheduler="threads", num_workers=2):
        found = spread(stack, options.samples).compute()
    for level in range(8):
        print(f"noise {level / 8:.3f}: spread {found[level::8].mean():.4f}")
    number = options.images // 2
    alone = spread_of_one(stack, number, options.samples)
    same = np.float32(alone) == np.float32(found[number])
    print(f"image {number} alone, without Dask: {alone:.6f}, in the stack {found[number]:.6f}")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (
        1 if sys.platform != "darwin" else 1024
    )
    print(f"at most {used // 1024} MB were in use")
    if not (same or np.isclose(alone, found[number], rtol=1e-6)):
        raise SystemExit("the two should be the same")


if __name__ == "__main__":
    main()
