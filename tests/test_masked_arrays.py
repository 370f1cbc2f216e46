"""Masked arrays: refused everywhere, as operand and as out, before anything is written."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from surface import ALL_LAYERS, CHECKED, WITH_OUT, LayerCase, Operation

import fastdrop


def masked(array: np.ndarray, hard: bool = False) -> Any:
    mask = np.zeros(array.shape, bool)
    mask.flat[0] = True
    return np.ma.array(array, mask=mask, hard_mask=hard)


def no_mask(array: np.ndarray) -> Any:
    return np.ma.array(array)


MASKED: list[Any] = [
    pytest.param(masked, id="masked"),
    pytest.param(lambda a: masked(a, True), id="hard"),
    pytest.param(no_mask, id="nomask"),
    pytest.param(lambda a: list(masked(a)), id="list"),
    pytest.param(lambda a: (list(a), [np.ma.masked]), id="constant"),
    pytest.param(lambda _: np.ma.masked, id="masked-itself"),
]


@pytest.mark.parametrize("make", MASKED)
@pytest.mark.parametrize(("operation", "operand"), CHECKED)
def test_masked_arrays_are_refused(
    operation: Operation, operand: str, make: Callable[[np.ndarray], Any]
) -> None:
    operands = operation.operands()
    given = operands[operand] = make(operands[operand])
    in_place = operation.written == operand
    generator = fastdrop.Generator(1)
    state = generator.state
    options: dict[str, Any] = {"out": operation.out()} if operation.takes("out") else {}
    arrays = [a for a in [*operands.values(), *options.values()] if isinstance(a, np.ndarray)]
    before = [np.asarray(a).tobytes() for a in arrays]
    if in_place and not isinstance(given, np.ndarray):
        words = f"{operand} has to be a NumPy array to be changed in place, but got"
    else:
        words = f"{operand} has to be an array without a mask, but got "
    with pytest.raises(TypeError, match=words):
        operation(operands, generator, **options)
    assert generator.state == state
    assert [np.asarray(a).tobytes() for a in arrays] == before


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("operation", WITH_OUT)
def test_masked_arrays_are_not_written(operation: Operation, hard: bool, training: bool) -> None:
    out = masked(operation.out(), hard)
    options = {"training": training} if operation.takes("training") else {}
    generator = fastdrop.Generator(1)
    state = generator.state
    with pytest.raises(TypeError, match=r"out has to be an array without a mask, but got numpy\."):
        operation(operation.operands(), generator, out=out, **options)
    assert generator.state == state
    assert (out.data == 7).all()


@pytest.mark.parametrize("case", ALL_LAYERS)
def test_layers_refuse_masked_arrays(case: LayerCase) -> None:
    layer = case.make()
    for name in case.shapes:
        operands = case.operands()
        operands[name] = masked(operands[name])
        state = layer.state_dict()
        with pytest.raises(TypeError, match="has to be an array without a mask, but got"):
            layer(*operands.values())
        assert layer.state_dict() == state
    layer(*case.operands().values())
    with pytest.raises(TypeError, match="dy has to be an array without a mask, but got"):
        layer.backward(masked(case.gradient()))


def test_what_a_masked_array_is_told() -> None:
    with pytest.raises(TypeError) as caught:
        fastdrop.dropout(np.ma.ones(3))
    assert str(caught.value) == (
        "x has to be an array without a mask, but got numpy.ma.MaskedArray: pass its filled(...) "
        "or its data, and mask the result where that is wanted"
    )


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[Any] = [np.ma.ones(3)]
    loop.append(loop)
    with pytest.raises(TypeError, match="x has to be an array without a mask"):
        fastdrop.dropout(loop)
