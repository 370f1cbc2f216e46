"""Functions for Numba and `ctypes` that drop through fastdrop's C API, and a check of both.

python examples/c_api/numba_and_ctypes.py
"""

import ctypes

import numba
import numpy as np

import fastdrop
from fastdrop import capi

PIECE = 4096
FLOAT32 = capi.DTYPES["float32"]

# A function pointer, which code compiled by Numba calls without coming back to Python.
dropout_at = capi.functions["fd_dropout_at"].ctypes


@numba.njit(nogil=True)
def _pieces(x, p, seed, offset):
    for start in range(0, x.size, PIECE):
        piece = x[start : start + PIECE]
        for i in range(piece.size):
            piece[i] = max(piece[i], np.float32(0))
        at = piece.ctypes.data
        # Of an unsigned and a signed number Numba would make a float, which has 53 bits.
        if dropout_at(FLOAT32, at, at, piece.size, p, seed, 0, offset + np.uint64(start)):
            return False
    return True


def relu_dropout(x, p, seed, offset):
    """In place, for contiguous float32. Each piece is dropped while it is still in the cache."""
    if not _pieces(x, p, np.uint64(seed), np.uint64(offset)):
        raise ValueError("p is not in [0, 1], or the stream is used up")


def first_fields(n, seed):
    """The first n fields of a seed, by ctypes and without NumPy."""
    fields = (ctypes.c_int16 * n)()
    capi.functions["fd_fields_at"].ctypes(ctypes.addressof(fields), n, seed, 0, 0)
    return list(fields)


def main():
    x = np.random.default_rng(1).standard_normal(100_000, np.float32)
    key = fastdrop.Key(1, offset=12345)
    expected = fastdrop.dropout(np.maximum(x, 0), 0.1, rng=key)
    relu_dropout(x, 0.1, key.seed, key.offset)
    print("Numba gives what fastdrop.dropout gives:", np.array_equal(x, expected))
    print("the first fields of seed 1:", first_fields(4, 1))


if __name__ == "__main__":
    main()
