"""Modules of Gaussian noise, multiplicative and additive."""

from __future__ import annotations

from torch import Tensor

from fastdrop._rates import check_deviation, check_noise_p
from fastdrop._window import WindowLike
from fastdrop.torch import noise
from fastdrop.torch._seeding import AnyGenerator, Seed

from .base import Drops, Simple

__all__ = ["GaussianDropout", "GaussianNoise"]


class GaussianDropout(Simple):
    """Multiplication with Gaussian noise: see `fastdrop.torch.gaussian_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping of the dropout whose variance the noise has: from 0 to less than 1.
        May be assigned later.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        `p` is 1; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Srivastava et al., "Dropout", JMLR 15 (2014), section 10.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.GaussianDropout(0.2, seed=1)
    >>> drop
    GaussianDropout(p=0.2, inplace=False)
    >>> drop(torch.ones(4))
    tensor([0.6190, 0.9811, 1.3568, 0.6455])
    """

    _function = staticmethod(noise.gaussian_dropout)

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        super().__init__(p, inplace, generator=generator, seed=seed)
        check_noise_p(p)


class GaussianNoise(Drops):
    """Addition of Gaussian noise: see `fastdrop.torch.gaussian_noise`.

    Parameters
    ----------
    std : float
        Standard deviation of the noise: finite, at least 0. May be assigned later.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        `std` is negative or not finite; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural
    Computation 7 (1995).

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> noise = fastdrop.torch.GaussianNoise(1.0, seed=1)
    >>> noise
    GaussianNoise(std=1.0, inplace=False)
    >>> noise(torch.zeros(4))
    tensor([-0.7620, -0.0378,  0.7137, -0.7090])
    """

    _shown = ("std", "inplace")

    def __init__(
        self,
        std: float,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        check_deviation(std, "std", "float64")
        self._start(None, generator, seed)
        self.std, self.inplace = std, inplace

    def forward(self, input: Tensor, *, window: WindowLike | None = None) -> Tensor:
        """Add noise in training; in evaluation return the input itself.

        With a `window`, `input` is a part of a larger tensor, as for the function.
        """
        return noise.gaussian_noise(
            input, self.std, self.training, self.inplace, generator=self._source, window=window
        )
