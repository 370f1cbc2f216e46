"""Rows of scores for a softmax: their positions in the stream, and causal masking."""

from typing import NamedTuple

from ._arrays import Array


class Rows(NamedTuple):
    """How a backend is to read a two-dimensional array of scores.

    The softmax of each row is taken over its unmasked scores z = x * scale + additive mask. Masked
    scores give +0.0, and so does every score of a row in which all are -inf.

    Every ``group`` rows are a group. Score i of row r of group g is at position
    ``g * group_positions + r * row_positions + i`` from the key's offset on. The first
    ``visible`` scores are unmasked in the first row of a group, and one more in each later row.
    """

    scale: float
    mask: Array | None
    """bool, True for what takes part, or of the scores' storage dtype and added; of at least two
    axes, the last as long as the rows, the others' C order that of the rows; of any strides."""
    group: int
    group_positions: int
    row_positions: int
    visible: int
