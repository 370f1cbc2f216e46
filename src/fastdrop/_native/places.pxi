# --- Where in the stream an array's or a tensor's decisions are: as _window.py has it --------------

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    Py_ssize_t _as_ssize "PyLong_AsSsize_t"(object) noexcept


cdef struct place:
    size_t shape[FD_MAX_DIMS]  # of the whole that the array is a part of
    size_t start[FD_MAX_DIMS]  # the index in it at which the array begins
    size_t total  # how many decisions the whole has
    size_t first  # the one of the array's first element
    size_t own  # how many different ones the array has


cdef void _flat(fd_axes *axes, size_t n, Py_ssize_t itemsize) noexcept:
    """The axes of n contiguous elements with decisions of their own."""
    cdef int i
    axes.ndim = 1
    axes.shape[0] = n
    axes.steps[0] = 1
    for i in range(axes.operands):
        axes.strides[i][0] = itemsize


cdef void _strides_of(fd_axes *axes, int operand, const Py_buffer *x) noexcept:
    """The strides of one operand."""
    cdef int d
    for d in range(x.ndim):
        axes.strides[operand][d] = x.strides[d]


cdef Py_ssize_t _count(number) noexcept:
    """A number that is an int and counts something in memory; else -1."""
    cdef Py_ssize_t count
    if type(number) is not int:
        return -1
    count = _as_ssize(number)
    if count < 0:
        PyErr_Clear()
        return -1
    return count


cdef bint _part_of(window, const Py_buffer *x, place *at):
    """The whole that x is a part of, which is x for None; False for what is no tuples of ints."""
    cdef Py_ssize_t length, first, room = PY_SSIZE_T_MAX // 2  # a decision may take two positions
    cdef int d
    if window is None:
        for d in range(x.ndim):
            at.shape[d], at.start[d] = x.shape[d], 0
        return True
    if type(window) is not tuple or len(<tuple>window) != 2:
        return False
    whole, start = <tuple>window
    if (
        type(whole) is not tuple or len(<tuple>whole) != x.ndim
        or type(start) is not tuple or len(<tuple>start) != x.ndim
    ):
        return False
    for d in range(x.ndim):
        length, first = _count((<tuple>whole)[d]), _count((<tuple>start)[d])
        if first < 0 or length < x.shape[d] or first > length - x.shape[d] or length > room:
            return False
        room //= length
        at.shape[d], at.start[d] = length, first
    return True


cdef bint _axes_of(decisions, const Py_buffer *x, place *at, fd_axes *axes):
    """The axes of x, and which decisions are its own, where those of the whole have that shape.

    None is a decision for each element. Strides are left to `_strides_of`. False where the shape is
    no tuple of int and None that the whole allows.
    """
    cdef Py_ssize_t step = 1, length, shared
    cdef int d, missing = 0
    if decisions is not None:
        if type(decisions) is not tuple or len(<tuple>decisions) > <size_t>x.ndim:
            return False
        missing = x.ndim - <int>len(<tuple>decisions)
    axes.ndim = x.ndim
    at.first, at.own = 0, 1
    for d in range(x.ndim - 1, -1, -1):
        length = at.shape[d]
        axes.shape[d] = x.shape[d]
        axes.steps[d] = 0
        if d < missing:
            continue
        if decisions is not None:
            axis = (<tuple>decisions)[d - missing]
            if axis is not None:
                shared = _count(axis)
                if shared == 1:
                    continue
                if shared != length:
                    return False
        if length != 1:
            axes.steps[d] = step
            at.first += at.start[d] * step
            at.own *= x.shape[d]
            step *= length
    at.total = step
    return True


cdef size_t _blocks_of(const Py_buffer *x, corners, int axes, fd_blocks *blocks) except 0:
    """The planes and blocks of DropBlock for x, by the shape of its blocks' corners; how many."""
    cdef int d, from_ = x.ndim - axes
    cdef size_t positions = 1
    cdef Py_ssize_t block = x.shape[from_] - <Py_ssize_t>(<tuple>corners)[from_] + 1
    blocks.planes = 1
    for d in range(x.ndim):
        positions *= <size_t>(<tuple>corners)[d]
        if d < from_:
            blocks.planes *= x.shape[d]
    for d in range(3):
        blocks.shape[d] = x.shape[x.ndim - 3 + d] if d >= 3 - axes else 1
        blocks.block[d] = block if d >= 3 - axes else 1
    return positions


cdef bint _reserve(rng, size_t positions, fd_key *key) noexcept:
    """The positions of a generator or key; False, and nothing moved, where the stream ends."""
    if type(rng) is Generator:
        return (<Generator>rng)._take(positions, key)
    key[0] = (<Key>rng).key
    return positions - 1 <= UINT64_MAX - key.offset
