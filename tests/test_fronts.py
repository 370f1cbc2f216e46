"""`dropout` as it is compiled, and as it is in Python: the same in every case."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support import general

import fastdrop
from fastdrop import Generator, Key

without_front: Any = general(fastdrop.dropout)

X = np.random.default_rng(3).standard_normal((5, 12)).astype(np.float32)


def test_compiled_and_python_fronts_agree() -> None:
    makers: Any = (lambda: 1, lambda: Key(1, 2, 3), lambda: Generator(4))
    for x in (X, X.T, X.astype(np.float16), X.astype(float), X[:0]):
        for p in (0, 0.0, 0.3, np.float32(0.3), 1):
            for make_rng in makers:
                a = fastdrop.dropout(x, p, rng=make_rng())
                b = without_front(x, p, rng=make_rng())
                assert a.dtype == b.dtype
                assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    ("shape", "noise_shape"),
    [
        ((3, 5), (3, 1)), ((3, 5), (None, 1)), ((3, 5), (5,)), ((3, 5), (1, 1)), ((3, 5), ()),
        ((3, 5), (3, 5)), ((3, 1, 5), (3, 1, 5)), ((3, 1, 5), (None, 1, None)), ((3, 5), [3, 1]),
        ((3, 5), (np.int64(3), 1)), ((0, 5), (1, 5)), ((4, 7, 1300), (4, 1, 1300)),
        ((5000, 2), (5000, 1)), ((2, 3, 4, 5, 6), (2, 1, 4, 1, 6)),
    ],
)  # fmt: skip
def test_compiled_and_python_fronts_agree_on_shared_decisions(
    shape: tuple[int, ...], noise_shape: Any
) -> None:
    for dtype in (np.float32, np.float64, np.float16):
        x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
        ours, theirs = Generator(4, 5, 100), Generator(4, 5, 100)
        for p in (0.0, 0.3, 0.999):
            a = fastdrop.dropout(x, p, rng=ours, noise_shape=noise_shape)
            b = without_front(x, p, rng=theirs, noise_shape=noise_shape)
            assert a.tobytes() == b.tobytes()
            assert ours.state == theirs.state
            for out in (np.empty_like(x), x.copy()):
                source = x if p < 0.5 else out
                source[...] = x
                fastdrop.dropout(source, p, rng=Key(1, 2, 3), noise_shape=noise_shape, out=out)
                wanted = without_front(x, p, rng=Key(1, 2, 3), noise_shape=noise_shape)
                assert out.tobytes() == wanted.tobytes()


SEQUENCE = np.random.default_rng(5).standard_normal((6, 3, 4, 6)).astype(np.float32)
CASES: dict[str, tuple[Any, ...]] = {
    "alpha_dropout": (),
    "alpha_dropout_backward": (),
    "attention_dropout": (),
    "bias_act_dropout": (np.linspace(-1, 1, 6, dtype=np.float32), "gelu"),
    "drop_block2d": (),
    "drop_connect": (),
    "drop_path": (),
    "dropout": (),
    "dropout2d": (),
    "dropout_add": (-SEQUENCE,),
    "feature_alpha_dropout": (),
    "feature_alpha_dropout_backward": (),
    "gaussian_dropout": (),
    "gaussian_noise": (),
    "softmax_dropout": (),
    "variational_dropout": (),
    "zoneout": (-SEQUENCE,),
    "zoneout_backward": (),
}


@pytest.mark.parametrize("name", CASES)
def test_the_fronts_of_all_variants_agree_with_python(name: str) -> None:
    def answers(call: Any) -> Iterator[bytes]:
        for dtype, order in itertools.product(
            (np.float16, np.float32, np.float64), (np.asarray, np.transpose)
        ):
            x, *others = (
                order(v.astype(dtype)) if isinstance(v, np.ndarray) else v
                for v in (SEQUENCE, *CASES[name])
            )
            for p, training in itertools.product((0.1, 0.5), (True, False)):
                y = call(x, *others, p, training=training, rng=Key(1, 2, 4090))
                yield from (part.tobytes() for part in (y if type(y) is tuple else (y,)))
                if name.endswith("_backward"):
                    continue
                out, generator = np.empty_like(x), Generator(3, 4, 5)
                assert call(x, *others, p, training=training, rng=generator, out=out) is out
                yield out.tobytes() + str(generator.state).encode()
                out[...] = x
                call(out, *others, p, training=training, rng=Key(9), out=out)
                yield out.tobytes()

    function: Any = getattr(fastdrop, name)
    assert list(answers(function)) == list(answers(general(function)))
