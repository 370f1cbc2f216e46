"""Which masks are drawn: by PyTorch's generators, across threads, processes and workers."""

import multiprocessing
import os
import socket
import threading
import zlib
from typing import Any

import numpy as np
import pytest
from fresh import in_child, output
from support import core_or_skip

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402

import fastdrop  # noqa: E402
import fastdrop.torch as ft  # noqa: E402

ONES = torch.ones(1000)


def drawn() -> "torch.Tensor":
    return ft.dropout(ONES, 0.5)


def test_manual_seed_decides() -> None:
    torch.manual_seed(1)
    first, second = drawn(), drawn()
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(drawn(), first)
    assert torch.equal(drawn(), second)
    torch.manual_seed(2)
    assert not torch.equal(drawn(), first)


def test_the_rule_for_seeds() -> None:
    torch.manual_seed(1)
    y = drawn()
    torch.manual_seed(1)
    seed = int(torch.randint(0, 2**63 - 1, ()))
    assert np.array_equal(y.numpy(), fastdrop.dropout(ONES.numpy(), 0.5, rng=seed))
    after = torch.get_rng_state()
    torch.manual_seed(1)
    drawn()
    assert torch.equal(torch.get_rng_state(), after)


def test_rng_state_restores() -> None:
    state = torch.get_rng_state()
    first = drawn()
    torch.set_rng_state(state)
    assert torch.equal(drawn(), first)
    with torch.random.fork_rng(devices=[]):
        inner = drawn()
    assert torch.equal(drawn(), inner)


def test_a_changed_p_shifts_nothing() -> None:
    rest = []
    for p in (0.1, 0.9, 1.0):
        torch.manual_seed(1)
        ft.dropout(ONES, p)
        ft.dropout2d(ONES.view(1, 10, 10, 10), p)
        rest.append(drawn())
    assert torch.equal(rest[0], rest[1])
    assert torch.equal(rest[0], rest[2])


def test_generators_of_a_call() -> None:
    state = torch.get_rng_state()
    for make in (lambda: torch.Generator().manual_seed(3), lambda: fastdrop.Generator(3)):
        one, other = make(), make()
        first = ft.dropout(ONES, 0.5, generator=one)
        assert torch.equal(ft.dropout(ONES, 0.5, generator=other), first)
        assert not torch.equal(ft.dropout(ONES, 0.5, generator=one), first)
    assert torch.equal(torch.get_rng_state(), state)
    generator = fastdrop.Generator(3)
    ft.dropout2d(torch.ones(100, 41, 2, 2), 0.5, generator=generator)
    assert generator.offset == 8192, "a position for each channel"


def test_generators_of_a_module() -> None:
    state = torch.get_rng_state()
    for keywords in ({"seed": 5}, {"generator": fastdrop.Generator(5)}):
        module = ft.Dropout(0.5, **keywords)
        generator = fastdrop.Generator(5)
        for _ in range(3):
            assert torch.equal(module(ONES), ft.dropout(ONES, 0.5, generator=generator))
    assert torch.equal(torch.get_rng_state(), state)


def test_threads_draw_each_its_own() -> None:
    results: list[torch.Tensor] = []

    def work() -> None:
        results.extend(drawn() for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({r.numpy().tobytes() for r in results}) == 200


# --- threads of PyTorch --------------------------------------------------------------------------


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


# --- processes -----------------------------------------------------------------------------------


class Drops(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> "torch.Tensor":
        return drawn()


@pytest.mark.parametrize("workers", [0, 2])
def test_data_loaders(workers: int) -> None:
    epochs = []
    for _ in range(2):
        torch.manual_seed(7)
        loader = torch.utils.data.DataLoader(
            Drops(), num_workers=workers, timeout=60 * (workers > 0)
        )
        epochs.append([*loader, *loader])
    assert all(map(torch.equal, *epochs))
    masks = {batch.numpy().tobytes() for batch in epochs[0]}
    assert len(masks) == 16, "every item of every worker and epoch has a mask of its own"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_goes_on_as_pytorchs_generator_does() -> None:
    torch.manual_seed(7)
    large = torch.ones(3_000_000)
    ft.dropout(large, 0.5)  # the pool has threads now

    def draw() -> int:
        return zlib.crc32(ft.dropout(large, 0.5).numpy())

    theirs = in_child(draw)
    assert theirs == str(draw())


def _train(rank: int, port: int, seeds: tuple[int, int], results: Any) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), ft.Dropout(0.5), nn.Linear(8, 8, bias=False))
    parallel = nn.parallel.DistributedDataParallel(model)
    torch.manual_seed(seeds[rank])
    y = parallel(torch.ones(4, 8))
    y.sum().backward()
    results.put((rank, y.tolist(), model[2].weight.grad.tolist()))
    torch.distributed.destroy_process_group()


@pytest.mark.heavy
@pytest.mark.skipif(
    not torch.distributed.is_available(), reason="no torch.distributed in this build"
)
@pytest.mark.parametrize("seeds", [(1, 1), (1, 2)])
def test_distributed_data_parallel(seeds: tuple[int, int]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    workers = [spawn.Process(target=_train, args=(r, port, seeds, results)) for r in range(2)]
    for worker in workers:
        worker.start()
    found = {rank: rest for rank, *rest in (results.get(timeout=120) for _ in workers)}
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert (found[0][0] == found[1][0]) == (seeds[0] == seeds[1]), "masks follow the rank's seed"
    assert found[0][1] == found[1][1], "gradients are averaged"

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), ft.Dropout(0.5), nn.Linear(8, 8, bias=False))
    for rank in range(2):
        torch.manual_seed(seeds[rank])
        y = model(torch.ones(4, 8))
        assert torch.allclose(y, torch.tensor(found[rank][0]))
        (y.sum() / 2).backward()
    assert torch.allclose(model[2].weight.grad, torch.tensor(found[0][1]))


def test_fastdrop_does_not_import_torch() -> None:
    code = "import sys, fastdrop, fastdrop.layers; print('torch' in sys.modules)"
    assert output(code) == "False"


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
