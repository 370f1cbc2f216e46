"""Copies of generators and layers: what they share, what they draw, and how each gets its own."""

import copy
import itertools
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from cases import equal
from fresh import output
from surface import ALL_LAYERS, LayerCase

from fastdrop import Generator


def pickled(layer: Any) -> Any:
    return pickle.loads(pickle.dumps(layer))


@pytest.mark.parametrize("twin", [copy.deepcopy, pickled])
@pytest.mark.parametrize("case", ALL_LAYERS)
def test_a_copied_layer_draws_the_same_until_it_gets_a_stream(case: LayerCase, twin: Any) -> None:
    layer = case.make()
    operands, dy = case.operands().values(), case.gradient()
    layer(*operands)
    other = twin(layer)
    assert equal(other.backward(dy), layer.backward(dy))
    assert other.generator is not layer.generator
    assert np.array_equal(other(*operands), layer(*operands))
    other.generator.state = layer.generator.spawn(1)[0].state
    mine = [layer(*operands) for _ in range(9)]
    others = [other(*operands) for _ in range(9)]
    assert any(not np.array_equal(a, b) for a, b in zip(mine, others, strict=True))


@pytest.mark.parametrize("case", ALL_LAYERS)
def test_a_shallow_copy_shares_the_generator_and_remembers_for_itself(case: LayerCase) -> None:
    layer = case.make()
    operands, dy = case.operands().values(), case.gradient()
    layer(*operands)
    mine = copy.deepcopy(layer.backward(dy))
    other = copy.copy(layer)
    assert type(other) is type(layer)
    assert other.generator is layer.generator
    for _ in range(9):
        other(*operands)
    assert equal(mine, layer.backward(dy))


@pytest.mark.parametrize("case", ALL_LAYERS)
def test_threads_that_share_a_generator_never_share_a_mask(case: LayerCase) -> None:
    """Each thread with a layer of its own, all on one generator: together they use it once."""
    generator, alone = Generator(1), Generator(1)
    single = case.make(rng=alone)
    operands = case.operands().values()
    wanted = sorted(np.asarray(single(*operands)).tobytes() for _ in range(40))

    def work(_: int) -> list[bytes]:
        layer = case.make(rng=generator)
        return [np.asarray(layer(*operands)).tobytes() for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        found = itertools.chain.from_iterable(pool.map(work, range(4)))
    assert sorted(found) == wanted
    assert generator.state == alone.state


HOOK = """
import os, secrets
import fastdrop
os.register_at_fork(after_in_child=lambda: fastdrop.manual_seed(secrets.randbits(64)))
print(fastdrop.default_generator().seed, flush=True)
for _ in range(2):
    child = os.fork()
    if child == 0:
        print(fastdrop.default_generator().seed, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_the_guides_hook_gives_each_child_a_seed() -> None:
    assert len(set(output(HOOK).split())) == 3
