"""Dropout for PyTorch on CPUs at the price of a multiplication.

>>> import torch
>>> import fastdrop.torch
>>> drop = fastdrop.torch.Dropout(0.5, seed=1)
>>> drop(torch.ones(8))
tensor([0., 0., 2., 0., 0., 2., 0., 0.])
"""

from ._replace import Report, replace, restore
from .functional import dropout, dropout1d, dropout2d, dropout3d
from .modules import Dropout, Dropout1d, Dropout2d, Dropout3d
from .montecarlo import MonteCarloResult, mc_dropout

__all__ = [
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "MonteCarloResult",
    "Report",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "mc_dropout",
    "replace",
    "restore",
]


def __dir__() -> list[str]:
    return sorted(__all__)
