"""The benchmark of the JAX face runs, with everybody who is installed."""

from __future__ import annotations

import pytest
from on_jax import fj

pytest.importorskip("matplotlib")
pytest.importorskip("flax", reason="Flax is not installed")

from bench import jax_dropout, peers


@pytest.mark.heavy
def test_all_are_measured(capsys, monkeypatch):
    monkeypatch.setattr(jax_dropout, "SIZES", (16, 1 << 10, 1 << 12))
    jax_dropout.main(["--quick"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line[:1] == "|"]
    assert [len(row) for row in rows] == [6] * 4
    assert [row[0] for row in rows[2:]] == ["| 16", "| 1 K"]
    assert all(float(cell.strip(" |")) > 0 for row in rows[2:] for cell in row[1:])


def test_ours_is_a_peer():
    assert fj.__name__ == jax_dropout.OURS
    assert {*jax_dropout.WHO} <= {peer.who for peer in peers.PEERS}
