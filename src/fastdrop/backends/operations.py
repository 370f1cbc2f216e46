"""The interface of a backend."""

from typing import Protocol

from fastdrop._arrays import Array
from fastdrop._rates import Plan
from fastdrop._score_rows import Rows
from fastdrop.stream import Key

from .call import Call, Steps


class Backend(Protocol):
    """The functions of a backend. The caller has checked everything: none of them raises.

    (Except that numba and numpy may run out of memory for their buffers, midway.)

    ``kind`` is "float32", "float64", "float16" or "bfloat16"; arrays of the last two kinds come as
    uint16. The operations after ``info`` are algorithms of their own, on contiguous arrays.
    """

    def run(self, call: Call) -> None:
        """One element-wise operation: see ``Call``."""

    def dropout_samples(self, x: Array, out: Array, kind: str, key: Key, plan: Plan) -> None:
        """Dropout of x into each of ``out[k]``, with ``key.stream + k``; strided and disjoint."""

    def mask_packed(
        self, out: Array, shape: int | tuple[int, ...], key: Key, plan: Plan, steps: Steps = None
    ) -> None:
        """The decisions as bits, lowest first, in contiguous uint8; padding is 0.

        ``shape`` is the number of elements or their shape, ``steps`` are those of ``Call``.
        """

    def mask_bool(self, out: Array, key: Key, plan: Plan, steps: Steps = None) -> None:
        """The decisions as a contiguous bool array, True to keep."""

    def drop_block_packed(
        self, out: Array, shape: tuple[int, ...], block: int, key: Key, plan: Plan
    ) -> int:
        """DropBlock's keep bits into contiguous uint8, as ``mask_packed`` does; how many are kept.

        ``shape`` is the number of planes and their one to three axes, which are no shorter than
        ``block``. The decisions are those for the places where a block's lowest corner can lie.
        """

    def info(self) -> dict[str, object]:
        """What ``show_config`` says of the backend."""

    def softmax_dropout(
        self, x: Array, out: Array, kind: str, rows: Rows, key: Key, plan: Plan
    ) -> None:
        """Dropout of the softmax of each row; x and out have two axes, and may be the same."""

    def softmax_dropout_backward(
        self,
        x: Array,
        dy: Array,
        dx: Array,
        again: Array | None,
        kind: str,
        rows: Rows,
        key: Key,
        plan: Plan,
    ) -> None:
        """Its gradient, and the result once more in ``again``; either may be x or dy."""

    def dropconnect(
        self,
        x: Array,
        w: Array,
        bias: Array | None,
        y: Array,
        kind: str,
        key: Key,
        plan: Plan,
        shared: bool,
    ) -> None:
        """``y = x @ (keep * w).T * scale + bias``, with a mask for each sample or one for all.

        Matrices x of (samples, inputs), w of (outputs, inputs), y of (samples, outputs). This
        sum and the two below have one order in all backends, which the NumPy backend states.
        """

    def dropconnect_dx(
        self, dy: Array, w: Array, dx: Array, kind: str, key: Key, plan: Plan, shared: bool
    ) -> None:
        """The sum over outputs of ``keep * w * (dy * scale)``."""

    def dropconnect_dw(
        self, dy: Array, x: Array, dw: Array, kind: str, key: Key, plan: Plan, shared: bool
    ) -> None:
        """The sum over samples of ``keep * x * (dy * scale)``."""

    def max_norm(self, w: Array, kind: str, limit: float) -> None:
        """Multiply each ``w[i, :, j]`` whose L2 norm passes the limit with ``limit / norm``.

        The three axes of w have any strides, but the numbers of the last one are neighbours in
        memory. Groups within the limit, or with an inf or a nan, are left alone. The squares are
        summed in float64, in one order in all backends, which the NumPy backend states.
        """


OPERATIONS = tuple(name for name in vars(Backend) if not name.startswith("_"))
"""The names of all operations."""
