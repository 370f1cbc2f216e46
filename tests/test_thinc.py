"""thinc's dropout, computed here: masks, layers, seeds, and thinc's own when it has ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh import failing, their_tests
from support import alike
from switching import check_handles

pytest.importorskip("thinc", reason="thinc is not installed")

import thinc
from thinc.api import Dropout, NumpyOps, fix_random_seed, use_ops
from thinc.types import Padded, Ragged

import fastdrop
import fastdrop.thinc

OPS = NumpyOps()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    state = np.random.get_state()  # noqa: NPY002 - thinc draws from it
    yield
    fastdrop.thinc.disable()
    np.random.set_state(state)  # noqa: NPY002
    assert "get_dropout_mask" not in vars(NumpyOps)


def mask(shape: Any = (300, 200), drop: Any = 0.3) -> Any:
    fix_random_seed(1)
    return OPS.get_dropout_mask(shape, drop)


@pytest.mark.parametrize("drop", [0.001, 0.2, 0.5, np.float32(0.3), 0.9])
@pytest.mark.parametrize("shape", [(300, 200), (60_000,), (20, 30, 100)])
def test_masks_have_thincs_values_and_fastdrops_bits(shape: tuple[int, ...], drop: float) -> None:
    """They follow from `fix_random_seed`, which spaCy's training calls with its seed."""
    theirs = mask(shape, drop)
    with fastdrop.thinc.enable():
        ours = mask(shape, drop)
    fix_random_seed(1)
    high, low = np.random.get_bit_generator().random_raw(2).tolist()
    key = fastdrop.Key(high << 32 | low)
    assert alike(ours, fastdrop.dropout(np.ones(shape, np.float32), drop, rng=key))
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert np.array_equal(np.unique(ours), np.unique(theirs))
    assert not np.array_equal(ours, theirs)


@pytest.mark.parametrize("drop", [None, 0.0, -1.0, 1.0, 2.0, float("nan")])
def test_what_draws_nothing_is_thincs(drop: float | None) -> None:
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = mask((3, 4), drop)
        with fastdrop.thinc.enable():
            ours = mask((3, 4), drop)
    assert np.array_equal(ours, theirs, equal_nan=True)
    assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.PCG64])
def test_any_bit_generator_gives_keys(bits: Any) -> None:
    """NumPy lets its global generator be replaced; raw numbers have 64 bits then."""
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(bits(1))
    try:
        with fastdrop.thinc.enable():
            masks = [OPS.get_dropout_mask((64,), 0.5) for _ in range(3)]
    finally:
        np.random.set_bit_generator(before)
    assert len({m.tobytes() for m in masks}) == 3


def of(rows: np.ndarray) -> list[Any]:
    """Each kind of data that the layer takes."""
    cube = rows.reshape(2, 3, -1).copy()
    lengths, sizes = np.array([2, 4], np.int32), np.array([3, 3], np.int32)
    return [rows, [rows[:2], rows[2:]], Ragged(rows, lengths), Padded(cube, sizes, sizes, sizes)]


def flat(data: Any) -> np.ndarray:
    if isinstance(data, list):
        return np.concatenate([part.ravel() for part in data])
    return np.ravel(data if isinstance(data, np.ndarray) else data.data)


@pytest.mark.parametrize("kind", range(4), ids=["array", "list", "ragged", "padded"])
def test_the_layer(kind: int) -> None:
    """What is dropped has no gradient, what is kept is scaled both ways; evaluation draws none."""
    rows = np.random.default_rng(1).standard_normal((6, 200)).astype(np.float32)
    x, dy = of(rows)[kind], of(np.ones_like(rows))[kind]
    model = Dropout(0.25)
    with fastdrop.thinc.enable():
        y, backprop = model(x, is_train=True)
        dx = backprop(dy)
        unchanged = model.predict(x)
    assert np.array_equal(flat(y), flat(x) * flat(dx))
    assert set(np.unique(flat(dx))) == {0, np.float32(1 / 0.75)}
    assert np.array_equal(flat(unchanged), flat(x))


def test_handles() -> None:
    """The method is looked up in each call: `enable` reaches what exists, `disable` lets it go."""
    x, model = np.ones((50, 40), np.float32), Dropout(0.5)

    def drawn() -> np.ndarray:
        fix_random_seed(3)
        return model(x, is_train=True)[0]

    check_handles(fastdrop.thinc, drawn)
    theirs = mask()
    with fastdrop.thinc.enable():
        kept, ours = NumpyOps.get_dropout_mask, drawn()
        with use_ops("numpy"):
            assert np.array_equal(drawn(), ours)
    fix_random_seed(1)
    assert np.array_equal(kept(OPS, (300, 200), 0.3), theirs)


def test_methods_of_the_class_and_of_subclasses(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(NumpyOps):
        get_dropout_mask = staticmethod(lambda _shape, _drop: "own")

    class Inherits(NumpyOps):
        pass

    with monkeypatch.context() as patch:
        patch.setattr(NumpyOps, "get_dropout_mask", lambda *_: "in the class", raising=False)
        with fastdrop.thinc.enable():
            assert Own().get_dropout_mask((3,), 0.5) == "own"
            assert OPS.get_dropout_mask((3,), 0.0) == "in the class"
            assert Inherits().get_dropout_mask((3,), 0.5).shape == (3,)
        assert OPS.get_dropout_mask((3,), 0.5) == "in the class"


@pytest.mark.outside
@pytest.mark.parametrize(
    "part", ["layers/test_layers_api.py", "layers/test_linear.py", "layers/test_lstm.py",
             "model/test_model.py"],
)  # fmt: skip
def test_thincs_own_tests(part: str, tmp_path: Path) -> None:
    """All that pass without us pass with us."""
    pytest.importorskip("mock", reason="thinc's own tests import mock")
    tests = Path(thinc.__file__).parent / "tests"
    plugin = Path(__file__).with_name("thinc_plugin.py")
    failed, count, words = failing(partial(their_tests, tests / part, tests, plugin, tmp_path))
    assert not failed
    assert count > 2
    if part == "layers/test_layers_api.py":
        (drawn,) = re.findall(r"masks drawn by fastdrop: (\d+)", words)
        assert int(drawn) >= 8
