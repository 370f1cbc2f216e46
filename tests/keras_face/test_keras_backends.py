"""One seed, one mask: the same bits on every backend, a process for each."""

import importlib.util
from pathlib import Path

import pytest
from fresh import run

# What Keras imports for a backend: parts of the one for NumPy are JAX's.
NEEDED = {"numpy": ("jax",), "torch": ("torch",), "jax": ("jax",)}

CODE = """
    import hashlib, json, sys
    import numpy as np, keras
    sys.path.insert(0, {folder!r})
    from on_keras import CASES, fk, numbers, numpy

    found = {{}}
    for number, case in enumerate(CASES):
        layer = case.make(seed=11)
        for call in range(2):
            y = numpy(layer(numbers(*case.shape), training=True))
            found[f"{{number}} {{call}}"] = hashlib.sha256(y.tobytes()).hexdigest()
    keras.utils.set_random_seed(5)
    with fk.enable():
        layer = keras.layers.Dropout(0.3)
        y = numpy(layer(numbers(1000), training=True))
        found["without a seed"] = hashlib.sha256(y.tobytes()).hexdigest()
    print(json.dumps(found))
"""


@pytest.mark.heavy
def test_the_same_bits() -> None:
    pytest.importorskip("keras", exc_type=ImportError)
    said = {}
    for backend, needed in NEEDED.items():
        if all(importlib.util.find_spec(module) is not None for module in needed):
            done = run(CODE.format(folder=str(Path(__file__).parent)), KERAS_BACKEND=backend)
            assert done.returncode == 0, done.stderr
            said[backend] = done.stdout
    if len(said) < 2:
        pytest.skip("Keras has one backend here")
    assert len(set(said.values())) == 1, said
