"""Dropout of recurrent states: zoneout."""

from __future__ import annotations

from torch import Tensor

from ._call import call_both
from ._draw import KEPT, LOST
from ._family import drops, not_taken, overridable
from ._seeding import AnyGenerator, Seed

__all__ = ["zoneout"]


@overridable
def zoneout(
    h_new: Tensor,
    h_old: Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Let elements of a recurrent state keep their old value at random.

    Each element keeps its old value with probability `p`, on its own.

    Parameters
    ----------
    h_new, h_old : Tensor
        The new and the old state, of one shape and dtype. Dtypes as for `dropout`; only tensors in
        the CPU's memory.
    p : float, default 0.5
        Probability of keeping the old value, from 0 to 1.
    training : bool, default True
        False returns the mean, ``(1 - p) h_new + p h_old``.
    generator, seed
        As for `dropout`; the mask takes one position for each element.

    Returns
    -------
    Tensor
        Of the shape and dtype of the states; `h_new` itself with p = 0.

    Raises
    ------
    ValueError
        States of two shapes; otherwise as for `dropout`.
    TypeError
        States of two dtypes; a tensor that is not computed here, or an argument of the wrong type.

    Notes
    -----
    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations",
    ICLR 2017, section 3. The values are those of `fastdrop.zoneout` for one seed, but that -0.0
    comes out as +0.0.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.zoneout(torch.ones(8), torch.zeros(8), 0.5, seed=1)
    tensor([0., 0., 1., 0., 0., 1., 0., 0.])
    """
    dropping = drops(h_new, p, training, "zoneout", "h_new")
    if not isinstance(h_old, Tensor):
        raise not_taken(h_old, "h_old")
    if h_old.shape != h_new.shape:
        raise ValueError(
            f"h_old has to have h_new's shape {tuple(h_new.shape)}, but got {tuple(h_old.shape)}"
        )
    if h_old.dtype != h_new.dtype:
        raise TypeError(f"h_old has to have h_new's dtype {h_new.dtype}, but got {h_old.dtype}")
    if p == 0.0:
        return h_new
    if not dropping:
        return h_new * (1 - p) + h_old * p
    both = call_both((h_new, KEPT), (h_old, LOST), float(p), generator, seed)
    if both is None:
        raise not_taken(h_new, "h_new and h_old")
    return both[0] + both[1]
