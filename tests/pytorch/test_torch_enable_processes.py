"""Processes and threads with `enable`. Shards: test_torch_sharding.py."""

import os
from typing import Any

import pytest
from fresh import output

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.nn import functional as F  # noqa: E402, N812

import fastdrop.torch as ft  # noqa: E402

ONES = torch.ones(50)


class Dropped(torch.utils.data.Dataset):
    """Samples on which dropout has been, after a seed of their own."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> Any:
        torch.manual_seed(i)
        return F.dropout(ONES, 0.5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_workers_that_are_forked_inherit_it() -> None:
    loader = torch.utils.data.DataLoader(
        Dropped(), batch_size=3, num_workers=2, multiprocessing_context="fork"
    )
    with ft.enable():
        found = torch.cat(list(loader))
    for i, row in enumerate(found):
        torch.manual_seed(i)
        assert torch.equal(row, ft.dropout(ONES, 0.5))


@pytest.mark.heavy
def test_a_new_process_begins_without() -> None:
    with ft.enable():
        told = output("""
            import torch, fastdrop.torch
            table = torch._C._dispatch_dump("aten::dropout")
            print("fastdrop" in table, "CPU:" in table)
        """)
    assert told.split() == ["False", "False"]


@pytest.mark.heavy
def test_switched_in_threads_while_others_call() -> None:
    """In a process of its own, because a fault would end it."""
    output("""
        import threading
        import torch
        import fastdrop.torch as ft

        x, errors, stop, start = torch.ones(64), [], threading.Event(), threading.Barrier(4)

        def drawn():
            torch.manual_seed(1)
            return torch.nn.functional.dropout(x, 0.5)

        def call():
            while not stop.is_set():
                try:
                    torch.nn.functional.dropout(x, 0.5)
                except Exception as error:
                    errors.append(error)

        def switch():
            start.wait()
            for _ in range(30):
                with ft.enable():
                    torch.nn.functional.dropout(x, 0.5)

        before = drawn()
        callers = [threading.Thread(target=call) for _ in range(2)]
        switchers = [threading.Thread(target=switch) for _ in range(4)]
        for thread in (*callers, *switchers):
            thread.start()
        for thread in switchers:
            thread.join()
        stop.set()
        for thread in callers:
            thread.join()
        assert not errors, errors[0]
        assert torch.equal(drawn(), before)
    """)
