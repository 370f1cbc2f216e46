# --- What fastdrop.torch calls: tensors, by DLPack's C exchange table or by address ----------------
#
# Nothing here is built against PyTorch. The table is a part of DLPack's ABI (version 1.3): it has a
# function that describes a tensor without making a Python object of each of its parts.

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t

cdef enum:
    DL_VERSION = 1
    DL_CPU = 1
    DL_FLOAT = 2
    DL_BFLOAT = 4

cdef extern from *:
    """
    /* Tensors without memory have the address 0, or, where they are views, a number of bytes. Such
       numbers are below this one, and addresses of 64 bits are not. Where one is, the caller asks
       the tensor's storage. */
    #define FD_NO_ADDRESS ((uint64_t)1 << 32)
    """
    uint64_t FD_NO_ADDRESS

cdef struct DLTensor:
    char *data
    int32_t device_type, device_id
    int32_t ndim
    uint8_t code, bits
    uint16_t lanes
    int64_t *shape
    int64_t *strides  # in elements
    uint64_t byte_offset

cdef struct DLExchange:
    uint32_t major, minor
    void *previous
    void *allocate
    void *managed_from_object
    void *managed_to_object
    int (*from_object)(void *, DLTensor *) noexcept

cdef struct tensor:
    Py_buffer view  # as an array would lend it
    fd_dtype dtype
    size_t n
    Py_ssize_t shape[FD_MAX_DIMS]
    Py_ssize_t strides[FD_MAX_DIMS]

cdef DLExchange *_exchange = NULL

@cython.final
@cython.auto_pickle(False)
cdef class _PyTorch:
    """What there is to know of PyTorch."""

    cdef dict dtypes
    cdef tuple types, watched
    cdef object threads, new, touched, modes, idle, quiet, grad_enabled, forward_ad


cdef _PyTorch _torch = _PyTorch()


def bind_tensors(table, dtypes, pytorch):
    """What to know of PyTorch: DLPack's table (or None), its dtypes by name, and by name its

    `types` of plain tensors; `threads()`; `new(x)`, a tensor like x; `touched((x,))`, which counts a
    change in place; `grad_enabled()`; `watched`, functions of which one is true where more than
    autograd looks on; `modes()`, which tells of function modes, `idle()`, whether these do nothing
    here, and `quiet()`, a context without them; and `forward_ad`, the module that knows of tangents.
    """
    global _exchange
    _exchange = NULL
    if table is not None:
        _exchange = <DLExchange *>PyCapsule_GetPointer(table, b"dlpack_exchange_api")
        if _exchange.major != DL_VERSION:
            _exchange = NULL
    _torch.dtypes = {dtypes[name]: _dtypes[name] for name in _dtypes}
    _torch.types, _torch.watched = tuple(pytorch.types), tuple(pytorch.watched)
    _torch.threads, _torch.new, _torch.touched = pytorch.threads, pytorch.new, pytorch.touched
    _torch.modes, _torch.idle, _torch.quiet = pytorch.modes, pytorch.idle, pytorch.quiet
    _torch.grad_enabled, _torch.forward_ad = pytorch.grad_enabled, pytorch.forward_ad


cdef int _dl_dtype(const DLTensor *dl) noexcept:
    if dl.lanes != 1:
        return -1
    if dl.code == DL_FLOAT:
        return (FD_f32 if dl.bits == 32 else FD_f64 if dl.bits == 64 else
                FD_f16 if dl.bits == 16 else -1)
    return FD_bf16 if dl.code == DL_BFLOAT and dl.bits == 16 else -1


cdef int _by_table(x, tensor *t) noexcept:
    cdef DLTensor dl
    cdef int d, dtype
    if _exchange.from_object(<void *>x, &dl):
        PyErr_Clear()  # on another device, or without memory
        return -1
    dtype = _dl_dtype(&dl)
    if dtype < 0 or dl.device_type != DL_CPU or dl.ndim > FD_MAX_DIMS:
        return -1
    t.view.buf = dl.data + dl.byte_offset
    t.view.ndim = dl.ndim
    for d in range(dl.ndim):
        t.shape[d] = dl.shape[d]
        t.strides[d] = dl.strides[d]
    return dtype


cdef int _by_address(x, tensor *t) except -2:
    cdef int d, dtype = _torch.dtypes.get(x.dtype, -1)
    if dtype < 0 or not x.is_cpu or x.dim() > FD_MAX_DIMS:
        return -1
    try:
        strides = x.stride()
        t.view.buf = <void *><size_t>x.data_ptr()
    except RuntimeError:  # sparse and other tensors without memory of their own
        return -1
    t.view.ndim = x.dim()
    for d in range(t.view.ndim):
        t.shape[d] = x.shape[d]
        t.strides[d] = strides[d]
    return dtype


cdef bint _describe(x, tensor *t) except -1:
    """Fills in `t`; False where `x` has no strided elements of our dtypes in this CPU's memory."""
    cdef int d, dtype = _by_address(x, t) if _exchange == NULL else _by_table(x, t)
    if dtype < 0:
        return False
    t.dtype = <fd_dtype>dtype
    t.view.itemsize = _size_of(dtype)
    t.view.shape, t.view.strides, t.view.suboffsets = t.shape, t.strides, NULL
    t.n = 1
    for d in range(t.view.ndim):
        t.n *= <size_t>t.shape[d]
        t.strides[d] *= t.view.itemsize
    t.view.len = t.n * t.view.itemsize
    return t.n == 0 or <uint64_t><size_t>t.view.buf >= FD_NO_ADDRESS


cdef bint _tensor_dropout(
    tensor *x, tensor *y, double p, const fd_key *key, form=None
) except -1:
    """With at most as many threads as PyTorch uses, into x itself or a new tensor.

    `form` is as in `dropout_tensor`. False, and nothing written, where x allows no such mask.
    """
    cdef fd_call c
    cdef place at
    cdef uint8_t few_bits[FEW_BYTES]
    cdef void *memory = NULL
    cdef int threads = 0 if x.n < GIL_ELEMENTS else _torch.threads()
    _begin(&c, FD_OP_scale, x.dtype)
    c.at[0], c.at[1] = x.view.buf, y.view.buf
    c.drawn, c.key, c.plan = True, key[0], fd_plan_make(p)
    c.numbers[0] = fd_scale_make(x.dtype, p) if p < 1 else 1.0
    if form is None and _contiguous(&x.view) and _contiguous(&y.view):
        _flat(&c.axes, x.n, x.view.itemsize)
    else:
        if not _part_of(None, &x.view, &at) or not _axes_of(form, &x.view, &at, &c.axes):
            return False
        _strides_of(&c.axes, 0, &x.view)
        _strides_of(&c.axes, 1, &y.view)
        if at.own < x.n and not _room_for(&c, at.own, few_bits, &memory):
            raise MemoryError
    threads = limit_threads(threads)
    _compute(&c, x.n, True)
    limit_threads(threads)
    free(memory)
    return True


def tensor_size(x):
    """How many elements the tensor has; -1 where it is none that `dropout_tensor` takes."""
    cdef tensor t
    # Its sign may be a flag of the tensor, and not in its memory.
    if not _enabled or not _describe(x, &t) or x.is_neg():
        return -1
    return t.n


def dropout_tensor(x, y, double p, uint64_t seed, uint64_t stream, uint64_t offset, form=None):
    """dropout of `x` into `y`, which is `x` or new: strided tensors of one shape and dtype.

    `form` is the mask's shape, 1 along axes that share decisions, None for that of x. False, and
    nothing written, where the c backend is not the active one.
    """
    cdef tensor source, target
    cdef fd_key key
    if not _enabled or not _describe(x, &source) or not _describe(y, &target):
        return False
    key.seed, key.stream, key.offset = seed, stream, offset
    return _tensor_dropout(&source, &target, p, &key, form)


cdef bint _is_plain(x, tensor *t) except -1:
    """Whether `x` is a plain tensor that is not empty, and nothing but backward autograd looks on.

    But for function modes: they are left to the caller.
    """
    if not _enabled or type(x) not in _torch.types or _torch.forward_ad._current_level >= 0:
        return False
    for watched in _torch.watched:
        if watched():
            return False
    return _describe(x, t) and t.n > 0 and not x.is_neg()


def drawn_tensor(x, p, bint inplace, word, record):
    """The common case of fastdrop.torch.dropout, or None: the general path then decides.

    The seed is drawn into `word`, once all else is certain. Where a gradient is recorded,
    ``record(x, (p, seed))`` makes the result.
    """
    if type(p) is not float or not 0.0 < <double>p <= 1.0:
        return None
    return _quietly(x, p, inplace, word, record, None)


def drawn_pair(x, draw):
    """dropout of a plain tensor into a new one by a pair of p and seed, where nothing is recorded.

    None where it is not so; the general path then takes it.
    """
    if type(draw) is not tuple:
        return None
    p, seed = draw
    return _quietly(x, p, False, None, None, seed)


cdef object _quietly(x, double p, bint inplace, word, record, seed):
    if not _torch.modes():
        return _drawn_tensor(x, p, inplace, word, record, seed)
    if type(x) not in _torch.types or not _torch.idle():
        return None
    with _torch.quiet():
        return _drawn_tensor(x, p, inplace, word, record, seed)


cdef object _drawn_tensor(x, double p, bint inplace, word, record, seed):
    cdef tensor source, target
    cdef fd_key key
    cdef bint recorded
    if not _is_plain(x, &source):
        return None
    recorded = _torch.grad_enabled() and x.requires_grad
    if word is None:
        if recorded or not _contiguous(&source.view):
            return None
        key.seed = seed
    else:
        if inplace and (
            recorded or x._is_view() or not _contiguous(&source.view) or x.is_inference()
        ):
            return None
        word.tensor.random_(0, word.range)
        key.seed = (<const int64_t *><size_t>word.address)[0]
    key.stream = key.offset = 0
    if recorded:
        return record(x, (p, key.seed))
    if inplace:
        _tensor_dropout(&source, &source, p, &key)
        _torch.touched((x,))
        return x
    y = _torch.new(x)
    if not _describe(y, &target):
        return None
    _tensor_dropout(&source, &target, p, &key)
    return y
