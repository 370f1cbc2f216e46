"""PyTorch's modules: subclasses of them, without parameters and buffers, as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, ClassVar, Final, Self

from torch import Tensor, nn

from fastdrop.torch import alpha, masks
from fastdrop.torch._private import DropoutNd
from fastdrop.torch._seeding import AnyGenerator, Seed, Source, source_of

_EXTRA: Final = "_extra_state"  # nn.modules.module calls it so

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]


class Leaf(nn.Module):
    """A module that `torch.fx` keeps whole, as it keeps PyTorch's.

    FX knows what to keep by the name of the Python module that an object is from. Traced through,
    a module would have its `training` of that moment for ever.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Also for what comes of copies and pickles; the class's own name stays what it is."""
        self = super().__new__(cls)
        self.__dict__["__module__"] = nn.Dropout.__module__
        return self


class Drops(Leaf):
    """A module that drops in training, and draws from PyTorch's generator or one of its own."""

    p: float
    # On the class, so that an object of PyTorch's class becomes one of ours as it is.
    _source: Source | None = None
    _own: bool = False
    _shown: ClassVar[tuple[str, ...]] = ("p",)

    def _start(
        self,
        p: float | None,
        generator: AnyGenerator,
        seed: Seed,
        *arguments: Any,
        **keywords: Any,
    ) -> None:
        """Check what all of these modules are made with, then make PyTorch's part, and keep it.

        In that order, because PyTorch's part may draw weights. What drops nothing has no p.
        """
        if p is not None and (p < 0 or p > 1 or p != p):
            masks.refuse(p)
        source = source_of(generator, seed)
        super().__init__(*arguments, **keywords)
        if p is not None:
            self.p = p
        self._source = source
        self._own = source is not None

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        """With where a generator of its own stands, under the name of PyTorch's extra state."""
        # Not by get_extra_state: PyTorch then has an entry for modules without a generator, too.
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._source is not None:
            destination[prefix + _EXTRA] = self._source.state

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """With a generator's state, if there is one: PyTorch's checkpoints have none."""
        name = prefix + _EXTRA
        state = state_dict.get(name)
        if state is not None and self._source is not None:
            try:
                self._source.state = state
            except (TypeError, ValueError, RuntimeError) as error:
                error_msgs.append(f'"{name}": {error}')
        elif state is not None:
            unexpected_keys.append(name)  # this module has no generator of its own
        rest = {key: value for key, value in state_dict.items() if key != name}
        super()._load_from_state_dict(
            rest, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def extra_repr(self) -> str:
        """The settings."""
        shown = [f"{name}={getattr(self, name)}" for name in self._shown]
        return ", ".join(filter(None, [super().extra_repr(), *shown]))


def _pytorchs(original: type[nn.Module]) -> Callable[..., Tensor]:
    """PyTorch's `forward` under a name of its own, which TorchScript needs to compile it."""
    forward = original.forward
    return FunctionType(forward.__code__, forward.__globals__, "_pytorchs")


class Simple(Drops, DropoutNd):
    """A module with PyTorch's parameters, and those that all of these have."""

    _shown = ()  # PyTorch shows them

    _function: ClassVar[Callable[..., Tensor]]
    _pytorchs: ClassVar[Callable[..., Tensor]]
    # Which branch of `_scripted` TorchScript compiles.
    __constants__ = ["p", "inplace", "_own"]  # noqa: RUF012 - as in PyTorch

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        generator: AnyGenerator = None,
        seed: Seed = None,
    ) -> None:
        """Make the module; see the class."""
        self._start(p, generator, seed, p, inplace)

    def _scripted(self: Any, input: Tensor) -> Tensor:
        # It compiles one branch, and knows no generators: PyTorch's error names the attribute.
        if self._own:
            return self._source(input)  # type: ignore[no-any-return]
        else:  # noqa: RET505 - what follows a branch is compiled too
            return self._pytorchs(input)  # type: ignore[no-any-return]

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; in evaluation return the input itself."""
        return type(self)._function(
            input, self.p, self.training, self.inplace, generator=self._source
        )

    # TorchScript compiles the source of what is wrapped.
    forward.__wrapped__ = _scripted  # type: ignore[attr-defined]


class Dropout(Simple, nn.Dropout):
    """`torch.nn.Dropout`, computed by fastdrop: see `fastdrop.torch.dropout`.

    It has no parameters and no buffers, and the representation of PyTorch's.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1. May be assigned later.
    inplace : bool, default False
        Write the result to the input.
    generator : torch.Generator or fastdrop.Generator, optional
        What the module draws from. By default PyTorch's default generator of the CPU.
    seed : int or fastdrop.Key, optional
        Gives the module a `fastdrop.Generator` of its own, which begins there.

    Raises
    ------
    ValueError
        `p` is not between 0 and 1; both `generator` and `seed` are given; a seed outside
        0..2**64-1.
    TypeError
        An argument has the wrong type.

    Notes
    -----
    `torch.get_rng_state` saves PyTorch's default generator only. Where a generator of the module's
    own stands is in its ``state_dict()``, as ``_extra_state``, and is loaded from there if it is
    there; a module that draws from the default generator takes it for an unexpected key.

    A copy of a module with a generator of its own (`copy.deepcopy`, `pickle`) goes on from where
    the module stands: both draw the same masks. Where they should differ, give each its own seed.

    Under `torch.utils.checkpoint` all modules draw the same masks again: each thread notes the keys
    that it draws, and what is computed again gets those of the first time.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> drop = fastdrop.torch.Dropout(0.5, seed=1)
    >>> drop
    Dropout(p=0.5, inplace=False)
    >>> drop(torch.ones(8))
    tensor([0., 0., 2., 0., 0., 2., 0., 0.])
    >>> drop.eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    _function = staticmethod(masks.dropout)
    _pytorchs = _pytorchs(nn.Dropout)


class Dropout1d(Simple, nn.Dropout1d):
    """`torch.nn.Dropout1d`, computed by fastdrop: see `fastdrop.torch.dropout1d`.

    Parameters
    ----------
    p, inplace, generator, seed
        As for `Dropout`; `p` is the probability of dropping a channel.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.Dropout1d(0.5, seed=3)(torch.ones(1, 4, 3))[0, :, 0]
    tensor([0., 2., 2., 0.])
    """

    _function = staticmethod(masks.dropout1d)
    _pytorchs = _pytorchs(nn.Dropout1d)


class Dropout2d(Simple, nn.Dropout2d):
    """`torch.nn.Dropout2d`, computed by fastdrop: see `fastdrop.torch.dropout2d`.

    Parameters
    ----------
    p, inplace, generator, seed
        As for `Dropout`; `p` is the probability of dropping a channel.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.Dropout2d(0.5, seed=3)(torch.ones(2, 3, 4, 4))[:, :, 0, 0]
    tensor([[0., 2., 2.],
            [0., 0., 0.]])
    """

    _function = staticmethod(masks.dropout2d)
    _pytorchs = _pytorchs(nn.Dropout2d)


class Dropout3d(Simple, nn.Dropout3d):
    """`torch.nn.Dropout3d`, computed by fastdrop: see `fastdrop.torch.dropout3d`.

    Parameters
    ----------
    p, inplace, generator, seed
        As for `Dropout`; `p` is the probability of dropping a channel.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.Dropout3d(0.5, seed=3)(torch.ones(2, 3, 4, 4, 4))[:, :, 0, 0, 0]
    tensor([[0., 2., 2.],
            [0., 0., 0.]])
    """

    _function = staticmethod(masks.dropout3d)
    _pytorchs = _pytorchs(nn.Dropout3d)


class _Alpha(Simple):
    def forward(self, input: Tensor) -> Tensor:
        """Drop in training; in evaluation return the input itself."""
        # As in PyTorch, `inplace` is shown and not followed.
        return type(self)._function(input, self.p, self.training, generator=self._source)

    forward.__wrapped__ = Simple._scripted  # type: ignore[attr-defined]


class AlphaDropout(_Alpha, nn.AlphaDropout):
    """`torch.nn.AlphaDropout`, computed by fastdrop: see `fastdrop.torch.alpha_dropout`.

    Parameters
    ----------
    p, generator, seed
        As for `Dropout`.
    inplace : bool, default False
        Has no effect, as in PyTorch.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.AlphaDropout(0.5, seed=1)(torch.zeros(3))
    tensor([-0.7792, -0.7792,  0.7792])
    """

    _function = staticmethod(alpha.alpha_dropout)
    _pytorchs = _pytorchs(nn.AlphaDropout)


class FeatureAlphaDropout(_Alpha, nn.FeatureAlphaDropout):
    """`torch.nn.FeatureAlphaDropout`, computed by fastdrop.

    See `fastdrop.torch.feature_alpha_dropout`.

    Parameters
    ----------
    p, generator, seed
        As for `Dropout`; `p` is the probability of dropping a channel.
    inplace : bool, default False
        Has no effect, as in PyTorch.

    Raises
    ------
    ValueError, TypeError
        As for `Dropout`.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> fastdrop.torch.FeatureAlphaDropout(0.5, seed=3)(torch.zeros(1, 3, 4))[0, :, 0]
    tensor([-0.7792,  0.7792,  0.7792])
    """

    _function = staticmethod(alpha.feature_alpha_dropout)
    _pytorchs = _pytorchs(nn.FeatureAlphaDropout)
