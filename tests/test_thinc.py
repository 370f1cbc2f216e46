"""thinc's dropout, computed here: masks, layers, seeds, and thinc's own when it has ended."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh import failing, last_error, their_tests
from switching import check_handles

pytest.importorskip("thinc", reason="thinc is not installed")

import thinc
from thinc.api import (
    Adam,
    Dropout,
    NumpyOps,
    Relu,
    Softmax,
    chain,
    fix_random_seed,
    to_categorical,
    use_ops,
)
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


def mask(shape: Any = (300, 200), drop: Any = 0.3, seed: int = 1) -> Any:
    fix_random_seed(seed)
    return OPS.get_dropout_mask(shape, drop)


@pytest.mark.parametrize("drop", [0.001, 0.2, 0.5, np.float32(0.3), 0.9])
@pytest.mark.parametrize("shape", [(300, 200), (60_000,), (20, 30, 100)])
def test_masks_are_thincs_but_for_which(shape: tuple[int, ...], drop: float) -> None:
    theirs = mask(shape, drop)
    with fastdrop.thinc.enable():
        ours = mask(shape, drop)
    assert ours.dtype == theirs.dtype == np.float32
    assert ours.shape == theirs.shape
    assert np.array_equal(np.unique(ours), np.unique(theirs))
    # 60,000 decisions: five standard deviations are passed once in 1.7 million streams.
    deviation = np.sqrt(drop * (1 - drop) / ours.size)
    assert abs((ours == 0).mean() - drop) < 5 * deviation
    assert not np.array_equal(ours, theirs)


@pytest.mark.parametrize("drop", [None, 0.0, -1.0, 1.0, 2.0, float("nan")])
def test_what_draws_nothing_is_thincs(drop: float | None) -> None:
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = mask((3, 4), drop)
        with fastdrop.thinc.enable():
            ours = mask((3, 4), drop)
    assert np.array_equal(ours, theirs, equal_nan=True)
    assert ours.dtype == theirs.dtype


def test_a_seed_repeats() -> None:
    """fix_random_seed is what spaCy's training calls with the seed of its configuration."""
    with fastdrop.thinc.enable():
        first, second = mask(), OPS.get_dropout_mask((300, 200), 0.3)
        again = mask()
        other = mask(seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_any_bit_generator_gives_keys() -> None:
    """NumPy lets its global generator be replaced; raw numbers have 64 bits then."""
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        with fastdrop.thinc.enable():
            masks = [OPS.get_dropout_mask((64,), 0.5) for _ in range(3)]
    finally:
        np.random.set_bit_generator(before)
    assert len({m.tobytes() for m in masks}) == 3


def test_bits_are_fastdrops() -> None:
    with fastdrop.thinc.enable():
        ours = mask(drop=0.3)
    fix_random_seed(1)
    high, low = np.random.get_bit_generator().random_raw(2).tolist()
    key = fastdrop.Key(high << 32 | low)
    assert np.array_equal(ours, fastdrop.dropout(np.ones((300, 200), np.float32), 0.3, rng=key))


def of(rows: np.ndarray) -> list[Any]:
    """Each kind of data that the layer takes."""
    lengths = np.array([2, 4], np.int32)
    cube = rows.reshape(2, 3, -1).copy()
    sizes = np.array([3, 3], np.int32)
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
    scale = np.float32(1 / 0.75)
    assert np.array_equal(flat(y), flat(x) * flat(dx))
    assert set(np.unique(flat(dx))) == {0, scale}
    assert np.array_equal(flat(unchanged), flat(x))
    assert abs((flat(dx) == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 1200)


def test_models_of_before_and_after() -> None:
    """The method is looked up in each call: `enable` reaches what exists, `disable` lets it go."""
    x = np.ones((50, 40), np.float32)
    model = Dropout(0.5)

    def drawn() -> np.ndarray:
        fix_random_seed(3)
        y, _ = model(x, is_train=True)
        return y

    theirs = drawn()
    with fastdrop.thinc.enable():
        ours = drawn()
        with use_ops("numpy"):
            assert np.array_equal(drawn(), ours)
    assert not np.array_equal(ours, theirs)
    assert np.array_equal(drawn(), theirs)


def test_handles() -> None:
    check_handles(fastdrop.thinc, mask)
    theirs = mask()
    with fastdrop.thinc.enable():
        kept = NumpyOps.get_dropout_mask
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


def test_a_network_learns() -> None:
    """Two rings of points: without hidden units about half of them would be wrong."""
    rng = np.random.default_rng(0)
    angle, label = rng.uniform(0, 2 * np.pi, 400), np.arange(400) % 2
    radius = 1 + label + rng.normal(0, 0.1, 400)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    y = to_categorical(label, 2)
    fix_random_seed(0)
    model = chain(Relu(64, dropout=0.2), Relu(64, dropout=0.2), Softmax())
    model.initialize(x, y)
    optimizer = Adam(0.01)
    with fastdrop.thinc.enable():
        for _ in range(60):
            guess, backprop = model.begin_update(x)
            backprop((guess - y) / 400)
            model.finish_update(optimizer)
    assert (model.predict(x).argmax(axis=1) == label).mean() > 0.95


def test_docstrings() -> None:
    found = doctest.testmod(fastdrop.thinc)
    assert found.attempted >= 9
    assert found.failed == 0


def test_without_thinc() -> None:
    code = "import sys; sys.modules['thinc'] = None; import fastdrop.thinc"
    needs = "fastdrop.thinc needs thinc: pip install 'fastdrop-kernels[thinc]'"
    assert needs in last_error(code)


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
        drawn = re.search(r"masks drawn by fastdrop: (\d+)", words)
        assert drawn
        assert int(drawn[1]) >= 8
