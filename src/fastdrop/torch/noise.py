"""Gaussian dropout of tensors."""

from __future__ import annotations

from torch import Tensor

from fastdrop._plan import check_noise_p

from ._draw import GAUSSIAN
from ._family import drop, drops, overridable
from ._seeding import AnyGenerator, Seed

__all__ = ["gaussian_dropout"]


@overridable
def gaussian_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
) -> Tensor:
    """Multiply with Gaussian noise of mean 1 and the variance of dropout's mask, p / (1 - p).

    Parameters
    ----------
    input : Tensor
        Of any shape and strides. Dtypes as for `dropout`; only tensors in the CPU's memory.
    p : float, default 0.5
        Probability of dropping of the dropout whose variance the noise has: from 0 to less than 1.
    training, inplace, generator, seed
        As for `dropout`; the noise takes two positions of the stream for each element.

    Returns
    -------
    Tensor
        As for `dropout`; `input` itself also where ``p`` is 0.

    Raises
    ------
    ValueError
        `p` outside [0, 1); otherwise as for `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    RuntimeError
        As for `dropout`.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10; the formula is that of
    `fastdrop.gaussian_dropout`, and so are the bits for one seed.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.gaussian_dropout(torch.ones(4), 0.2, seed=1)
    tensor([0.6190, 0.9811, 1.3568, 0.6455])
    """
    drawn = drops(input, p, training, "gaussian_dropout")
    if p == 1.0:
        check_noise_p(p)
    if not drawn:
        return input
    return drop(input, p, inplace, generator, seed, (*(-1,) * input.dim(), 2), GAUSSIAN)
