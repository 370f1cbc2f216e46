"""Monte Carlo dropout: samples of an array, and statistics of a network's samples."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fastdrop import _arrays, backends
from fastdrop._arrays import Array
from fastdrop._rates import make_plan
from fastdrop._rng import Generator, RNGLike, resolve, use_default
from fastdrop._samples import Library, Result, Samples
from fastdrop.layers.base import sampling

__all__ = ["MonteCarloResult", "dropout_samples", "mc_dropout"]

# The positions that a generator sets aside for each sample of `mc_dropout`, which cannot know how
# many its function will draw: more than any network does, and room for 2**28 calls.
_RESERVED: Final = 2**36


def dropout_samples(
    x: npt.ArrayLike, p: float, samples: int, *, rng: RNGLike = None, out: Array | None = None
) -> Array:
    """Apply dropout to `x` several times, with independent masks.

    Source: Gal and Ghahramani, ICML 2016, section 4, of a single layer; see `mc_dropout`.

    Parameters
    ----------
    x, p, rng
        As for `dropout`, but `p` has no default. Sample k is drawn with ``Key(seed, stream + k,
        offset)``, whatever the number of samples; a generator moves on as for a single one.
    samples : int
        How many, at least 1.
    out : ndarray, optional
        Where the result goes: of its shape and x's dtype, and apart from `x` in memory.

    Returns
    -------
    ndarray
        `out`, or an array of shape ``(samples, *x.shape)`` and x's dtype.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout`; also if `samples` is no integer, or less than 1, or `out` overlaps `x`.

    Examples
    --------
    >>> import fastdrop
    >>> fastdrop.dropout_samples([1.0] * 6, 0.5, 3, rng=1)
    array([[0., 0., 2., 0., 0., 2.],
           [2., 2., 0., 2., 0., 2.],
           [2., 0., 2., 0., 2., 2.]])
    """
    array = _arrays.as_input(x)
    kind = _arrays.kind_of(array.dtype)
    plan = make_plan(p, kind)
    samples = _arrays.check_count(samples, "samples")
    shape = (samples, *array.shape)
    words = "the shape (samples, *x.shape),"
    result = target = _arrays.out_apart(out, array, shape, {"x": array}, words)
    key = resolve(rng, array.size)
    if array.size:
        if array.ndim >= _arrays.FLAT_AXES:
            # Squeeze here: `storage` would also remove the axis of samples if there is one sample.
            ones = [d for d, n in enumerate(array.shape) if n == 1]
            array = array.squeeze(tuple(ones))
            target = target.squeeze(tuple(d + 1 for d in ones))
        source, target = _arrays.storage(array, kind), _arrays.storage(target, kind)
        backends.active().dropout_samples(source, target, kind, key, plan)
    return _arrays.itself(out, result)


class MonteCarloResult(Result[Array]):
    """What `mc_dropout` found; `entropy` and `mutual_information` only for probabilities.

    Parameters
    ----------
    mean, std : ndarray
        Mean and standard deviation (divided by their number) of the samples, in float64.
    samples : int
        How many samples there were.
    entropy : ndarray or None
        Entropy of the mean, in nats, without the last axis: the whole uncertainty about the class.
    mutual_information : ndarray or None
        What is due to the model: the entropy less the samples' mean entropy, in nats.

    Examples
    --------
    >>> import fastdrop
    >>> result = fastdrop.mc_dropout(fastdrop.dropout, [1.0] * 3, 10, rng=1)
    >>> result.samples, result.mean.shape, result.entropy
    (10, (3,), None)
    """


def mc_dropout(
    fn: Callable[..., npt.ArrayLike],
    x: Any,
    samples: int = 50,
    *,
    rng: RNGLike = None,
    probabilities: bool = False,
) -> MonteCarloResult:
    """Run a network with dropout several times, and return mean and spread of its output.

    While `fn` runs, in the thread that called, what it draws comes from a generator that
    belongs to the sample: ``Generator(seed, stream + k, offset)`` for sample k, whatever the
    number of samples. `fn` is given it as `rng`, if it has a parameter of that name; it is the
    default generator; and all of fastdrop's layers train and draw from it. The layers
    themselves stay as they are: switch, generator, and what their `backward` answers.

    Source: Gal and Ghahramani, "Dropout as a Bayesian Approximation: Representing Model Uncertainty
    in Deep Learning", ICML 2016, section 4. Mean and standard deviation: Welford, "Note on a Method
    for Calculating Corrected Sums of Squares and Products", Technometrics 4 (1962). Mutual
    information: Houlsby, Huszar, Ghahramani and Lengyel, "Bayesian Active Learning for
    Classification and Preference Learning", arXiv:1112.5745 (2011), section 2.

    Parameters
    ----------
    fn, x : callable, object
        Called as ``fn(x)`` or ``fn(x, rng=generator)`` with `x` as it is given; it gives real
        numbers, always of one shape.
    samples : int, default 50
        How often `fn` is called, at least once.
    rng
        As for `dropout`. A `Generator` moves on by 2**36 positions on each sample's stream.
    probabilities : bool, default False
        Whether `fn` returns probabilities of classes, along its last axis: then the result says how
        uncertain they are.

    Returns
    -------
    MonteCarloResult
        What the samples say together; `std` is without Bessel's correction. No sample is kept.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As for `dropout_samples`; TypeError if `fn` cannot be called or returns no real numbers, or
        `probabilities` is no bool, ValueError if `fn` returns different shapes or, where they are
        probabilities, something negative, or that does not sum to 1 along the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop
    >>> w = np.linspace(-1, 1, 40).reshape(8, 5)
    >>> layer = fastdrop.layers.Dropout(0.5).eval()
    >>> def network(x):
    ...     z = np.exp(layer(x) @ w)
    ...     return z / z.sum(axis=-1, keepdims=True)
    >>> result = fastdrop.mc_dropout(network, np.ones((3, 8)), 100, rng=1, probabilities=True)
    >>> result.mean.shape, result.entropy.shape
    ((3, 5), (3,))
    >>> bool(np.all(result.mutual_information < result.entropy))
    True
    >>> layer.training
    False
    """
    if not callable(fn):
        raise TypeError(f"fn has to be callable, but got {type(fn).__name__}")
    samples = _arrays.check_count(samples, "samples")
    probabilities = _arrays.check_flag(probabilities, "probabilities")
    takes_rng = _takes_rng(fn)
    key = resolve(rng, _RESERVED)
    found = Samples(_LIBRARY, "fn's result", probabilities)
    for k in range(samples):
        generator = Generator(key.seed, (key.stream + k) % 2**64, key.offset)
        with use_default(generator), sampling(generator):
            y = fn(x, rng=generator) if takes_rng else fn(x)
        array = _arrays.as_input(y, "fn's result")
        if array.dtype.kind not in "biuf":
            _arrays.kind_of(array.dtype, "fn's result")  # bfloat16, or an error
        found.add(array.astype(np.float64))
    return MonteCarloResult(*found.result())


def _takes_rng(fn: Callable[..., object]) -> bool:
    """Whether `fn` can be called with a keyword argument `rng` that it knows by name."""
    try:
        parameter = inspect.signature(fn).parameters.get("rng")
    except (TypeError, ValueError):  # some functions written in C have no signature
        return False
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return parameter is not None and parameter.kind in kinds


def _entropy(probabilities: Array) -> Array:
    logarithms = np.log(probabilities, out=np.zeros(probabilities.shape), where=probabilities > 0)
    return np.asarray(0.0 - (probabilities * logarithms).sum(axis=-1))


_LIBRARY: Final = Library[Array](
    zeros_like=np.zeros_like,
    sqrt=lambda values: np.asarray(np.sqrt(values)),
    entropy=_entropy,
    positive=lambda values: np.maximum(values, 0.0),
)
