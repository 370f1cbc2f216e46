"""What `p`, `training` and `rng` may be, in every public function and layer."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from surface import ALL_LAYERS, EACH, LayerCase, Operation

import fastdrop
from fastdrop import Generator, Key

TAKES_P = [p for p in EACH if p.values[0].takes("p")]
TAKES_TRAINING = [p for p in EACH if p.values[0].takes("training")]
TAKES_RNG = [p for p in EACH if p.values[0].takes("rng")]
# A gradient asks for what gave the forward pass its mask.
ASKS = [p for p in TAKES_RNG if p.id.endswith("_backward")]
LAYERS_WITH_P = [p for p in ALL_LAYERS if p.id != "GaussianNoise"]

NUMBERS = [
    np.float32(0.25),
    np.float64(0.25),
    np.float16(0.25),
    np.longdouble(0.25),
    Fraction(1, 4),
]
BAD_P = [
    (np.array(0.25), TypeError, "p has to be a real number, but got ndarray"),
    (np.array([0.25]), TypeError, "p has to be a real number, but got ndarray"),
    ([0.25], TypeError, "p has to be a real number, but got list"),
    (Decimal("0.25"), TypeError, "p has to be a real number, but got Decimal"),
    (True, TypeError, "p has to be a real number, but got bool"),
    (np.True_, TypeError, "p has to be a real number, but got bool"),
    ("0.25", TypeError, "p has to be a real number, but got str"),
    (0.25 + 0j, TypeError, "p has to be a real number, but got complex"),
    (np.complex64(0.25), TypeError, "p has to be a real number, but got complex64"),
    (None, TypeError, "p has to be a real number, but got NoneType"),
    (-0.25, ValueError, "probability has to be between 0 and 1, but got -0.25"),
    (2, ValueError, "probability has to be between 0 and 1, but got 2"),
    (10**400, ValueError, "probability has to be between 0 and 1, but got 1000"),
    (Fraction(5, 4), ValueError, "probability has to be between 0 and 1, but got 5/4"),
    (np.float32("inf"), ValueError, "probability has to be between 0 and 1, but got inf"),
    (float("nan"), ValueError, "probability has to be between 0 and 1, but got nan"),
]
P_IDS = [f"{type(p).__name__}-{i}" for i, (p, _, _) in enumerate(BAD_P)]
BAD_RNG = [
    (1.0, TypeError, "float"),
    ("1", TypeError, "str"),
    (True, TypeError, "bool"),
    (np.True_, TypeError, "numpy.bool"),
    (np.array(1), TypeError, "numpy.ndarray"),
    (np.random.RandomState(1), TypeError, "numpy.random.*RandomState"),
    (np.random.PCG64(1), TypeError, "numpy.random.*PCG64"),
    ((1, 2), TypeError, "tuple"),
    ({"seed": 1}, TypeError, "dict"),
    (Generator, TypeError, "type"),
    (-1, ValueError, "-1"),
    (2**64, ValueError, "18446744073709551616"),
]
RNG_IDS = [f"{type(rng).__name__}-{i}" for i, (rng, _, _) in enumerate(BAD_RNG)]


def parts(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return [value]
    return list(value) if isinstance(value, tuple) else list(vars(value).values())


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(parts(a), parts(b), strict=True))


@pytest.mark.parametrize("p", NUMBERS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("operation", TAKES_P)
def test_p_may_be_any_real_number(operation: Operation, p: Any) -> None:
    wanted = operation(operation.operands(), p=0.25)
    assert same(operation(operation.operands(), p=p), wanted)


@pytest.mark.parametrize(("p", "error", "words"), BAD_P, ids=P_IDS)
@pytest.mark.parametrize("operation", TAKES_P)
def test_bad_p(operation: Operation, p: Any, error: type[Exception], words: str) -> None:
    for training in (True, False) if operation.takes("training") else (None,):
        options = {} if training is None else {"training": training}
        generator = Generator(1)
        operands = operation.operands()
        with pytest.raises(error, match=words):
            operation(operands, Key(1) if operation in asks() else generator, p=p, **options)
        assert generator.offset == 0
        assert same(tuple(operands.values()), tuple(operation.operands().values()))


def asks() -> list[Operation]:
    return [p.values[0] for p in ASKS]  # type: ignore[misc]


@pytest.mark.parametrize(("p", "error", "words"), BAD_P, ids=P_IDS)
@pytest.mark.parametrize("case", LAYERS_WITH_P)
def test_bad_p_of_layers(case: LayerCase, p: Any, error: type[Exception], words: str) -> None:
    layer = case.make()
    state = layer.state_dict()
    with pytest.raises(error, match=words):
        layer.p = p
    with pytest.raises(error, match=words):
        layer.load_state_dict({**state, "p": p})
    assert layer.state_dict() == state
    default = fastdrop.default_generator()
    spawned = default.spawned
    with pytest.raises(error, match=words):
        case._replace(options={**case.options, "p": p}).make(rng=None)
    assert default.spawned == spawned


@pytest.mark.parametrize("p", NUMBERS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("case", LAYERS_WITH_P)
def test_p_of_layers_is_kept_as_a_float(case: LayerCase, p: Any) -> None:
    layer = case._replace(options={**case.options, "p": p}).make()
    assert type(layer.p) is float
    assert layer.p == 0.25


@pytest.mark.parametrize("flag", [True, np.True_, 1, np.int8(1), np.uint64(1)], ids=repr)
@pytest.mark.parametrize("operation", TAKES_TRAINING)
def test_training_may_be_any_flag(operation: Operation, flag: Any) -> None:
    wanted = operation(operation.operands(), training=True)
    assert same(operation(operation.operands(), training=flag), wanted)
    wanted = operation(operation.operands(), training=False)
    no = type(flag)(0)
    assert same(operation(operation.operands(), training=no), wanted)


@pytest.mark.parametrize(
    ("flag", "came"),
    [
        ("no", "str"),
        (None, "NoneType"),
        (2, "2"),
        (-1, "-1"),
        (1.0, "float"),
        (np.array(True), "ndarray"),
        (np.float32(1), "float32"),
        ([True], "list"),
    ],
    ids=str,
)
@pytest.mark.parametrize("operation", TAKES_TRAINING)
def test_bad_training(operation: Operation, flag: Any, came: str) -> None:
    generator = Generator(1)
    with pytest.raises(TypeError, match=f"training has to be True or False, but got {came}$"):
        operation(operation.operands(), Key(1) if operation in asks() else generator, training=flag)
    assert generator.offset == 0


@pytest.mark.parametrize(("rng", "error", "came"), BAD_RNG, ids=RNG_IDS)
@pytest.mark.parametrize("operation", TAKES_RNG)
def test_bad_rng(operation: Operation, rng: Any, error: type[Exception], came: str) -> None:
    for training in (True, False) if operation.takes("training") else (None,):
        options = {} if training is None else {"training": training}
        operands = operation.operands()
        with pytest.raises(error, match=f"rng has to be .*but got {came}"):
            operation(operands, rng, **options)
        assert same(tuple(operands.values()), tuple(operation.operands().values()))


@pytest.mark.parametrize(("rng", "error", "came"), BAD_RNG, ids=RNG_IDS)
@pytest.mark.parametrize("case", ALL_LAYERS)
def test_bad_rng_of_layers(case: LayerCase, rng: Any, error: type[Exception], came: str) -> None:
    with pytest.raises(error, match=f"rng has to be .*but got {came}"):
        case.make(rng=rng)


@pytest.mark.parametrize("operation", ASKS)
def test_a_gradient_takes_no_generator(operation: Operation) -> None:
    """It would draw a mask that the forward pass did not have: a wrong gradient, in silence."""
    for rng in (None, Generator(1), np.random.default_rng(1)):
        with pytest.raises(TypeError, match="rng has to be what gave the forward pass its mask"):
            operation(operation.operands(), rng)
