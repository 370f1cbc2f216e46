"""What the softmax is taken of: rows of scores, and what takes part in each."""

from typing import NamedTuple

from ._arrays import Array


class Rows(NamedTuple):
    """How a backend is to read a two-dimensional array of scores.

    Of a score z = x * scale, the additive mask added to it, and of what takes part in its row, the
    softmax is taken. What takes no part is +0.0, and so is all of a row whose scores are -inf.

    Every ``group`` rows are a group. Score i of row r of group g is at position
    ``g * group_positions + r * row_positions + i`` from the key's offset on. In the first row of a
    group ``visible`` scores take part, and in each later one, one more.
    """

    scale: float
    mask: Array | None
    """bool, True for what takes part, or of the scores' storage dtype and added; of at least two
    axes, the last as long as the rows, the others' C order that of the rows; of any strides."""
    group: int
    group_positions: int
    row_positions: int
    visible: int


def plain_rows(x: Array, scale: float, mask: Array | None) -> Rows:
    """The rows of `x`, which number their scores one after the other and are seen in full."""
    rows, n = x.shape
    return Rows(scale, mask, max(rows, 1), rows * n, n, n)
