"""What is no plain ndarray: subclasses, masked arrays, DLPack, other libraries' objects."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_input import UNKNOWN
from cases import equal, results
from support import DTYPES
from surface import (
    ALL_LAYERS,
    CHECKED,
    LAYERS,
    NO_ARRAYS,
    OPERANDS,
    OPERATIONS,
    RETURNING,
    WITH_OUT,
    LayerCase,
    Operation,
)

import fastdrop
from fastdrop import layers


class Tagged(np.ndarray):
    """A subclass that passes itself on, as most do."""


class Refusing(np.ndarray):
    """One that takes part in no function of NumPy."""

    def __array_ufunc__(self, *arguments: Any, **options: Any) -> Any:
        raise AssertionError("a ufunc was called on it")

    def __array_function__(self, *arguments: Any, **options: Any) -> Any:
        raise AssertionError("a function was called on it")


def test_the_tables_are_complete() -> None:
    assert {o.name for o in OPERATIONS} | NO_ARRAYS == set(fastdrop.__all__)
    assert {case.name for case in LAYERS} | {"Layer"} == set(layers.__all__)


Make = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(params=["memmap", Tagged, Refusing, np.matrix])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes the same array, of a subclass; what is no matrix is tagged."""

    def mapped(array: np.ndarray) -> np.ndarray:
        file = np.memmap(tmp_path / "file", array.dtype, "w+", shape=array.shape)
        file[...] = array
        return file

    def viewed(array: np.ndarray) -> np.ndarray:
        fits = request.param is not np.matrix or array.ndim == 2
        return array.copy().view(request.param if fits else Tagged)

    return mapped if request.param == "memmap" else viewed


# subclasses


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("operation", RETURNING)
def test_evaluation_returns_x_itself(operation: Operation, dtype: Any, make: Make) -> None:
    operands = operation.operands(dtype)
    x = make(operands[operation.returned])
    before = x.tobytes()
    for given in (x, x[:0] if x.ndim else x):
        assert operation({**operands, operation.returned: given}, training=False) is given
    assert x.tobytes() == before


@pytest.mark.parametrize(("operation", "operand"), OPERANDS)
def test_training_takes_a_subclass_as_plain(operation: Operation, operand: str, make: Make) -> None:
    given = operation.operands()
    given[operand] = make(given[operand])
    wanted, got = results(operation(operation.operands())), results(operation(given))
    assert equal(tuple(map(np.asarray, got)), tuple(wanted))
    if operation.written:
        assert got[0] is given[operation.written]
    else:
        assert list(map(type, got)) == list(map(type, wanted))


@pytest.mark.parametrize("operation", WITH_OUT)
def test_out_of_a_subclass_is_written_and_returned(operation: Operation, make: Make) -> None:
    for options in [{"training": t} for t in (True, False) if operation.takes("training")] or [{}]:
        out = make(operation.out())
        assert results(operation(operation.operands(), out=out, **options))[0] is out
        wanted = results(operation(operation.operands(), **options))[0]
        assert np.array_equal(np.asarray(out), wanted)


@pytest.mark.parametrize("operation", [p for p in RETURNING if p in WITH_OUT])
def test_out_may_be_a_subclass_x_itself(operation: Operation) -> None:
    for training in (True, False):
        operands = operation.operands()
        wanted = operation(operation.operands(), training=training)
        x = operands[operation.returned] = operands[operation.returned].view(Tagged)
        assert operation(operands, training=training, out=x) is x
        assert np.array_equal(np.asarray(x), wanted)


@pytest.mark.parametrize("case", ALL_LAYERS)
def test_layers(case: LayerCase, make: Make) -> None:
    first = next(iter(case.shapes))
    plain, given = case.operands(), case.operands()
    given[first] = make(given[first])
    layer, wanted = case.make(), case.make()
    y = layer(*given.values())
    assert type(y) is np.ndarray
    assert np.array_equal(y, wanted(*plain.values()))
    assert equal(layer.backward(case.gradient().view(Tagged)), wanted.backward(case.gradient()))
    if case.returned:
        x, dy = given[first], case.gradient().view(Tagged)
        assert layer.eval()(*given.values()) is x
        assert layer.backward(dy) is dy


def test_a_step_of_variational_dropout_returns_itself() -> None:
    x = np.ones((2, 3), np.float32).view(Tagged)
    assert layers.VariationalDropout(0.5).eval().step(x) is x


# objects of other libraries


class DLPackOnly:
    """What the array standard asks for, and nothing of NumPy's."""

    def __init__(self, array: np.ndarray, device: tuple[int, int] = (1, 0)) -> None:
        self._array = array
        self._device = device

    def __dlpack__(self, **options: Any) -> Any:
        assert self._device[0] == 1, "asked for the memory of an accelerator"
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


class Sequence(DLPackOnly):
    """The same with a length and items, from which NumPy would build an array one by one."""

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, i: int) -> Any:
        raise AssertionError("an item was asked for")


class ByMethod:
    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._array


class ByInterface:
    def __init__(self, array: np.ndarray) -> None:
        self.__array_interface__ = array.__array_interface__


@pytest.mark.parametrize("wrap", [DLPackOnly, Sequence, ByMethod, ByInterface])
@pytest.mark.parametrize(("operation", "operand"), CHECKED)
def test_what_shows_its_memory_is_taken(operation: Operation, operand: str, wrap: Any) -> None:
    operands = operation.operands()
    operands[operand].flags.writeable = False
    given = {**operands, operand: wrap(operands[operand])}
    if operation.written == operand:
        with pytest.raises(TypeError, match="has to be a NumPy array to be changed in place, but"):
            operation(given)
        return
    assert equal(operation(given), operation(operands))


@pytest.mark.parametrize("operation", WITH_OUT)
def test_out_is_an_array(operation: Operation) -> None:
    with pytest.raises(TypeError, match=r"out has to be a NumPy array, but got .*DLPackOnly"):
        operation(operation.operands(), out=DLPackOnly(operation.out()))


@pytest.mark.parametrize("device", [2, 8, 14])
def test_another_device_is_named(device: int) -> None:
    x = DLPackOnly(np.ones(3, np.float32), (device, 1))
    words = rf"x {UNKNOWN}.*DLPackOnly \(on DLPack's device \({device}, 1\), not in the CPU's"
    with pytest.raises(TypeError, match=words):
        fastdrop.dropout(x)


def test_memory_that_the_cpu_reads_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones(3, np.float32)
    pinned = DLPackOnly(x)
    monkeypatch.setattr(DLPackOnly, "__dlpack_device__", lambda _: (3, 0))
    y = fastdrop.dropout(pinned, 0.5, rng=1)
    assert np.array_equal(y, fastdrop.dropout(x, 0.5, rng=1))


class Broken:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise self._error


def sparse() -> Any:
    return pytest.importorskip("scipy.sparse").csr_array(np.eye(3))


BROKEN = r"test_foreign_arrays\.Broken \(no\)"
NAMED: list[Any] = [
    pytest.param(lambda: None, TypeError, "NoneType", id="none"),
    pytest.param(object, TypeError, "object", id="object"),
    pytest.param(sparse, TypeError, "scipy.sparse.csr_array", id="sparse"),
    pytest.param(lambda: [1.0, None], TypeError, "list of NoneType", id="list-of-none"),
    pytest.param(lambda: [[Decimal(1)]], TypeError, "list of decimal.Decimal", id="decimals"),
    pytest.param(lambda: {"a": 1.0}, TypeError, "dict", id="dict"),
    pytest.param(lambda: [[1.0], [1.0, 2.0]], ValueError, "list", id="ragged"),
    pytest.param(lambda: Path(), TypeError, r"pathlib\.\w+", id="path"),
    pytest.param(lambda: Broken(RuntimeError("no")), TypeError, BROKEN, id="__array__"),
    pytest.param(lambda: Broken(ValueError("no")), ValueError, BROKEN, id="value"),
]


@pytest.mark.parametrize(("make", "error", "came"), NAMED)
@pytest.mark.parametrize(("operation", "operand"), CHECKED)
def test_what_is_no_array_is_named(operation, operand, make, error, came) -> None:
    value = make()
    if value is None and operation.default(operand) is None:  # no bias, no mask
        return
    words = f"{operand} {UNKNOWN}{came}"
    if operation.written == operand:
        error, words = TypeError, f"{operand} has to be a NumPy array to be changed in place"
    generator = fastdrop.Generator(1)
    state = generator.state
    with pytest.raises(error, match=words) as caught:
        operation({**operation.operands(), operand: value}, generator)
    assert caught.type is error
    assert generator.state == state


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_dtype_with_metadata_is_the_dtype(dtype: Any) -> None:
    x = np.ones(9, np.dtype(dtype, metadata={"unit": "m"}))
    y = fastdrop.dropout(x, 0.5, rng=1)
    assert np.array_equal(y, fastdrop.dropout(np.ones(9, dtype), 0.5, rng=1))


def test_records_of_one_float_are_not_floats() -> None:
    records = np.ones(3, [("a", np.float32)]).view(np.recarray)
    with pytest.raises(TypeError, match=r"x has to have dtype .*, but got .*'a', '<f4'"):
        fastdrop.dropout(records)
    field = records.a
    assert np.array_equal(fastdrop.dropout(field, 0.0, rng=1), field)


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises((TypeError, ValueError), match=UNKNOWN):
        fastdrop.dropout(loop)


def test_memory_errors_are_passed_on() -> None:
    with pytest.raises(MemoryError, match="no"):
        fastdrop.dropout(Broken(MemoryError("no")))
