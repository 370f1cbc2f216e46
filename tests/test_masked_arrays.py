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


MASKED: dict[str, Callable[[np.ndarray], Any]] = {
    "masked": masked,
    "hard": lambda a: masked(a, True),
    "nomask": np.ma.array,
    "list": lambda a: list(masked(a)),
    "constant": lambda a: (list(a), [np.ma.masked]),
    "masked-itself": lambda _: np.ma.masked,
}


def check(operation: Operation, operands: Any, words: str, **options: Any) -> None:
    """It refuses, and nothing is drawn and nothing written."""
    generator = fastdrop.Generator(1)
    arrays = [a for a in (*operands.values(), *options.values()) if isinstance(a, np.ndarray)]
    before = [np.asarray(a).tobytes() for a in arrays]
    with pytest.raises(TypeError, match=words):
        operation(operands, generator, **options)
    assert generator.state == fastdrop.Generator(1).state
    assert [np.asarray(a).tobytes() for a in arrays] == before


@pytest.mark.parametrize("how", MASKED)
@pytest.mark.parametrize(("operation", "operand"), CHECKED)
def test_masked_arrays_are_refused(operation: Operation, operand: str, how: str) -> None:
    operands = operation.operands()
    given = operands[operand] = MASKED[how](operands[operand])
    words = f"{operand} has to be an array without a mask, but got "
    if operation.written == operand and not isinstance(given, np.ndarray):
        words = f"{operand} has to be a NumPy array to be changed in place, but got"
    check(
        operation, operands, words, **({"out": operation.out()} if operation.takes("out") else {})
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("operation", WITH_OUT)
def test_masked_arrays_are_not_written(operation: Operation, hard: bool, training: bool) -> None:
    options = {"training": training} if operation.takes("training") else {}
    words = r"out has to be an array without a mask, but got numpy\."
    check(operation, operation.operands(), words, out=masked(operation.out(), hard), **options)


@pytest.mark.parametrize("case", ALL_LAYERS)
def test_layers_refuse_masked_arrays(case: LayerCase) -> None:
    layer = case.make()
    state = layer.state_dict()
    for name, x in case.operands().items():
        with pytest.raises(TypeError, match="has to be an array without a mask, but got"):
            layer(*{**case.operands(), name: masked(x)}.values())
        assert layer.state_dict() == state
    layer(*case.operands().values())
    with pytest.raises(TypeError, match="dy has to be an array without a mask, but got"):
        layer.backward(masked(case.gradient()))


def test_what_a_masked_array_is_told() -> None:
    words = (
        "x has to be an array without a mask, but got numpy.ma.MaskedArray: pass its filled(...) "
        "or its data, and mask the result where that is wanted"
    )
    loop: list[Any] = [np.ma.ones(3)]
    loop.append(loop)
    for x, told in ((np.ma.ones(3), words), (loop, words.partition(",")[0])):
        with pytest.raises(TypeError) as caught:
            fastdrop.dropout(x)
        assert str(caught.value).startswith(told)
