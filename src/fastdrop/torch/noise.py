"""Gaussian noise, multiplied with tensors and added to them."""

from __future__ import annotations

from torch import Tensor

from fastdrop._window import WindowLike
from fastdrop.variants import GAUSSIAN_DROPOUT, GAUSSIAN_NOISE

from ._declared import overridable, run
from ._seeding import AnyGenerator, Seed

__all__ = ["gaussian_dropout", "gaussian_noise"]


@overridable
def gaussian_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Multiply with Gaussian noise of mean 1 and the variance of dropout's mask, p / (1 - p).

    Parameters
    ----------
    input : Tensor
        Of any shape and strides. Dtypes as for `dropout`; only tensors in the CPU's memory.
    p : float, default 0.5
        Probability of dropping of the dropout whose variance the noise has: from 0 to less than 1.
    training, inplace, generator, seed, window
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
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

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
    return run(GAUSSIAN_DROPOUT, input, p, training, inplace, generator, seed, window=window)


@overridable
def gaussian_noise(
    input: Tensor,
    std: float,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Add Gaussian noise: ``input + std * z``, z a standard normal variate for each element.

    The gradient is that of the result, as it is.

    Parameters
    ----------
    input : Tensor
        Of any shape and strides. Dtypes as for `dropout`; only tensors in the CPU's memory.
    std : float
        Standard deviation of the noise: finite, at least 0.
    training, inplace, generator, seed, window
        As for `dropout`; the noise takes two positions of the stream for each element.

    Returns
    -------
    Tensor
        As for `dropout`; `input` itself also where `std` is 0.

    Raises
    ------
    ValueError
        `std` is negative, or not finite in float32 (for float64 in float64); otherwise as for
        `dropout`.
    TypeError
        A tensor that is not computed here, or an argument of the wrong type.
    RuntimeError
        As for `dropout`.
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

    Notes
    -----
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural
    Computation 7 (1995). The formula is that of `fastdrop.gaussian_noise`, and so are the bits for
    one seed.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.gaussian_noise(torch.zeros(4), 1.0, seed=1)
    tensor([-0.7620, -0.0378,  0.7137, -0.7090])
    """
    return run(GAUSSIAN_NOISE, input, std, training, inplace, generator, seed, window=window)
