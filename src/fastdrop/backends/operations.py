"""What a backend has to define."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from fastdrop._plan import Affine, Plan
    from fastdrop._rows import Rows
    from fastdrop._runs import Bias
    from fastdrop.stream import Key

    Array = np.ndarray[Any, np.dtype[Any]]


class Backend(Protocol):
    """The functions of a backend. The caller has checked everything: none of them raises.

    (Except that numba and numpy may run out of memory for their buffers, midway.)

    ``kind`` is "float32", "float64", "float16" or "bfloat16"; arrays of the last two kinds come as
    uint16. ``x`` and ``out`` have one shape and any strides, and are the same memory or disjoint.
    The operations after ``info`` take contiguous arrays, of one axis where nothing else is said;
    those without ``kind`` move elements as they are.
    """

    def dropout(self, x: "Array", out: "Array", kind: str, key: "Key", plan: "Plan") -> None:
        """Drop and scale: element i, in C order, is at position ``key.offset + i``."""

    def dropout_samples(
        self, x: "Array", out: "Array", kind: str, key: "Key", plan: "Plan"
    ) -> None:
        """``dropout`` of x into each of ``out[k]``, with ``key.stream + k``; out is disjoint."""

    def mask_packed(self, out: "Array", n: int, key: "Key", plan: "Plan") -> None:
        """The first ``n`` decisions as bits, lowest first, in contiguous uint8; padding is 0."""

    def mask_bool(self, out: "Array", key: "Key", plan: "Plan") -> None:
        """The decisions as a contiguous bool array, True to keep."""

    def apply_packed(
        self,
        x: "Array",
        out: "Array",
        kind: str,
        bits: "Array",
        mask_shape: tuple[int, ...],
        scale: float,
    ) -> None:
        """Apply packed bits of a mask that is shared along the axes where its shape is 1."""

    def apply_bool(self, x: "Array", out: "Array", kind: str, mask: "Array", scale: float) -> None:
        """Apply a bool mask of x's shape and any strides."""

    def scale(self, x: "Array", out: "Array", kind: str, scale: float) -> None:
        """Multiply by ``scale``."""

    def drop_block_packed(
        self, out: "Array", shape: tuple[int, ...], block: int, key: "Key", plan: "Plan"
    ) -> int:
        """DropBlock's keep bits into contiguous uint8, as ``mask_packed`` does; how many are kept.

        ``shape`` is the number of planes and their one to three axes, which are no shorter than
        ``block``. The decisions are those for the places where a block's lowest corner can lie.
        """

    def dropout_affine(
        self, x: "Array", out: "Array", kind: str, key: "Key", plan: "Plan", affine: "Affine"
    ) -> None:
        """Alpha dropout: what `affine` says of kept and of dropped elements."""

    def apply_affine(
        self,
        x: "Array",
        out: "Array",
        kind: str,
        bits: "Array",
        mask_shape: tuple[int, ...],
        affine: "Affine",
    ) -> None:
        """The same with packed bits of a mask, as in ``apply_packed``."""

    def info(self) -> dict[str, object]:
        """What ``show_config`` says of the backend."""

    def dropout_add(
        self, x: "Array", residual: "Array", out: "Array", kind: str, key: "Key", plan: "Plan"
    ) -> None:
        """Dropout of x plus residual; each product and sum rounded in the compute type."""

    def bias_act(
        self,
        x: "Array",
        out: "Array",
        kind: str,
        act: str,
        bias: "Bias",
        key: "Key | None",
        plan: "Plan",
    ) -> None:
        """Dropout of ``act(x + bias)``; everything is kept without a key.

        ``act`` is one of "none", "relu", "gelu", "gelu_tanh" and "silu".
        """

    def bias_act_slope(
        self,
        dy: "Array",
        x: "Array",
        out: "Array",
        kind: str,
        act: str,
        bias: "Bias",
        key: "Key | None",
        plan: "Plan",
    ) -> None:
        """The gradient with respect to ``x + bias``: (dy * scale) * act'(x + bias) where kept."""

    def zoneout(self, new: "Array", old: "Array", out: "Array", key: "Key", plan: "Plan") -> None:
        """``new`` where the decision is to keep, else ``old``."""

    def zoneout_split(
        self, dy: "Array", new: "Array", old: "Array", key: "Key", plan: "Plan"
    ) -> None:
        """The gradients: ``dy`` goes to ``new`` where kept, else to ``old``; the other gets 0."""

    def gaussian_dropout(
        self, x: "Array", out: "Array", kind: str, key: "Key", deviation: float
    ) -> None:
        """``x * (1 + deviation * z)``, each operation rounded in the compute type.

        The normal variate z of element i is made of the fields at ``key.offset + 2 * i`` and the
        next position. It is a binary32 for every ``kind``.
        """

    def gaussian_noise(
        self, x: "Array", out: "Array", kind: str, key: "Key", deviation: float
    ) -> None:
        """``x + deviation * z``, likewise."""

    def softmax_dropout(
        self, x: "Array", out: "Array", kind: str, rows: "Rows", key: "Key", plan: "Plan"
    ) -> None:
        """Dropout of the softmax of each row; x and out have two axes, and may be the same."""

    def softmax_dropout_backward(
        self,
        x: "Array",
        dy: "Array",
        dx: "Array",
        weights: "Array | None",
        kind: str,
        rows: "Rows",
        key: "Key",
        plan: "Plan",
    ) -> None:
        """Its gradient, and the result once more in ``weights``; either may be x or dy."""

    def dropconnect(
        self,
        x: "Array",
        w: "Array",
        bias: "Array | None",
        out: "Array",
        kind: str,
        key: "Key",
        plan: "Plan",
        shared: bool,
    ) -> None:
        """``out = x @ (keep * w).T * scale + bias``, with a mask for each sample or one for all.

        Matrices x of (samples, inputs), w of (outputs, inputs), out of (samples, outputs). This
        sum and the two below have one order in all backends, which the NumPy backend states.
        """

    def dropconnect_dx(
        self,
        dy: "Array",
        w: "Array",
        dx: "Array",
        kind: str,
        key: "Key",
        plan: "Plan",
        shared: bool,
    ) -> None:
        """The sum over outputs of ``keep * w * (dy * scale)``."""

    def dropconnect_dw(
        self,
        dy: "Array",
        x: "Array",
        dw: "Array",
        kind: str,
        key: "Key",
        plan: "Plan",
        shared: bool,
    ) -> None:
        """The sum over samples of ``keep * x * (dy * scale)``."""

    def max_norm(self, w: "Array", kind: str, limit: float) -> None:
        """Multiply each ``w[i, :, j]`` whose L2 norm passes the limit with ``limit / norm``.

        The three axes of w have any strides, but the numbers of the last one are neighbours in
        memory. What is within the limit, or has an inf or a nan, stays as it is. The squares are
        summed in float64, in one order in all backends, which the NumPy backend states.
        """


OPERATIONS = tuple(name for name in vars(Backend) if not name.startswith("_"))
"""The names of all of them."""
