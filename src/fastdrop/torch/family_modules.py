"""Modules of the family beyond PyTorch's own. None has buffers, and only one has a parameter."""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from fastdrop import _arrays
from fastdrop._plan import check_noise_p
from fastdrop.decisions import PathMode, check_block_size, check_path_mode

from . import blocks, noise, recurrent, shared
from ._seeding import AnyGenerator, Seed
from .modules import Drops, Simple

__all__ = [
    "DropBlock2d",
    "DropBlock3d",
    "EmbeddingDropout",
    "GaussianDropout",
    "StochasticDepth",
    "VariationalDropout",
    "Zoneout",
]


class StochasticDepth(Drops):
    """Dropout of whole samples of a residual branch: see `fastdrop.torch.drop_path`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a sample, from 0 to 1. May be assigned later.
    mode : {"row", "batch"}, default "row"
        "row" decides for each sample, "batch" once.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        An unknown `mode`; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, section 3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.StochasticDepth(0.5, seed=3)
    >>> drop
    StochasticDepth(p=0.5, mode=row, inplace=False)
    >>> drop(torch.ones(4, 2))[:, 0]
    tensor([0., 2., 2., 0.])
    """

    _shown = ("p", "mode", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        mode: PathMode = "row",
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        mode = check_path_mode(mode)
        self._start(p, generator, seed)
        self.mode, self.inplace = mode, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; in evaluation return the input itself."""
        return shared.drop_path(
            input, self.p, self.training, self.inplace, mode=self.mode, generator=self._source
        )


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


class VariationalDropout(Drops):
    """Dropout of features in all time steps: see `fastdrop.torch.variational_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a feature of a sample, from 0 to 1. May be assigned later.
    time_axis : int, default 1
        The axis of the time steps: 1 for ``batch_first``, 0 for PyTorch's other order.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks", NIPS 2016, section 4.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.VariationalDropout(0.5, seed=3)(torch.ones(1, 3, 4))[0]
    tensor([[0., 2., 2., 0.],
            [0., 2., 2., 0.],
            [0., 2., 2., 0.]])
    """

    _shown = ("p", "time_axis", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        time_axis: int = 1,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        time_axis = _arrays.check_axis(time_axis, "time_axis")
        self._start(p, generator, seed)
        self.time_axis, self.inplace = time_axis, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; in evaluation return the input itself."""
        return shared.variational_dropout(
            input,
            self.p,
            self.training,
            self.inplace,
            time_axis=self.time_axis,
            generator=self._source,
        )


class _DropBlock(Drops):
    _function: Any
    _shown = ("p", "block_size", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        block_size: int = 7,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        block_size = check_block_size(block_size)
        self._start(p, generator, seed)
        self.block_size, self.inplace = block_size, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; in evaluation return the input itself."""
        result: Tensor = type(self)._function(
            input, self.p, self.block_size, self.training, self.inplace, generator=self._source
        )
        return result


class DropBlock2d(_DropBlock):
    """Dropout of blocks in images: see `fastdrop.torch.drop_block2d`.

    Parameters
    ----------
    p : float, default 0.5
        Share of elements to drop, from 0 to 1. May be assigned later.
    block_size : int, default 7
        The length of a block's sides.
    inplace, generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError
        `block_size` less than 1; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Ghiasi, Lin and Le, "DropBlock", NeurIPS 2018, section 3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.DropBlock2d(0.25, 2, seed=1)
    >>> drop(torch.ones(1, 1, 6, 6)).shape
    torch.Size([1, 1, 6, 6])
    """

    _function = staticmethod(blocks.drop_block2d)


class DropBlock3d(_DropBlock):
    """Dropout of blocks in volumes: see `fastdrop.torch.drop_block3d`.

    Parameters
    ----------
    p, block_size, inplace, generator, seed
        As for `DropBlock2d`.

    Raises
    ------
    ValueError, TypeError
        As for `DropBlock2d`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.DropBlock3d(0.25, 2)
    DropBlock3d(p=0.25, block_size=2, inplace=False)
    """

    _function = staticmethod(blocks.drop_block3d)


class EmbeddingDropout(Drops, nn.Embedding):
    """`torch.nn.Embedding` that drops whole words: see `fastdrop.torch.embedding_dropout`.

    Its state is that of `torch.nn.Embedding`: the weight, and that of a generator of its own.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        As for `torch.nn.Embedding`: how many words, and how many features each has.
    p : float, default 0.5
        Probability of dropping a word, in the whole batch, from 0 to 1. May be assigned later.
    generator, seed
        As for `Dropout`.
    **keywords : object
        As for `torch.nn.Embedding`, but for `max_norm` and `sparse`.

    Raises
    ------
    ValueError
        `max_norm` or `sparse` is given: both act on the table of all words, and not on the one
        that is looked up here; otherwise as for `Dropout`.
    TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR
    2018, section 4.3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> words = fastdrop.torch.EmbeddingDropout(4, 3, 0.5, seed=3)
    >>> (words(torch.tensor([[0, 1], [2, 3]])) != 0).all(-1)
    tensor([[False,  True],
            [ True, False]])
    """

    _without: Final = ("max_norm", "sparse")

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        p: float = 0.5,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
        **keywords: Any,
    ) -> None:
        """Make the module; see the class."""
        for name in self._without:
            if keywords.get(name):
                raise ValueError(f"{name} has to be left out, but got {keywords[name]!r}")
        self._start(p, generator, seed, num_embeddings, embedding_dim, **keywords)

    def forward(self, input: Tensor) -> Tensor:
        """Look words up, in training in a table from which some have been dropped."""
        table = shared.embedding_dropout(self.weight, self.p, self.training, generator=self._source)
        return F.embedding(
            input, table, self.padding_idx, scale_grad_by_freq=self.scale_grad_by_freq
        )


class Zoneout(Drops):
    """Elements of a recurrent state keep their old value: see `fastdrop.torch.zoneout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of keeping the old value, from 0 to 1. May be assigned later.
    generator, seed
        As for `Dropout`.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Notes
    -----
    Source: Krueger et al., "Zoneout", ICLR 2017, section 3.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> zoneout = fastdrop.torch.Zoneout(0.5, seed=1)
    >>> zoneout(torch.ones(4), torch.zeros(4))
    tensor([0., 0., 1., 0.])
    >>> zoneout.eval()(torch.ones(4), torch.zeros(4))
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """

    def __init__(
        self, p: float = 0.5, *, generator: AnyGenerator = None, seed: Seed = None
    ) -> None:
        """Make the module; see the class."""
        self._start(p, generator, seed)

    def forward(self, h_new: Tensor, h_old: Tensor) -> Tensor:
        """The next state; in evaluation its mean."""
        return recurrent.zoneout(h_new, h_old, self.p, self.training, generator=self._source)
