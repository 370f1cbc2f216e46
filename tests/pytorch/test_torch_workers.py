"""A data loader's workers: masks of their own by what the guide says, and the same ones without."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastdrop

torch = pytest.importorskip("torch")

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "workers.md"

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.skipif(not PAGE.exists(), reason="an installed fastdrop is tested alone"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture
def guide() -> dict[str, Any]:
    """What the block about data loaders defines."""
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    (block,) = (b for b in blocks if "worker_init_fn" in b)
    namespace: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), namespace)
    return namespace


def epochs(guide: dict[str, Any], seeded: bool, seed: int = 1) -> list[np.ndarray]:
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


def test_without_it_workers_and_epochs_repeat_each_other(guide: dict[str, Any]) -> None:
    first, second = epochs(guide, seeded=False)
    assert np.array_equal(first[::2], first[1::2])
    assert np.array_equal(first, second)


def test_with_it_every_sample_has_masks_of_its_own(guide: dict[str, Any]) -> None:
    first, second = epochs(guide, seeded=True)
    rows = np.concatenate([first, second])
    # The masks, and the noise where nothing was dropped.
    assert len({(row == 0).tobytes() for row in rows}) == len(rows)
    assert len({row.tobytes() for row in rows}) == len(rows)


def test_it_follows_from_pytorchs_seed(guide: dict[str, Any]) -> None:
    first, again, other = (epochs(guide, True, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
