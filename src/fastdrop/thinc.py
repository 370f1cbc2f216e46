"""thinc's dropout, and so spaCy's, computed here: `enable` switches it on for the whole process.

thinc draws one double-precision number for each element of a mask, compares, divides and converts;
here the mask is drawn as it is applied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from fastdrop import Key, dropout_
from fastdrop._switch import Handle, Switch

try:
    from thinc.backends import NumpyOps
except ImportError as error:
    raise ImportError(
        "fastdrop.thinc needs thinc: pip install 'fastdrop-kernels[thinc]'"
    ) from error

__all__ = ["disable", "enable"]

_Mask: TypeAlias = Callable[[Any, Any, float | None], np.typing.NDArray[np.float32]]

_NAME: Final = "get_dropout_mask"
# While it is on, what the class itself had under that name: nothing in the versions that we know,
# where its base class has the method.
_on: Final[list[_Mask | None]] = []


def _key() -> Key:
    """A key from NumPy's global generator, which thinc draws from and `fix_random_seed` seeds."""
    raw = np.random.get_bit_generator().random_raw  # type: ignore[attr-defined]
    # 32 bits at a time from a Mersenne Twister, 64 from what somebody may have put in its place.
    return Key(((raw() << 32) ^ raw()) & 0xFFFF_FFFF_FFFF_FFFF)


def _ours(theirs: _Mask) -> _Mask:
    def get_dropout_mask(
        self: Any, shape: tuple[int, ...], drop: float | None
    ) -> np.typing.NDArray[np.float32]:
        # Somebody may have kept this function, and call it when it has been ended.
        if not _on or drop is None or not 0.0 < drop < 1.0:
            return theirs(self, shape, drop)
        return dropout_(np.ones(shape, np.float32), float(drop), rng=_key())

    return get_dropout_mask


def _settle(asked: set[str]) -> None:
    if bool(asked) == bool(_on):
        return
    if asked:
        _on.append(vars(NumpyOps).get(_NAME))
        setattr(NumpyOps, _NAME, _ours(getattr(NumpyOps, _NAME)))
        return
    own = _on.pop()
    if own is None:
        delattr(NumpyOps, _NAME)
    else:
        setattr(NumpyOps, _NAME, own)


_switch: Final = Switch("fastdrop.thinc.enable", _settle)


def enable() -> Handle:
    """Let thinc's masks on CPUs be drawn by fastdrop, for whatever model asks for one.

    From here on ``NumpyOps.get_dropout_mask`` draws here: the layer ``Dropout`` and the argument
    ``dropout`` of thinc's other layers, on arrays, lists, ragged and padded sequences, thinc's
    ``LSTM`` and embeddings, models that were made before, and spaCy's pipelines. Shape, dtype
    (float32) and values (0 and 1 / (1 - drop), rounded once) are thinc's.

    Returns
    -------
    handle
        An object with a method ``disable()`` and an attribute ``active``, which is a context
        manager too. Calls may be nested, and may overlap: thinc's method is back when the last
        handle has ended, or after `fastdrop.thinc.disable`.

    Notes
    -----
    The key of each mask is drawn from NumPy's global generator, as thinc's masks are: what
    repeats with ``thinc.util.fix_random_seed`` or ``numpy.random.seed`` still does. The masks are
    others than thinc's for the same seed. A `drop` of None, 0 or less, and 1 or more, is thinc's.

    Not reached are ``CupyOps`` and ``MPSOps``, which compute elsewhere, and a subclass of
    ``NumpyOps`` with a method of its own.

    Examples
    --------
    >>> import fastdrop.thinc
    >>> from thinc.api import NumpyOps, fix_random_seed
    >>> with fastdrop.thinc.enable():
    ...     fix_random_seed(0)
    ...     NumpyOps().get_dropout_mask((2, 4), 0.5)
    array([[0., 0., 2., 0.],
           [0., 2., 0., 2.]], dtype=float32)

    For the rest of the process:

    >>> handle = fastdrop.thinc.enable()
    >>> handle
    <fastdrop.thinc.enable(): active>
    >>> fastdrop.thinc.disable()
    >>> handle.active
    False
    """
    return _switch.begin("dropout")


def disable() -> None:
    """Give thinc's own masks back: end every handle of `enable`.

    Calling it where nothing is enabled does nothing.

    Examples
    --------
    >>> import fastdrop.thinc
    >>> _ = fastdrop.thinc.enable()
    >>> fastdrop.thinc.disable()
    """
    _switch.end_all()
