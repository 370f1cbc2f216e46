# The C API for Cython: `from fastdrop.capi cimport fd_dropout_at, FD_f32`. What the functions do is
# said in fastdrop.h; nothing has to be linked or included.

from libc.stdint cimport int16_t, uint8_t, uint64_t

cdef enum:
    FD_f32 = 0
    FD_f64 = 1
    FD_f16 = 2
    FD_bf16 = 3

cdef int fd_dropout_at(int dtype, const void *x, void *y, size_t n, double p, uint64_t seed,
                       uint64_t stream, uint64_t offset) noexcept nogil
cdef int fd_mask_bits_at(uint8_t *bits, size_t n, double p, uint64_t seed, uint64_t stream,
                         uint64_t offset) noexcept nogil
cdef int fd_mask_bool_at(uint8_t *mask, size_t n, double p, uint64_t seed, uint64_t stream,
                         uint64_t offset) noexcept nogil
cdef int fd_fields_at(int16_t *fields, size_t n, uint64_t seed, uint64_t stream,
                      uint64_t offset) noexcept nogil
