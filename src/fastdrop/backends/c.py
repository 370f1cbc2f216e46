"""The compiled backend: SIMD kernels in C, for the best instruction set that this CPU has."""

from fastdrop import _core

run = _core.run
dropout_samples = _core.dropout_samples_into
mask_packed = _core.mask_packed_into
mask_bool = _core.mask_bool_into
drop_block_packed = _core.drop_block_packed_into
softmax_dropout = _core.softmax_dropout_into
softmax_dropout_backward = _core.softmax_dropout_backward_into
dropconnect = _core.dropconnect_into
dropconnect_dx = _core.dropconnect_dx_into
dropconnect_dw = _core.dropconnect_dw_into
max_norm = _core.max_norm_into


def info() -> dict[str, object]:
    """The instruction set and the number of threads in use."""
    return {"isa": _core.get_isa(), "threads": _core.get_num_threads()}
