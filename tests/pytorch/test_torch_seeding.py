"""Which masks are drawn: by PyTorch's generators, across threads, processes and workers."""

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fresh import in_child, output
from support import core_or_skip
from test_pages import DOCS, blocks

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from drawing import FUNCTIONS  # noqa: E402
from enabling import seeded  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402

ONES = torch.ones(1000)
PAGE = DOCS / "guide" / "workers.md"


def drawn() -> "torch.Tensor":
    return ft.dropout(ONES, 0.5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_rule_for_seeds(name: str) -> None:
    """A call draws one number, whatever p is: a generator's state decides all masks from there."""
    x, default, own = torch.rand(4, 4) + 1, torch.default_generator, torch.Generator()
    for generator, given in ((default, {}), (own, {"generator": own})):
        for p in (0.1, 0.9) if name == "gaussian_dropout" else (0.1, 0.9, 1.0):
            generator.manual_seed(1)
            seed = int(torch.randint(0, 2**63 - 1, (), generator=generator))
            after, other = generator.get_state(), default.get_state()
            generator.manual_seed(1)
            y = FUNCTIONS[name](x, p, **given)
            assert torch.equal(y, FUNCTIONS[name](x, p, seed=seed))
            assert torch.equal(generator.get_state(), after)
            assert generator is default or torch.equal(default.get_state(), other)


def test_threads_draw_each_its_own() -> None:
    with ThreadPoolExecutor(4) as threads:
        found = [*threads.map(lambda _: [drawn() for _ in range(50)], range(4))]
    assert len({mask.numpy().tobytes() for masks in found for mask in masks}) == 200


def test_every_number_of_threads_gives_the_same_masks() -> None:
    x = torch.ones(3_000_000)
    before = torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            results.append((ft.dropout(x, 0.5, seed=1), ft.dropout(x[::2], 0.5, seed=1)))
    finally:
        torch.set_num_threads(before)
    for one in results[1:]:
        assert all(map(torch.equal, one, results[0]))


@pytest.mark.parametrize("threads", [1, 2])
def test_pytorchs_threads_are_the_limit(threads: int) -> None:
    core_or_skip()
    started = output(
        f"""
        import os, torch, fastdrop, fastdrop.torch
        fastdrop.set_num_threads(4)
        torch.set_num_threads({threads})
        x = torch.ones(4_000_000)
        before = len(os.listdir("/proc/self/task"))
        fastdrop.torch.dropout(x, 0.5)
        fastdrop.torch.dropout(x.view(2000, 2000).T, 0.5)
        fastdrop.torch.dropout2d(x.view(4, 10, 100, 1000), 0.5)
        started = lambda: len(os.listdir("/proc/self/task")) - before
        print(started())
        for _ in range(10_000):  # while helpers cost more than they gave, the caller works alone
            fastdrop.dropout_(x.numpy(), 0.5)
            if started() == 3:
                break
        print(started())
        """
    )
    assert started.split() == [str(threads - 1), "3"]


def item(_: list[int]) -> "torch.Tensor":
    return drawn()


@pytest.mark.parametrize("workers", [0, 2])
def test_data_loaders(workers: int) -> None:
    loader = torch.utils.data.DataLoader(
        range(8), num_workers=workers, collate_fn=item, timeout=60 * (workers > 0)
    )
    epochs = lambda: [*loader, *loader]  # noqa: E731
    masks = seeded(epochs)
    assert all(map(torch.equal, masks, seeded(epochs)))
    assert len({mask.numpy().tobytes() for mask in masks}) == 16, "each item has one of its own"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_goes_on_as_pytorchs_generator_does() -> None:
    torch.manual_seed(7)
    large = torch.ones(3_000_000)
    ft.dropout(large, 0.5)  # the pool has threads now

    def draw() -> int:
        return zlib.crc32(ft.dropout(large, 0.5).numpy())

    assert in_child(draw) == str(draw())


@pytest.mark.heavy
def test_the_compiler_is_not_imported() -> None:
    """It takes longer than the rest of PyTorch; who compiles imports it."""
    code = """
    import sys
    import torch
    import fastdrop.torch as ft
    x = torch.ones(2, 4, 4, requires_grad=True)
    y = ft.scaled_dot_product_attention(x, ft.dropout(x), x, x.detach(), 0.5)
    y.sum().backward()
    with ft.enable():
        torch.nn.Dropout(0.5)(x)
    print("torch._dynamo" in sys.modules)
    """
    assert output(code) == "False"


# --- workers that draw with the NumPy functions, by what the guide says --------------------------


@pytest.fixture
def guide() -> dict[str, Any]:
    """What the guide's block about data loaders defines."""
    if not hasattr(os, "fork") or not PAGE.exists():
        pytest.skip("this system has no fork, or an installed fastdrop is tested alone")
    (code,) = (code for _, _, code in blocks(PAGE) if "worker_init_fn" in code)
    namespace: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), namespace)
    return namespace


def noisy_epochs(guide: dict[str, Any], seeded: bool, seed: int = 1) -> list[np.ndarray]:
    """The samples of two epochs, drawn by two workers: rows 0, 2, ... by the first of them."""
    torch.manual_seed(seed)
    fastdrop.manual_seed(seed)
    loader = torch.utils.data.DataLoader(
        guide["Noisy"](),
        num_workers=2,
        worker_init_fn=guide["seed_worker"] if seeded else None,
        multiprocessing_context="fork",
    )
    return [np.concatenate([batch.numpy() for batch in loader]) for _ in range(2)]


@pytest.mark.heavy
def test_workers_by_the_guide(guide: dict[str, Any]) -> None:
    first, second = noisy_epochs(guide, seeded=False)
    assert np.array_equal(first[::2], first[1::2]), "workers repeat each other"
    assert np.array_equal(first, second), "and so do epochs"
    found, again, other = (noisy_epochs(guide, True, seed) for seed in (1, 1, 2))
    rows = np.concatenate(found)
    # The masks, and the noise where nothing was dropped.
    assert len({(row == 0).tobytes() for row in rows}) == len(rows)
    assert len({row.tobytes() for row in rows}) == len(rows)
    assert np.array_equal(found, again)
    assert not np.array_equal(found[0], other[0])
