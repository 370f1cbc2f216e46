# --- The C API: capsules and addresses for code outside ---------------------------------------------

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, uintptr_t

cdef extern from "fastdrop.h" nogil:
    const char *FD_API_CAPSULE
    ctypedef struct fd_api:
        pass
    const fd_api fd_api_table
    int fd_dropout_at(int, const void *, void *, size_t, double, uint64_t, uint64_t, uint64_t)
    int fd_mask_bits_at(uint8_t *, size_t, double, uint64_t, uint64_t, uint64_t)
    int fd_mask_bool_at(uint8_t *, size_t, double, uint64_t, uint64_t, uint64_t)
    int fd_fields_at(int16_t *, size_t, uint64_t, uint64_t, uint64_t)


cdef object _exported(void *function, const char *signature):
    return PyCapsule_New(function, signature, NULL), <uintptr_t>function


def exported():
    """For each function of `capi.pxd` its capsule and its address; and the table for C.

    A capsule's name is the function's type as Cython writes it: an extension that was compiled for
    another type is refused when it is imported.
    """
    cdef const char *mask = b"int (uint8_t *, size_t, double, uint64_t, uint64_t, uint64_t)"
    functions = {
        "fd_dropout_at": _exported(
            <void *>fd_dropout_at,
            b"int (int, void const *, void *, size_t, double, uint64_t, uint64_t, uint64_t)",
        ),
        "fd_mask_bits_at": _exported(<void *>fd_mask_bits_at, mask),
        "fd_mask_bool_at": _exported(<void *>fd_mask_bool_at, mask),
        "fd_fields_at": _exported(
            <void *>fd_fields_at, b"int (int16_t *, size_t, uint64_t, uint64_t, uint64_t)"
        ),
    }
    return functions, PyCapsule_New(<void *>&fd_api_table, FD_API_CAPSULE, NULL)
