# --- The handler that XLA calls: fastdrop.jax registers it -----------------------------------------

cdef extern from "xla/ffi.h":
    ctypedef struct fd_xla_frame:
        pass
    void *fd_xla_handler(fd_xla_frame *)


def xla_handler():
    """The address of the handler, a function from a call frame to an error."""
    return <uintptr_t><void *>fd_xla_handler
