"""Other libraries' dropout, and fastdrop in these libraries: a statement and its names for each.

Each runs on one thread, as fastdrop does by default in the benchmarks.
"""

import ctypes
import functools
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from fastdrop import _throughput
from fastdrop._arrays import Array

BLOCK = 7
"""The size of DropBlock's blocks."""


class MissingError(Exception):
    """Why a library cannot run here."""


class Peer(NamedTuple):
    """One library's dropout; ``extend`` makes the names that its statement needs.

    It raises `MissingError` where the library cannot run.
    """

    who: str
    what: str
    statement: str
    extend: Callable[[Array], dict[str, object]]


def _import(name: str) -> ModuleType:
    """Import a framework without its warnings, which the test settings would make errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise MissingError(f"{name} is not installed: {error}") from error


def _nothing(_: Array) -> dict[str, object]:
    return {}


def torch_names(x: Array) -> dict[str, object]:
    """``t``, a tensor over x's memory, and ``F``."""
    torch = _import("torch")
    torch.set_num_threads(1)
    return {"F": torch.nn.functional, "t": torch.from_numpy(x)}


def torch_block_names(x: Array) -> dict[str, object]:
    """``torch_drop_block`` and ``t``, a tensor over the memory of ``x``, which are images.

    Seeds as floats, spread by a maximum over windows: the usual way, on one thread as all of them.
    """
    torch = _import("torch")
    names = torch_names(x)

    def drop_block(t: Any) -> Any:
        samples, channels, height, width = t.shape
        places = height - BLOCK + 1, width - BLOCK + 1
        gamma = _throughput.P / BLOCK**2 * height * width / (places[0] * places[1])
        seeds = torch.empty((samples, channels, *places)).bernoulli_(gamma)
        padded = torch.nn.functional.pad(seeds, (BLOCK - 1,) * 4)
        keep = 1 - torch.nn.functional.max_pool2d(padded, BLOCK, stride=1)
        return t * keep * (keep.numel() / keep.sum())

    return names | {"torch_drop_block": drop_block}


def torch_product_names(names: Mapping[str, Any]) -> dict[str, object]:
    """``torch_product`` and its tensors, ``a_torch`` and ``w_torch``: the usual DropConnect layer.

    A mask for every sample, stored: as many floats as there are products.
    """
    torch = _import("torch")
    torch.set_num_threads(1)

    def product(a: Any, w: Any) -> Any:
        masks = torch.empty((len(a), *w.shape)).bernoulli_(1 - _throughput.P)
        return (masks.mul_(w) @ a.unsqueeze(2)).squeeze(2).div_(1 - _throughput.P)

    tensors = {f"{name}_torch": torch.from_numpy(names[name]) for name in "aw"}
    return {"torch_product": product, **tensors}


def torch_family_names(names: Mapping[str, Any]) -> dict[str, object]:
    """What PyTorch's statements in ``variants`` need, over the same memory as ``names``."""
    if "x" not in names:
        return torch_product_names(names)
    torch = _import("torch")
    tensors = {f"{name}_torch": torch.from_numpy(names[name]) for name in "hb"}
    images = names["x"].ndim == 4
    return {
        "torch": torch,
        **(torch_block_names if images else torch_names)(names["x"]),
        **tensors,
    }


def version_of(name: str) -> str:
    """The name of a framework with its version, or that it is not installed."""
    try:
        return f"{name} {_import(name).__version__}"
    except MissingError as error:
        return str(error)


@functools.cache
def _torch_compiled() -> Any:
    torch = _import("torch")

    def dropout(t: Any) -> Any:
        return torch.nn.functional.dropout(t, _throughput.P, True)

    return torch.compile(dropout)


def torch_compiled_names(x: Array) -> dict[str, object]:
    """``t``, and ``compiled``, which has been called: the first calls compile, for seconds."""
    names = torch_names(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            names["compiled"] = _torch_compiled()
            eval(TORCH_COMPILED, dict(names))
        except Exception as error:
            # It needs a C++ compiler, and says so in many ways.
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            raise MissingError(f"torch.compile fails: {reason}") from error
    return names


def _compiled_names(name: str, dropout: Callable[[Any, Any], Any], x: Array) -> dict[str, object]:
    """A function of JAX by its name, compiled for ``x``, and its arguments ``key`` and ``j``."""
    jax = _import("jax")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function, key, j = jax.jit(dropout), jax.random.key(1), jax.numpy.asarray(x)
        function(key, j).block_until_ready()
    return {name: function, "key": key, "j": j}


def _jax() -> ModuleType:
    """JAX on one thread."""
    one_thread = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("XLA_FLAGS", one_thread)
    return _import("jax")


def jax_names(x: Array) -> dict[str, object]:
    """``jax_dropout``, compiled, and its arguments."""
    jax = _jax()

    def dropout(key: Any, a: Any) -> Any:
        keep = jax.random.bernoulli(key, 1 - _throughput.P, a.shape)
        return jax.numpy.where(keep, a / (1 - _throughput.P), 0)

    return _compiled_names("jax_dropout", dropout, x)


def flax_names(x: Array) -> dict[str, object]:
    """``flax_dropout``, a compiled call of Flax's layer, and its arguments."""
    _jax()
    layer = _import("flax.nnx").Dropout(_throughput.P)
    return _compiled_names("flax_dropout", lambda key, a: layer(a, rngs=key), x)


def fastdrop_jax_names(x: Array) -> dict[str, object]:
    """``fastdrop_jax``, compiled, and its arguments."""
    _jax()
    face = _import("fastdrop.jax")
    drop = functools.partial(face.dropout, p=_throughput.P)
    return _compiled_names("fastdrop_jax", lambda key, a: drop(a, rng=key), x)


def _keras_layer(name: str, module: str, x: Array) -> dict[str, object]:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = _import("keras")
    if keras.config.backend() != "torch":
        raise MissingError(f"Keras runs on {keras.config.backend()}, and not on PyTorch")
    return {**torch_names(x), name: _import(module).Dropout(_throughput.P)}


def keras_names(x: Array) -> dict[str, object]:
    """``keras_layer`` on PyTorch, and ``t``."""
    return _keras_layer("keras_layer", "keras.layers", x)


def fastdrop_keras_names(x: Array) -> dict[str, object]:
    """``fastdrop_layer`` for Keras on PyTorch, and ``t``."""
    return _keras_layer("fastdrop_layer", "fastdrop.keras", x)


# Constants of MKL's mkl_vsl.h: the fastest of its generators, and the only method.
_ARS5, _ICDF = 15 << 20, 0


def mkl_names(x: Array) -> dict[str, object]:
    """``mkl_draw()``, which fills an array of 32-bit integers with zeros and ones."""
    found = sorted(Path(sys.prefix, "lib").glob("libmkl_rt.*"))
    if not found:
        raise MissingError("mkl is not installed")
    mkl = ctypes.CDLL(str(found[-1]))
    stream, mask = ctypes.c_void_p(), np.empty(x.size, np.int32)
    if mkl.vslNewStream(ctypes.byref(stream), _ARS5, 1):
        raise MissingError("MKL does not start a stream")
    draw, at = mkl.viRngBernoulli, mask.ctypes.data_as(ctypes.c_void_p)
    keep = ctypes.c_double(1 - _throughput.P)
    if draw(_ICDF, stream, mask.size, at, keep) or not 0.8 < mask.mean() < 1.0:
        raise MissingError("MKL does not draw")
    return {"mkl_draw": functools.partial(draw, _ICDF, stream, mask.size, at, keep), "mkl": mask}


def bitarray_names(_: Array) -> dict[str, object]:
    """``random_p``, which makes a new packed mask."""
    random_p = _import("bitarray.util").random_p
    try:
        random_p(1)
    except NotImplementedError as error:  # before Python 3.12
        raise MissingError(str(error)) from error
    return {"random_p": random_p}


def numpy_mask_names(_: Array) -> dict[str, object]:
    """``generator``, NumPy's usual one."""
    return {"generator": np.random.default_rng(1)}


JAX = "jax_dropout(key, j).block_until_ready()"
FLAX = "flax_dropout(key, j).block_until_ready()"
FASTDROP_JAX = "fastdrop_jax(key, j).block_until_ready()"
KERAS = "keras_layer(t, training=True)"
FASTDROP_KERAS = "fastdrop_layer(t, training=True)"
TORCH_BLOCKS = "torch_drop_block(t)"
TORCH_PRODUCT = "torch_product(a_torch, w_torch)"
TORCH_IN_PLACE = "F.dropout(t, p, True, True)"
TORCH_COMPILED = "compiled(t)"

PEERS = [
    Peer("np.multiply", "in place", _throughput.LIMIT, _nothing),
    Peer("np.multiply", "out of place", "np.multiply(x, s, out=y)", _nothing),
    Peer("np.copyto", "out of place", _throughput.COPY, _nothing),
    Peer("NumPy by hand", "out of place", _throughput.BY_HAND, _nothing),
    Peer("PyTorch", "in place", TORCH_IN_PLACE, torch_names),
    Peer("PyTorch", "out of place", "F.dropout(t, p, True)", torch_names),
    Peer("PyTorch compiled", "out of place", TORCH_COMPILED, torch_compiled_names),
    Peer("JAX", "out of place", JAX, jax_names),
    Peer("Flax", "out of place", FLAX, flax_names),
    Peer("fastdrop.jax", "out of place", FASTDROP_JAX, fastdrop_jax_names),
    Peer("Keras on PyTorch", "out of place", KERAS, keras_names),
    Peer("fastdrop.keras on PyTorch", "out of place", FASTDROP_KERAS, fastdrop_keras_names),
]

MASK_PEERS = [
    Peer("Intel MKL", "draw a mask of int32", "mkl_draw()", mkl_names),
    Peer("bitarray", "draw a packed mask", "random_p(x.size, 1 - p)", bitarray_names),
    Peer("NumPy", "draw a bool mask", "generator.random(x.size, 'f4') >= p", numpy_mask_names),
]
"""Others that draw a mask and nothing more."""
