"""Bias, activation and dropout of tensors in one pass."""

from __future__ import annotations

from torch import Tensor

from fastdrop._bias import Activation, check_activation
from fastdrop._window import WindowLike
from fastdrop.variants import BIAS_ACT_DROPOUT

from ._declared import overridable, run_several
from ._seeding import AnyGenerator, Seed

__all__ = ["bias_act_dropout"]


@overridable
def bias_act_dropout(
    input: Tensor,
    bias: Tensor | None = None,
    act: Activation = "none",
    p: float = 0.5,
    training: bool = True,
    *,
    generator: AnyGenerator = None,
    seed: Seed = None,
    window: WindowLike | None = None,
) -> Tensor:
    """Add a bias, apply an activation and drop, in one pass: ``dropout(act(input + bias), p)``.

    The backward pass computes the slope and draws the mask again, in one pass too: `input` and
    `bias` are kept, and nothing else.

    Parameters
    ----------
    input : Tensor
        Of shape (..., features); of any shape where there is no bias. Dtypes as for `dropout`; only
        tensors in the CPU's memory.
    bias : Tensor, optional
        Of shape (features,) and the input's dtype.
    act : {"none", "relu", "gelu", "gelu_tanh", "silu"}, default "none"
        As for `fastdrop.bias_act_dropout`: "gelu" and "gelu_tanh" are what
        `torch.nn.functional.gelu` calls "none" and "tanh".
    p : float, default 0.5
        Probability of dropping an element, from 0 to 1.
    training : bool, default True
        False returns ``act(input + bias)``, as does p = 0.
    generator, seed, window
        As for `dropout`; the mask takes one position for each element.

    Returns
    -------
    Tensor
        Of the shape, dtype and strides that ``torch.empty_like(input)`` has.

    Raises
    ------
    ValueError
        `bias` has not the length of the input's last axis; an unknown `act`; otherwise as for
        `dropout`.
    TypeError
        `bias` has another dtype than `input`, but for autocast, which takes the input's; a tensor
        that is not computed here, or an argument of the wrong type.
    NotImplementedError
        `window`, or a `DTensor`, as for `dropout`.

    Notes
    -----
    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415 (2016),
    section 2; Srivastava et al., "Dropout", JMLR 15 (2014), section 4. The values are those of
    `fastdrop.bias_act_dropout` for one seed, and the gradient of `input` is that of
    `fastdrop.bias_act_dropout_backward`; that of `bias` is its sum by PyTorch. From the second
    derivative on, PyTorch's operators compute what the activation has to it.

    Examples
    --------
    >>> import torch
    >>> import fastdrop.torch
    >>> x = torch.tensor([[-1.0, 0.0, 1.0], [2.0, 3.0, 4.0]])
    >>> bias = torch.tensor([1.0, 1.0, -1.0])
    >>> fastdrop.torch.bias_act_dropout(x, bias, "relu", 0.5, seed=1)
    tensor([[0., 0., 0.],
            [0., 0., 6.]])
    """
    act = check_activation(act)
    return run_several(
        BIAS_ACT_DROPOUT, (input,), p, training, generator, seed, bias, act, window=window
    )
