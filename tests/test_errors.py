"""Bad arrays: dtypes, byte order, what `out` and an array to change in place may be."""

import numpy as np
import pytest
from bad_input import FRONTS, UNKNOWN, Bad, check
from support import general

import fastdrop

DTYPES = "x has to have dtype float16, bfloat16, float32 or float64, but got "
BAD_DTYPES = [
    ("int32", "int32"),
    ("int64", "int64"),
    ("uint8", "uint8"),
    ("bool", "bool"),
    ("complex64", "complex64"),
    ("complex128", "complex128"),
    ("object", "object"),
    ("longdouble", str(np.dtype(np.longdouble))),
    ("U3", "<U3"),
    ("S2", "|S2"),
    ("datetime64[s]", "datetime64[s]"),
    ("V2", "|V2"),
]

CASES = [
    *(
        Bad(
            f"dtype-{dtype}",
            lambda f, s, d=dtype: f.dropout(s.keep(np.empty((3, 4), d)), rng=s.rng),
            TypeError,
            DTYPES + came,
        )
        for dtype, came in BAD_DTYPES
    ),
    *(
        Bad(
            f"dtype-inplace-{dtype}",
            lambda f, s, d=dtype: f.dropout_(s.full(d), rng=s.rng),
            TypeError,
            DTYPES + dtype,
        )
        for dtype in ("int64", "bool", "complex64")
    ),
    *(
        Bad(
            f"dtype-apply-{dtype}",
            lambda f, s, d=dtype: f.apply_mask(s.full(d), np.ones((3, 4), bool), 0.5, out=s.out),
            TypeError,
            DTYPES + dtype,
        )
        for dtype in ("int64", "object")
    ),
    *(
        Bad(
            f"byte-order-{name}",
            lambda f, s, d=dtype: f.dropout(s.full(d), rng=s.rng),
            TypeError,
            f"x has to be in the machine's native byte order, but got dtype {dtype}",
        )
        for name, dtype in (
            (kind, str(np.dtype(kind).newbyteorder("S"))) for kind in ("f2", "f4", "f8")
        )
    ),
    Bad(
        "byte-order-integer",
        lambda f, s: f.dropout(s.full(np.dtype("i4").newbyteorder("S")), rng=s.rng),
        TypeError,
        DTYPES,
    ),
    Bad("list-of-ints", lambda f, s: f.dropout([1, 2], rng=s.rng), TypeError, DTYPES + "int64"),
    Bad(
        "ragged",
        lambda f, s: f.dropout([[1.0], [1.0, 2.0]], rng=s.rng),
        ValueError,
        "x has to be an array or something that numpy.asarray makes one of, but got list",
    ),
    Bad("none", lambda f, s: f.dropout(None, rng=s.rng), TypeError, f"x {UNKNOWN}NoneType"),
    Bad("string", lambda f, s: f.dropout("abc", rng=s.rng), TypeError, DTYPES + "<U3"),
    Bad("anything", lambda f, s: f.dropout(object(), rng=s.rng), TypeError, f"x {UNKNOWN}object"),
    # evaluation checks as training does
    Bad("eval-dtype", lambda f, s: f.dropout(s.full(int), 0.5, False), TypeError, DTYPES + "int64"),
    Bad(
        "eval-p",
        lambda f, s: f.dropout(s.x, 2.0, False, rng=s.rng),
        ValueError,
        "dropout probability has to be between 0 and 1, but got 2.0",
    ),
    Bad(
        "eval-mode",
        lambda f, s: f.dropout(s.x, 0.5, False, mode="x"),
        ValueError,
        'mode has to be "inverted" or "standard", but got \'x\'',
    ),
    Bad(
        "eval-rng",
        lambda f, s: f.dropout(s.x, 0.5, False, rng="x"),
        TypeError,
        "rng has to be None, an integer seed, a fastdrop Key or Generator",
    ),
    Bad(
        "eval-read-only",
        lambda f, s: f.dropout_(s.read_only(), 0.5, False),
        ValueError,
        "x has to be writeable, but got a read-only array",
    ),
    Bad(
        "eval-noise-shape",
        lambda f, s: f.dropout(s.x, 0.5, False, noise_shape=(2, 4)),
        ValueError,
        "noise_shape has to be broadcastable to x's shape (3, 4), but got (2, 4)",
    ),
    # out
    Bad(
        "out-list",
        lambda f, s: f.dropout(s.x, rng=s.rng, out=[0.0] * 12),
        TypeError,
        "out has to be a NumPy array, but got list",
    ),
    Bad(
        "out-dtype",
        lambda f, s: f.dropout(s.x, rng=s.rng, out=s.full(np.float64)),
        TypeError,
        "out has to have x's dtype float32, but got float64",
    ),
    Bad(
        "out-dtype-of-half",
        lambda f, s: f.dropout(s.full(np.float16), rng=s.rng, out=s.full(np.uint16)),
        TypeError,
        "out has to have x's dtype float16, but got uint16",
    ),
    Bad(
        "out-byte-order",
        lambda f, s: f.dropout(s.x, rng=s.rng, out=s.full(np.dtype(np.float32).newbyteorder("S"))),
        TypeError,
        "out has to have x's dtype float32, but got " + str(np.dtype("f4").newbyteorder("S")),
    ),
    Bad(
        "out-shape",
        lambda f, s: f.dropout(s.x, rng=s.rng, out=s.full(np.float32, (4, 3))),
        ValueError,
        "out has to have x's shape (3, 4), but got (4, 3)",
    ),
    Bad(
        "out-size",
        lambda f, s: f.dropout(s.x, rng=s.rng, out=s.full(np.float32, (12,))),
        ValueError,
        "out has to have x's shape (3, 4), but got (12,)",
    ),
    Bad(
        "out-read-only",
        lambda f, s: f.dropout(s.x, rng=s.rng, out=s.read_only()),
        ValueError,
        "out has to be writeable, but got a read-only array",
    ),
    Bad(
        "out-is-read-only-x",
        lambda f, s: (lambda x: f.dropout(x, rng=s.rng, out=x))(s.read_only()),
        ValueError,
        "out has to be writeable, but got a read-only array",
    ),
    Bad(
        "out-partial-overlap",
        lambda f, s: f.dropout(s.buffer[:32], rng=s.rng, out=s.buffer[1:33]),
        ValueError,
        "out has to be x itself or share no memory with it, but got an array that overlaps",
    ),
    Bad(
        "out-partial-overlap-unaligned",
        lambda f, s: f.dropout(
            s.buffer[:8], rng=s.rng, out=s.buffer.view(np.uint8)[2:34].view(np.float32)
        ),
        ValueError,
        "out has to be x itself or share no memory with it, but got an array that overlaps",
    ),
    Bad(
        "out-reversed",
        lambda f, s: f.dropout(s.buffer, rng=s.rng, out=s.buffer[::-1]),
        ValueError,
        "out has to be x itself or share no memory with it, but got an array that overlaps",
    ),
    Bad(
        "out-transposed",
        lambda f, s: (lambda a: f.dropout(a, rng=s.rng, out=a.T))(s.buffer.reshape(8, 8)),
        ValueError,
        "out has to be x itself or share no memory with it, but got an array that overlaps",
    ),
    Bad(
        "out-overlaps-broadcast-x",
        lambda f, s: f.dropout(
            np.broadcast_to(s.buffer[:4], (3, 4)), rng=s.rng, out=s.buffer[:12].reshape(3, 4)
        ),
        ValueError,
        "out has to be x itself or share no memory with it, but got an array that overlaps",
    ),
    Bad(
        "out-repeated",
        lambda f, s: f.dropout(s.x, rng=s.rng, out=s.repeated()),
        ValueError,
        "out has to have each element at a place of its own in memory, but got an array that "
        "overlaps itself (shape (3, 4), strides (0, 4))",
    ),
    Bad(
        "out-sliding",
        lambda f, s: f.dropout(s.x, rng=s.rng, out=s.sliding()),
        ValueError,
        "out has to have each element at a place of its own in memory, but got an array that "
        "overlaps itself (shape (3, 4), strides (4, 4))",
    ),
    Bad(
        "out-apply-shape",
        lambda f, s: f.apply_mask(s.x, np.ones((3, 4), bool), 0.5, out=s.full("f4", (4, 3))),
        ValueError,
        "out has to have x's shape (3, 4), but got (4, 3)",
    ),
    Bad(
        "out-apply-overlaps-mask",
        lambda f, s: (
            lambda data: f.apply_mask(
                s.full("f4", (8,)), data.view(np.uint8)[:1], 0.5, out=data[:8]
            )
        )(s.keep(np.zeros(16, np.float32))),
        ValueError,
        "mask has to share no memory with the array that is written, but got one that overlaps it",
    ),
    # in place
    Bad(
        "inplace-list",
        lambda f, s: f.dropout_([1.0, 2.0], rng=s.rng),
        TypeError,
        "x has to be a NumPy array to be changed in place, but got list",
    ),
    Bad(
        "inplace-scalar",
        lambda f, s: f.dropout_(np.float32(1), rng=s.rng),
        TypeError,
        "x has to be a NumPy array to be changed in place, but got numpy.float32",
    ),
    Bad(
        "inplace-read-only",
        lambda f, s: f.dropout_(s.read_only(), rng=s.rng),
        ValueError,
        "x has to be writeable, but got a read-only array",
    ),
    Bad(
        "inplace-repeated",
        lambda f, s: f.dropout_(s.repeated(), rng=s.rng),
        ValueError,
        "x has to have each element at a place of its own in memory, but got an array that",
    ),
    Bad(
        "inplace-sliding",
        lambda f, s: f.dropout_(s.sliding(), rng=s.rng),
        ValueError,
        "x has to have each element at a place of its own in memory, but got an array that",
    ),
    Bad(
        "inplace-byte-order",
        lambda f, s: f.dropout_(s.full(np.dtype("f8").newbyteorder("S")), rng=s.rng),
        TypeError,
        "x has to be in the machine's native byte order, but got dtype",
    ),
]


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_arrays(case: Bad, front: str) -> None:
    check(case, front)


@pytest.mark.parametrize("name", ["dropout", "dropout_"])
def test_bfloat16_in_another_byte_order(name: str) -> None:
    # NumPy knows such a dtype too; its name and size are those of the native one.
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.ones(8, bfloat16)
    x = x.astype(x.dtype.newbyteorder("S"))
    before, rng = x.tobytes(), fastdrop.Generator(1)
    function = getattr(fastdrop, name)
    for front in (function, general(function)):
        with pytest.raises(TypeError, match=r"^x has to be in the machine's native byte order"):
            front(x, 0.5, rng=rng)
    assert x.tobytes() == before
    assert rng.offset == 0
