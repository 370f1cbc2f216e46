"""`dropout` as it is compiled, and as it is in Python: the same in every case."""

import copy
import itertools
import math
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import CASES, Case, parametrize, results
from forms import inner, part, small, window_of
from formulas import scaled
from numpy.lib.stride_tricks import as_strided
from support import general

import fastdrop
from fastdrop import Generator, Key, _config, backends, default_generator, manual_seed, pipeline
from fastdrop.functions import activations

needs_fronts = pytest.mark.skipif(
    _config._instruction_sets()["active"] is None or backends.name_of(backends.active()) != "c",
    reason="the c backend is not the active one",
)

X = np.random.default_rng(3).standard_normal((5, 12)).astype(np.float32)


def told(call: Any, *arguments: Any, rng: Any, out: Any = None, **options: Any) -> list[Any]:
    """What a call gives or raises, and where its generator is afterwards."""
    more = options if out is None else {**options, "out": out}
    try:
        found = results(call(*arguments, rng=rng, **more))
    except (TypeError, ValueError, OverflowError) as error:
        return [repr(error), repr(rng)]
    assert out is None or found[0] is out
    parts = [(y.dtype, y.shape, y.tobytes()) for y in found if y is not None]
    return [*parts, repr(rng)]


def agree(answers: Any, *functions: Any) -> None:
    """With the fronts, and by the way in Python."""
    assert list(answers(*functions)) == list(answers(*map(general, functions)))


@pytest.mark.parametrize(
    ("shape", "noise_shape"),
    [
        ((3, 5), (3, 1)), ((3, 5), (None, 1)), ((3, 5), (5,)), ((3, 5), (1, 1)), ((3, 5), ()),
        ((3, 5), (3, 5)), ((3, 1, 5), (3, 1, 5)), ((3, 1, 5), (None, 1, None)), ((3, 5), [3, 1]),
        ((3, 5), (np.int64(3), 1)), ((0, 5), (1, 5)), ((4, 7, 1300), (4, 1, 1300)),
        ((5000, 2), (5000, 1)), ((2, 3, 4, 5, 6), (2, 1, 4, 1, 6)),
    ],
)  # fmt: skip
def test_the_fronts_of_shared_decisions_agree(shape: tuple[int, ...], noise_shape: Any) -> None:
    more = {"noise_shape": noise_shape}

    def answers(call: Any) -> Iterator[Any]:
        for dtype, p in itertools.product((np.float32, np.float64, np.float16), (0.0, 0.3, 0.999)):
            x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
            yield told(call, x, p, rng=Generator(4, 5, 100), **more)
            for out in (np.empty_like(x), x):
                yield told(call, x, p, rng=Key(1, 2, 3), out=out, **more)

    agree(answers, fastdrop.dropout)


@parametrize()
def test_the_fronts_of_all_variants_agree_with_python(case: Case) -> None:
    first, cut = case.variant.operands[0], inner(case.shape)

    def answers(call: Any) -> Iterator[Any]:
        for dtype, order in itertools.product((np.float16, np.float32, np.float64), "CF"):
            x = {name: v.astype(dtype, order) for name, v in case.operands().items()}
            empty = {n: v if n == "bias" or not v.ndim else v[:0] for n, v in x.items()}
            inside = {name: np.array(v, order="C") for name, v in part(x, cut).items()}
            for p, training in itertools.product((0, np.float32(0.3), 0.5, 1), (True, False)):
                more = {case.rate: p, "training": training, **case.options}
                for rng, operands in ((Key(1, 2, 4090), x), (7, x), (Key(1), empty)):
                    yield told(call, rng=rng, **operands, **more)
                rng: Any = Key(3, 4, 5) if case.repeats else Generator(3, 4, 5)
                if case.takes("window"):
                    window = window_of(case.shape, cut)
                    yield told(call, rng=rng, window=window, **inside, **more)
                if case.takes("out"):
                    yield told(call, rng=rng, out=np.empty_like(x[first]), **x, **more)
                    out = x[first].copy(order)
                    yield told(call, rng=Key(9), out=out, **{**x, first: out}, **more)

    agree(answers, case.function)


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("the general path is taken")


@needs_fronts
@parametrize()
def test_the_fronts_take_the_common_case(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    operands, cut = case.operands(), inner(case.shape)
    monkeypatch.setattr(pipeline, "checked", refuse)
    case(operands, 0.4, rng=Key(1))
    if case.takes("out"):
        case(operands, 0.4, rng=Key(1), out=np.empty_like(operands[case.variant.operands[0]]))
    if case.takes("window"):
        inside = {name: np.array(x) for name, x in part(operands, cut).items()}
        case(inside, 0.4, rng=Key(1), window=window_of(case.shape, cut))
    with pytest.raises(AssertionError, match="general path"):
        case({name: x.astype(">f4") for name, x in operands.items()}, 0.4, rng=Key(1))


@needs_fronts
@pytest.mark.parametrize("noise_shape", [None, (1, None), (4, 1)])
def test_the_fronts_take_windows_of_ints(noise_shape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "checked", refuse)
    x, more = np.ones((2, 5), np.float32), {"rng": Key(1), "noise_shape": noise_shape}
    y = fastdrop.dropout(x, window=((4, 7), (1, 2)), **more)
    assert fastdrop.dropout_(x, window=((4, 7), (1, 2)), **more).tobytes() == y.tobytes()
    # What is equal to these numbers and no int is for the general path to refuse.
    for other in (((4, 7), (True, 2)), ((4.0, 7), (1, 2)), [(4, 7), (1, 2)], ((2, 7), (1, 2))):
        with pytest.raises(AssertionError, match="general path"):
            fastdrop.dropout(x, window=other, **more)


WHOLES: Any = (
    ((5, 12), (0, 0)), ((6, 12), (1, 0)), ((5, 1300), (0, 1288)), ((99, 70), (94, 1)),
    ((2**30, 2**30), (2**29, 5)), ((2**31, 2**31), (0, 0)), ((2**31, 2**32 - 1), (7, 7)),
    ((2**40, 2**40), (0, 0)), ((5, 12), (0, 1)), ((5, 12), (2**64, 0)), ((5, 12), (-1, 0)),
    ((5, 12), (0,)), ((5,), (0, 0)), (5, 12), ((5, 12), (0, 0), ()), ((5, 12), None), ("ab", "cd"),
    [[6, 12], [1, 0]], ((np.int64(6), 12), (1, 0)), ((True, 12), (0, 0)), ((6, 12), (1.0, 0)),
)  # fmt: skip


@parametrize([case for case in CASES if case.takes("window") and case.decisions is None])
def test_the_fronts_of_windows_agree_with_python(case: Case) -> None:
    def answers(call: Any) -> Iterator[Any]:
        x = dict.fromkeys(case.variant.operands, X)
        if case.takes("bias"):
            x["bias"] = X[0]
        for window, key in itertools.product(WHOLES, (Key(1, 2, 3), Key(1, 2, 2**64 - 6930))):
            rngs: Any = (key,) if case.repeats else (key, Generator(1, 2, 4090))
            for rng, training in itertools.product(rngs, (True, False)):
                more = {case.rate: 0.4, "training": training, **case.options}
                yield told(call, rng=rng, window=window, **x, **more)

    agree(answers, case.function)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_fronts_of_biases_agree_with_python(
    dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every length beside a word's and a block's, in small calls and large ones."""
    shapes = ((3, 5), (1, 64), (700, 63), (31, 1000), (3, 5000), (9000, 1), (20_000,), (2, 40, 129))

    def answers(forward: Any, backward: Any) -> Iterator[Any]:
        source = np.random.default_rng(2)
        for shape, act in itertools.product(shapes, ("none", "gelu")):
            x, bias = (source.standard_normal(s).astype(dtype) for s in (shape, shape[-1:]))
            for b, p, rng in itertools.product((bias, None), (0.0, 0.3), (Key(1, 2, 77),)):
                yield told(forward, x, b, act, p, rng=rng)
                yield told(forward, x.copy(), b, act, p, rng=rng, out=np.empty_like(x))
                yield told(backward, x, x, b, act, p, rng=rng)

    functions = fastdrop.bias_act_dropout, fastdrop.bias_act_dropout_backward
    wanted = list(answers(*map(general, functions)))
    if backends.name_of(backends.active()) == "c":
        monkeypatch.setattr(pipeline, "lengthened", None)  # Python's way would call it
    assert list(answers(*functions)) == wanted


ROWS = (
    (1, 3), (2, 2), (5, 1), (50, 1), (127, 5), (128, 63), (129, 5), (300, 40), (3, 0, 4), (4,),
    (2, 3, 5), (2, 0), (0, 4),
)  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_fronts_of_sums_agree_with_python(dtype: Any) -> None:
    def summands() -> Iterator[np.ndarray]:
        source = np.random.default_rng(8)
        for shape in ROWS:
            x = (source.standard_normal(shape) * 10 ** source.uniform(-3, 3, shape)).astype(dtype)
            yield from (x, np.where(x < 0, dtype(-0.0), x), -0.0 * np.abs(x), np.asfortranarray(x))
        for top in ([3e38, 3e38], [np.inf, -np.inf], [np.inf, np.inf], [np.nan, 1]):
            yield np.column_stack([np.array(top, np.float32), np.ones(2, np.float32)])

    def answers(sums: Any) -> Iterator[Any]:
        for dx in summands():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                y = sums(dx)
            yield type(y), y.dtype, y.shape, y.tobytes(), [str(w.message) for w in caught]

    agree(answers, activations._sum_of_rows)


@needs_fronts
def test_the_front_of_sums_takes_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "np", None)
    for dtype in (np.float32, np.float64):
        x = np.ones((3, 4), dtype)
        _, dbias = fastdrop.bias_act_dropout_backward(x, x, x[0], "relu", 0.0, rng=1)
        assert dbias.tolist() == [3, 3, 3, 3]


def test_the_fronts_of_softmax_agree() -> None:
    def answers(softmax: Any, gradient: Any) -> Iterator[Any]:
        for axis, dtype, p, training in itertools.product(
            (0, 1), (np.float16, np.float32, np.float64), (0.1, 0.5), (True, False)
        ):
            more: Any = {"training": training, "axis": axis}
            for out_is in ("new", "scores", "dy", "apart", "transposed"):
                x, dy = X.astype(dtype), X[::-1].astype(dtype)
                apart = np.empty_like(x, order="F" if out_is == "transposed" else "C")
                out = {"new": None, "scores": x, "dy": dy}.get(out_is, apart)
                yield told(gradient, dy, x, p, rng=Key(1, 2, 3), out=out, **more)
                x, rng = X.astype(dtype), Generator(1, 2, 4090) if training else None
                out = {"new": None, "scores": x, "dy": None}.get(out_is, apart)
                yield told(softmax, x, p, rng=rng, out=out, **more)

    agree(answers, fastdrop.softmax_dropout, fastdrop.softmax_dropout_backward)


# --- Arrays of any strides, and numbers and seeds of other types ----------------------------------

ORDERS: Any = {
    "transposed": lambda shape: np.zeros(shape[::-1], np.float32).T,
    "spread out": lambda shape: np.zeros((*shape, 2), np.float32)[..., 1],
    "backwards": lambda shape: np.flip(np.zeros(shape, np.float32)),
    "one row": lambda shape: np.broadcast_to(np.zeros(shape[-1:], np.float32), shape),
    "windows": lambda shape: as_strided(np.zeros(999, np.float32), shape, (4,) * len(shape)),
    "woven": lambda shape: as_strided(
        np.zeros(999, np.float32), shape, (12, *[8] * (len(shape) - 1))
    ),
}  # fmt: skip
"""Arrays of a shape; elements of the last three share memory."""


@parametrize([case for case in CASES if len(case.shape) > 1])
@pytest.mark.parametrize("order", ORDERS)
def test_the_fronts_of_other_orders_agree_with_python(case: Case, order: str) -> None:
    case = small(case)
    first = case.variant.operands[0]

    def laid(x: Any) -> Any:
        y = ORDERS[order](x.shape) if x.ndim else x
        if y is not x and y.flags.writeable:
            y[...] = x
        return y

    def answers(call: Any) -> Iterator[Any]:
        more = {case.rate: 0.4, **case.options}
        operands = case.operands()
        yield told(call, **{n: laid(x) for n, x in operands.items()}, rng=Key(1, 2, 3), **more)
        if not case.takes("out"):
            return
        for same in ("none", "itself", "view", "reversed", "shifted"):
            x = {name: laid(v) for name, v in operands.items()}
            flat = np.zeros(2 * x[first].size + 1, np.float32)
            out = {
                "none": laid(operands[first]), "itself": x[first], "view": x[first][...],
                "reversed": x[first][::-1],
                "shifted": flat[1 : 1 + x[first].size].reshape(case.shape),
            }[same]  # fmt: skip
            if same == "shifted":
                x[first] = flat[: x[first].size].reshape(case.shape)
            yield told(call, **x, rng=Key(1, 2, 3), out=out, **more)

    agree(answers, case.function)


@needs_fronts
@parametrize([case for case in CASES if len(case.shape) > 1])
@pytest.mark.parametrize("order", ["transposed", "spread out", "backwards"])
def test_the_fronts_take_any_strides(
    case: Case, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "checked", refuse)
    operands = {
        name: ORDERS[order](shape) if shape == case.shape else np.zeros(shape, np.float32)
        for name, shape in case.shapes.items()
    }
    case(operands, 0.4, rng=Key(1))
    if case.takes("out"):
        case(operands, 0.4, rng=Key(1), out=ORDERS[order](case.shape))
        case(operands, 0.4, rng=Key(1), out=operands[case.variant.operands[0]])


NUMBERS: Any = (
    0, 1, True, np.True_, np.float16(0.3), np.float32(0.3), np.float64(0.3), np.longdouble(0.3),
    np.int64(1), np.array(0.3), Fraction(1, 3), Decimal(1), 2, -1, 10**400, math.nan, "0.3", None,
)  # fmt: skip
SEEDS: Any = (
    0, 7, 2**64 - 1, 2**64, -1, True, np.int64(7), np.uint64(7), 7.0, "7", None, Key(7),
    Generator(7, 1, 4090), np.random.SeedSequence(7),
)  # fmt: skip


@parametrize([*CASES, Case("softmax_dropout", {"scores": (5, 12)}, scaled, None)])
def test_the_fronts_of_numbers_and_seeds_agree_with_python(case: Case) -> None:
    case = small(case) if case.shape else case

    def answers(call: Any) -> Iterator[Any]:
        x = case.operands()
        for number, training in itertools.product(NUMBERS, (True, False)):
            more = {case.rate: number, "training": training, **case.options}
            yield told(call, **x, rng=Key(1), **more)
        for seed in SEEDS:
            manual_seed(11)
            seed = copy.deepcopy(seed)
            yield told(call, **x, rng=seed, **{case.rate: 0.4, **case.options})
            yield repr(default_generator())

    agree(answers, case.function)


@needs_fronts
@pytest.mark.parametrize("number", [0, 1, np.float64(0.3), np.float32(0.3)])
def test_the_fronts_take_numbers_and_seeds(number: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "checked", refuse)
    for seed in (0, 2**64 - 1):
        fastdrop.dropout(X, number, rng=seed)
        fastdrop.alpha_dropout_backward(X, number, rng=seed)
