"""What `p`, `training` and `rng` may be, in every public function and layer."""

import itertools
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from bad_input import BAD_P
from cases import equal
from surface import ALL_LAYERS, EACH, LayerCase, Operation

import fastdrop
from fastdrop import Generator, Key


def taking(argument: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", [p for p in EACH if p.values[0].takes(argument)])


# A gradient asks for what gave the forward pass its mask.
ASKS = [p for p in EACH if p.id.endswith("_backward")]

NUMBERS = [*(kind(0.25) for kind in (np.float32, np.float64, np.float16, np.longdouble))]
NUMBERS.append(Fraction(1, 4))
FLAGS = ({"training": True}, {"training": False})
NONE = 1.0, "1", True, (1, 2), {"seed": 1}, Generator
BAD_RNG = [
    *((rng, TypeError, type(rng).__name__) for rng in NONE),
    *((rng, TypeError, f"numpy.{type(rng).__name__}") for rng in (np.True_, np.array(1))),
    (np.random.RandomState(1), TypeError, "numpy.random.*RandomState"),
    (np.random.PCG64(1), TypeError, "numpy.random.*PCG64"),
    *((rng, ValueError, str(rng)) for rng in (-1, 2**64)),
]


@taking("p")
def test_p_may_be_any_real_number(operation: Operation) -> None:
    wanted = operation(operation.operands(), p=0.25)
    for p in NUMBERS:
        assert equal(operation(operation.operands(), p=p), wanted), type(p)


def refused(operation: Operation, error: Any, words: str, *rngs: Any, **more: Any) -> None:
    """In training and in evaluation, with nothing written and nothing drawn."""
    generator, operands = Generator(1), operation.operands()
    if not rngs:
        rngs = (Key(1) if operation.name.endswith("_backward") else generator,)
    flags = FLAGS if operation.takes("training") and "training" not in more else ({},)
    for rng, flag in itertools.product(rngs, flags):
        with pytest.raises(error, match=words):
            operation(operands, rng, **flag, **more)
    assert generator.offset == 0
    assert equal(tuple(operands.values()), tuple(operation.operands().values()))


@taking("p")
def test_bad_p(operation: Operation) -> None:
    for p, error, words in BAD_P:
        refused(operation, error, re.escape(words), p=p)


@pytest.mark.parametrize("case", [p for p in ALL_LAYERS if p.id != "GaussianNoise"])
def test_p_of_layers(case: LayerCase) -> None:
    layer = case.make()
    state, default = layer.state_dict(), fastdrop.default_generator()
    for p, error, words in BAD_P:
        with pytest.raises(error, match=re.escape(words)):
            layer.p = p
        with pytest.raises(error, match=re.escape(words)):
            layer.load_state_dict({**state, "p": p})
        assert layer.state_dict() == state
        spawned = default.spawned
        with pytest.raises(error, match=re.escape(words)):
            case._replace(options={**case.options, "p": p}).make(rng=None)
        assert default.spawned == spawned
    for p in NUMBERS:  # kept as a float
        layer = case._replace(options={**case.options, "p": p}).make()
        assert (type(layer.p), layer.p) == (float, 0.25)


@taking("training")
def test_training_may_be_any_flag(operation: Operation) -> None:
    for training in (True, False):
        wanted = operation(operation.operands(), training=training)
        for kind in (bool, np.bool_, int, np.int8, np.uint64):
            flag = kind(training)
            assert equal(operation(operation.operands(), training=flag), wanted), kind


@taking("training")
def test_bad_training(operation: Operation) -> None:
    for flag in ("no", None, 2, -1, 1.0, np.array(True), np.float32(1), [True]):
        came = flag if type(flag) is int else type(flag).__name__
        words = f"training has to be True or False, but got {came}$"
        refused(operation, TypeError, words, training=flag)


@taking("rng")
def test_bad_rng(operation: Operation) -> None:
    for rng, error, came in BAD_RNG:
        refused(operation, error, f"rng has to be .*but got {came}", rng)


@pytest.mark.parametrize("case", ALL_LAYERS)
def test_bad_rng_of_layers(case: LayerCase) -> None:
    for rng, error, came in BAD_RNG:
        with pytest.raises(error, match=f"rng has to be .*but got {came}"):
            case.make(rng=rng)


@pytest.mark.parametrize("operation", ASKS)
def test_a_gradient_takes_no_generator(operation: Operation) -> None:
    """It would draw a mask that the forward pass did not have: a wrong gradient, in silence."""
    for rng in (None, Generator(1), np.random.default_rng(1)):
        with pytest.raises(TypeError, match="rng has to be what gave the forward pass its mask"):
            operation(operation.operands(), rng)
