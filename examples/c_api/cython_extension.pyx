# cython: language_level=3, boundscheck=False
"""A Cython extension that drops through fastdrop's C API. It links to nothing:

    cythonize -i cython_extension.pyx
"""

from libc.stdint cimport uint64_t

from fastdrop.capi cimport FD_f32, fd_dropout_at

cdef enum:
    PIECE = 4096


def relu_dropout(float[::1] x, double p, uint64_t seed, uint64_t offset):
    """In place. Each piece is dropped while it is still in the cache."""
    cdef size_t n = x.shape[0], start = 0, count, i
    cdef float *piece
    cdef int failed = 0
    with nogil:
        while start < n and not failed:
            piece = &x[start]
            count = min(n - start, <size_t>PIECE)
            for i in range(count):
                piece[i] = piece[i] if piece[i] > 0 else 0
            failed = fd_dropout_at(FD_f32, piece, piece, count, p, seed, 0, offset + start)
            start += count
    if failed:
        raise ValueError("p is not in [0, 1], or the stream is used up")
