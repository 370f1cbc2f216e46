"""`dropout` and `dropout_` as users call them: compiled where `_core` is, else in Python."""

from typing import TYPE_CHECKING

from . import _rng, elementwise

if TYPE_CHECKING:
    from .elementwise import dropout, dropout_
else:
    try:
        from ._core import attach, dropout, dropout_
    except ImportError:
        dropout, dropout_ = elementwise.dropout, elementwise.dropout_
    else:
        attach(elementwise, _rng.default_generator)
        dropout.__doc__ = elementwise.dropout.__doc__
        dropout_.__doc__ = elementwise.dropout_.__doc__

__all__ = ["dropout", "dropout_"]
