"""The paper's networks train, go on where they were interrupted, and are told as they came out."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("examples.paper.document")

import fastdrop
from examples.paper import __main__ as main
from examples.paper import data, document, plan, training

pytestmark = pytest.mark.heavy


def idx(values: np.ndarray) -> bytes:
    """A file as MNIST has them, written by the format's description."""
    head = bytes([0, 0, 8, values.ndim])
    return head + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten kinds of images: a bright square somewhere, in noise."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    for name, count in (("train", 800), ("t10k", 200)):
        y = rng.integers(10, size=count).astype(np.uint8)
        x = rng.integers(60, size=(count, 28, 28)).astype(np.uint8)
        for image, label in zip(x, y, strict=True):
            row, column = divmod(int(label), 4)
            image[7 * row : 7 * row + 7, 7 * column : 7 * column + 7] += 190
        images = folder / f"{name}-images-idx3-ubyte.gz"
        images.write_bytes(gzip.compress(idx(x)))
        (folder / f"{name}-labels.idx1-ubyte").write_bytes(idx(y))
    return folder


@pytest.fixture
def split(folder: Path) -> Any:
    return data.load(folder).split(0, few=True)


def test_files_are_read(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx(values))
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx(values)))
    assert np.array_equal(data.read(tmp_path / "a"), values)
    assert np.array_equal(data.read(tmp_path / "b.gz"), values)
    (tmp_path / "short").write_bytes(idx(values)[:-1])
    with pytest.raises(ValueError, match=r"has 23 bytes, but tells of \(2, 3, 4\)"):
        data.read(tmp_path / "short")
    (tmp_path / "floats").write_bytes(b"\0\0\x0d\x01")
    with pytest.raises(ValueError, match="is no IDX file of bytes"):
        data.read(tmp_path / "floats")


def test_images_are_split(folder: Path) -> None:
    images = data.load(folder)
    assert images.x.shape == (800, 784)
    assert images.x.dtype == np.float32
    assert 0 <= images.x.min() < images.x.max() <= 1
    first, other = images.split(0, few=True), images.split(1, few=True)
    assert (len(first.y), len(first.y_validation), len(first.y_test)) == (600, 200, 200)
    everything = np.concatenate([first.x, first.x_validation])
    assert np.array_equal(np.sort(everything.sum(axis=1)), np.sort(images.x.sum(axis=1)))
    assert not np.array_equal(first.x_validation, other.x_validation)


def test_missing_files(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no train-images-idx3-ubyte"):
        data.load(folder.parent)
    (folder / "train-labels.idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(ValueError, match="800 images, but 3 labels"):
        data.load(folder)


def recipe(**changes: Any) -> Any:
    """A small network with everything that a checkpoint has to restore."""
    given = {
        "hidden": (32, 32), "p_input": 0.2, "p_hidden": 0.5, "max_norm": 2.0, "epochs": 4,
        "batch": 50, "rate": 0.05,
    }  # fmt: skip
    return training.Recipe(**{**given, **changes})


def test_a_network_learns(split: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for block in (("linear", "relu", "drop"), ("linear", "logistic", "drop")):
        path.unlink(missing_ok=True)
        how = recipe(block=block, epochs=30, rate=0.1, p_input=0.1, p_hidden=0.1, momentum=0.9)
        epochs, errors = zip(*training.train(how, split, 0, path), strict=True)
        assert epochs == tuple(range(1, 31))
        assert errors[-1] < 20
        network, _ = training.load_network(path, how, split, 0)
        assert training.judge(network, split.x_test, split.y_test) < 20  # of 90 by chance
        for layer in network.of(training.Linear):
            assert np.linalg.norm(layer.weight, axis=1).max() < 2.001


def test_going_on_is_as_if_nothing_had_happened(split: Any, tmp_path: Path) -> None:
    how = recipe()

    def values(path: Path) -> list[np.ndarray]:
        return training.load_network(path, how, split, 3)[0].values()

    list(training.train(how, split, 3, tmp_path / "through.npz"))
    for stop in (1, 3):
        path = tmp_path / f"stopped {stop}.npz"
        epochs = training.train(how, split, 3, path)
        for _ in range(stop):
            next(epochs)
        epochs.close()
        with pytest.raises(ValueError, match="has not been trained to its end"):
            training.load_network(path, how, split, 3)
        assert [done for done, _ in training.train(how, split, 3, path)] == [*range(stop + 1, 5)]
        for a, b in zip(values(tmp_path / "through.npz"), values(path), strict=True):
            assert np.array_equal(a, b)


def test_all_runs_are_timed(split: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process's time begins anew where training goes on."""
    how, path = recipe(), tmp_path / "a.npz"
    for starts_at, epochs in ((100.0, 3), (0.0, 1)):
        clock = itertools.count(starts_at, 2.0)  # two seconds between the ends of an epoch
        monkeypatch.setattr(training.time, "process_time", lambda clock=clock: next(clock))
        run = training.train(how, split, 0, path)
        for _ in range(epochs):
            next(run)
        run.close()
    assert training.load_network(path, how, split, 0)[1].seconds == 8.0


def test_epochs_have_masks_of_their_own() -> None:
    """No two epochs or layers share a stream; masks do not depend on epochs before."""
    network = training.Network(recipe(), 784, 10, 0)
    seen = set()
    for epoch in (0, 1, 2, 1):
        training.epochs_masks(network, 5, epoch)
        drops = [x for x in network.layers if isinstance(x, fastdrop.layers.Layer)]
        keys = [(d.generator.seed, d.generator.stream, d.generator.offset) for d in drops]
        assert len(keys) == len(set(keys)) == 3
        assert (keys[0] in seen) == (epoch == 1 and len(seen) == 9)
        seen |= set(keys)


def results(state: Path, **changes: Any) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text("utf-8")) | changes for path in state.iterdir()}


def test_quick_run(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    arguments = ["--quick", "--data", str(folder), "--state", str(state)]
    main.main(arguments)
    out, err = capsys.readouterr()
    assert "Everything is trained" in out
    assert "A quick run says nothing about dropout" in out
    assert "64/64" in err  # the progress bar
    before = results(state)
    finals = [one for name, one in before.items() if name.startswith("final")]
    assert len(finals) == 2 * len(plan.RECIPES) == 26
    assert not list(state.glob("*.npz"))
    choosing = [one for name, one in before.items() if name.startswith("choosing")]
    assert len(choosing) == 12
    assert not any("test" in one for one in choosing)
    best = main.choose(choosing)
    for name, chosen in (
        ("ReLU", "ReLU"), ("p = 0.3", "ReLU, dropout"), ("Gaussian", "ReLU, dropout, max-norm")
    ):  # fmt: skip
        assert {one["rate"] for one in finals if one["name"] == name} == {best[chosen]}

    main.main(arguments)  # nothing is left to do
    assert results(state) == before
    again = tmp_path / "again"
    main.main([*arguments[:3], "--state", str(again), "--processes", "2"])
    assert results(again, seconds=0) == results(state, seconds=0)
    with pytest.raises(SystemExit, match="has results of"):
        main.main([*arguments[1:], "--epochs", "1"])
    assert all(one["seconds"] > 0 for one in finals)

    page = tmp_path / "page.md"
    names = [*document.PARTS, "cost"]
    page.write_text("".join(f"<!-- result: {n} -->\n<!-- end -->\n" for n in names), "utf-8")
    document.main(["--state", str(state), "--page", str(page)])
    found = document.places(page.read_text("utf-8"))
    assert found["networks"].count("\n| ") == 8
    assert "| ReLU, dropout, max-norm |" in found["networks"]
    assert "| Gaussian |" in found["noise"]
    assert "| mean of 5 |" in found["averaging"]
    assert "| 0.9 |" in found["rates"]
    assert "*Seeds 0 to 1, 2 epochs" in found["networks"]
    for name in document.PARTS:
        assert (tmp_path / "page" / f"{name}.svg").read_text("utf-8").rstrip().endswith("</svg>")
        assert f"](page/{name}.svg)" in found[name]

    next(state.glob("final-*-1.json")).unlink()
    with pytest.raises(SystemExit, match="has 1 complete seeds"):
        document.main(["--state", str(state), "--page", str(page)])


def test_the_plan_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main.main(["--plan", "--quick", "--data", str(folder)])
    out = capsys.readouterr().out
    assert "s an epoch" in out
    assert "38 networks, 64 epochs: 0.0 hours" in out


def test_benchmark(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = pytest.importorskip("examples.paper.benchmark")
    page = tmp_path / "page.md"
    page.write_text("<!-- result: cost -->\n<!-- end -->\n", "utf-8")
    benchmark.main(
        ["--quick", "--rounds", "2", "--data", str(folder), "--document", "--page", str(page)]
    )
    out = capsys.readouterr().out
    assert "A quick run says nothing about speed" in out
    text = page.read_text("utf-8")
    for name in ("NumPy, fastdrop", "NumPy, by hand", "PyTorch, fastdrop", "PyTorch, its own"):
        assert f"| {name} |" in text


def test_the_page_has_all_places() -> None:
    text = document.PAGE.read_text("utf-8")
    assert set(document.places(text)) == {*document.PARTS, "cost"}
