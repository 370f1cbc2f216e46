"""Many processes with `enable`: DataLoader workers, data parallelism, shards."""

import os
from typing import Any

import pytest
from fresh import output

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from enabling import seeded  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop.torch as ft  # noqa: E402

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this PyTorch has no gloo",
)


class Dropped(torch.utils.data.Dataset):
    """Samples on which dropout has been, after a seed of their own."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> Any:
        torch.manual_seed(i)
        return F.dropout(torch.ones(50), 0.5)


@needs_fork
def test_workers_that_are_forked_inherit_it() -> None:
    loader = torch.utils.data.DataLoader(
        Dropped(), batch_size=3, num_workers=2, multiprocessing_context="fork"
    )
    with ft.enable():
        found = torch.cat(list(loader))
    for i, row in enumerate(found):
        torch.manual_seed(i)
        assert torch.equal(row, ft.dropout(torch.ones(50), 0.5))


PARALLEL = """
    import os, sys, tempfile, warnings
    warnings.simplefilter("ignore")
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh
    from torch.nn.functional import dropout
    import fastdrop.torch as ft

    def work(rank, path):
        torch.set_num_threads(1)
        dist.init_process_group(
            "gloo", init_method="file://" + path, rank=rank, world_size=2
        )
        mesh = init_device_mesh("cpu", (2,))
        x = torch.ones(4, 8)
        torch.manual_seed(0)
        plain = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8))
        state = plain.state_dict()
        with ft.enable():
            torch.manual_seed(rank)
            wanted = plain(x).detach()
            wrapped = nn.parallel.DistributedDataParallel(plain)
            torch.manual_seed(rank)
            y = wrapped(x)
            y.sum().backward()
            assert torch.equal(y, wanted)
            sharded = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8))
            sharded.load_state_dict(state)
            for layer in (sharded[0], sharded[2], sharded):
                fully_shard(layer, mesh=mesh)
            torch.manual_seed(rank)
            y = sharded(x)
            y.sum().backward()
            torch.testing.assert_close(y, wanted)
            shard = distribute_tensor(torch.ones(4, 8), mesh, [Shard(0)])
            y = dropout(shard, 0.5)
            assert type(y) is type(shard) and y.placements == shard.placements
            assert set(y.to_local().unique().tolist()) <= {0.0, 2.0}
        dist.destroy_process_group()

    if __name__ == "__main__":
        path = tempfile.mktemp()
        first = os.fork()
        if first == 0:
            work(1, path)
            os._exit(0)
        work(0, path)
        assert os.waitpid(first, 0)[1] == 0
        print("alike")
"""


@pytest.mark.heavy
@needs_fork
@needs_gloo
def test_data_parallelism_and_shards() -> None:
    assert output(PARALLEL).splitlines()[-1] == "alike"


@pytest.mark.heavy
def test_a_spawned_process_begins_without() -> None:
    with ft.enable():
        told = output("""
            import torch, fastdrop.torch
            print("fastdrop" in torch._C._dispatch_dump("aten::dropout"))
            print("CPU:" in torch._C._dispatch_dump("aten::dropout"))
        """)
    assert told.split() == ["False", "False"]


def test_modules_are_as_they_were() -> None:
    """Copies, states and scripts know nothing of it."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    with ft.enable():
        x = torch.ones(3, 4)
        y = seeded(model, x)
        copied = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        copied.load_state_dict(model.state_dict())
        assert torch.equal(seeded(copied, x), y)
        assert type(model[1]) is nn.Dropout


@pytest.mark.heavy
def test_switched_in_threads_while_others_call() -> None:
    """In a process of its own, because a fault would end it."""
    output("""
        import threading
        import torch
        import fastdrop.torch as ft

        x, errors, stop = torch.ones(16), [], threading.Event()

        def call():
            while not stop.is_set():
                try:
                    torch.nn.functional.dropout(x, 0.5)
                except Exception as error:
                    errors.append(error)

        def switch():
            for _ in range(30):
                with ft.enable():
                    pass

        callers = [threading.Thread(target=call) for _ in range(2)]
        switchers = [threading.Thread(target=switch) for _ in range(2)]
        for thread in (*callers, *switchers):
            thread.start()
        for thread in switchers:
            thread.join()
        stop.set()
        for thread in callers:
            thread.join()
        assert not errors, errors[0]
    """)
