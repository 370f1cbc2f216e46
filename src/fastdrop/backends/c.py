"""The compiled backend: SIMD kernels in C, for the best instruction set that this CPU has."""

import numpy as np

from fastdrop import _core

from .call import Call, in_runs, shared_noise
from .numpy.arithmetic import rounded, widened

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


def run(call: Call) -> None:
    """Compute one element-wise operation."""
    if not _core.run(call):
        _run_in_parts(call)


def _run_in_parts(call: Call) -> None:
    """What C takes contiguous arrays for, and shared variates, which it has no kernel for yet."""
    if call.steps is not None:
        noise = shared_noise(call, run)
        with np.errstate(all="ignore"):
            for part in in_runs(call, noise):
                x, factors = part.reads
                wide = widened(x, part.kind)
                y = wide * factors if call.operation == "noise_factor" else wide + factors
                part.writes[0][...] = rounded(y, part.kind)
    else:
        for part in in_runs(call):
            _core.run(part)


def info() -> dict[str, object]:
    """The instruction set and the number of threads in use."""
    return {"isa": _core.get_isa(), "threads": _core.get_num_threads()}
