"""The projects' steps run with fastdrop, and tables and figure say what was measured."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import re
import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh import EXAMPLES, example, output

pytest.importorskip("examples.projects.document")

from examples.projects import common, document

# Each script, what it imports, and how many cases it has.
SCRIPTS = {
    "graphs": (["torch", "torch_geometric"], 2),
    "monte_carlo": (["torch", "baal"], 2),
    "tabular": (["torch", "tabm", "rtdl_revisiting_models"], 2),
    "language_models": (["torch", "transformers"], 2),
    "thinc_models": (["thinc"], 2),
    "droq": (["jax", "flax", "sbx"], 1),
}


def need(name: str) -> None:
    """Skip where a script's packages are missing."""
    for package in SCRIPTS[name][0]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


@pytest.mark.outside
@pytest.mark.filterwarnings("ignore")  # other projects' own
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_switch_decides_who_draws(name: str) -> None:
    """From one seed a second step is the same each time, and another one with fastdrop."""
    need(name)
    script: Any = importlib.import_module(f"examples.projects.{name}")

    def second(case: Any, switch: AbstractContextManager[object]) -> float:
        step = case.build("theirs", True)
        with switch:
            step()  # the first loss does not tell where the last layer begins with zeros
            return float(step())

    with common.one_thread():
        for one in script.CASES:
            theirs = second(one, nullcontext())
            assert second(one, nullcontext()) == theirs, one.name
            assert second(one, one.switch()) != theirs, one.name


@pytest.mark.outside
@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_run(name: str, tmp_path: Path) -> None:
    need(name)
    arguments = ("--quick", "--output", "found.json")
    done = example(f"projects.{name}", *arguments, folder=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "A quick run says nothing about speed" in done.stdout
    assert "3/3" in done.stderr  # the progress bar
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert len(found) == SCRIPTS[name][1]
    for one in found:
        assert f"| {one['name']} |" in done.stdout
        assert all(seconds > 0 for seconds in one["seconds"].values())
        assert all(math.isfinite(loss) for loss in one["loss"].values())
        # The variants start alike and see the same data: a fastdrop that does something else
        # than dropout would be far off.
        assert one["loss"]["fastdrop"] == pytest.approx(one["loss"]["theirs"], rel=0.6, abs=0.3)
        share = one["share"]["theirs"]
        assert math.isnan(share) if name == "droq" else 0.01 < share < 0.95


@pytest.mark.heavy
def test_steps_are_interleaved_and_switched() -> None:
    trace: list[str] = []

    class Switch(AbstractContextManager[None]):
        def __enter__(self) -> None:
            trace.append("on")

        def __exit__(self, *_: object) -> None:
            trace.append("off")

    def build(variant: str, _: bool) -> Any:
        return lambda: trace.append(variant) or 1.0

    case = common.Case("a case", "nothing", build, Switch, lambda _: 0.5, ("numpy",))
    found = common.measure(case, True, {})
    assert trace[: 5 * 5] == ["none", "theirs", "on", "fastdrop", "off"] * 5
    assert found.rounds == 3
    assert found.versions == {"numpy": np.__version__}
    assert found.quartiles[0] <= found.ratio <= found.quartiles[1]


@pytest.mark.heavy
def test_memory_is_of_each_variant() -> None:
    """In a fresh process: the variants' are its forks, and other tests may have started threads."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells")
    code = f"""
        import json, sys
        from contextlib import nullcontext
        import numpy as np
        sys.path.insert(0, {str(EXAMPLES.parent)!r})
        from examples.projects import common

        def build(variant, quick):
            size = 40 if variant == "theirs" and not quick else 1  # MiB
            return lambda: float(np.ones(size << 17)[0])

        case = common.Case("a case", "nothing", build, nullcontext, lambda _: 0.5, ("numpy",))
        print(json.dumps(common.memory(case, False)))
    """
    found = json.loads(output(code))
    assert list(found) == list(common.VARIANTS)
    assert 38 < found["theirs"] < 60
    assert found["none"] < 20
    assert found["fastdrop"] < 20


@pytest.mark.heavy
def test_the_profilers_share() -> None:
    """Nearly all of a step that only drops, nothing of one that does not, and backward counts."""
    torch = pytest.importorskip("torch")
    on_torch = importlib.import_module("examples.projects.on_torch")
    x = torch.ones(1 << 20, requires_grad=True)

    def step(p: float, backward: bool) -> Any:
        def run() -> float:
            y = torch.nn.functional.dropout(x, p)
            z = y.sum()
            if backward:
                z.backward()
            return z.item()

        return run

    assert on_torch.share(step(0.5, False)) > 0.7
    assert on_torch.share(step(0.5, True)) > 0.6
    assert on_torch.share(step(0.0, True)) < 0.1

    square = torch.ones(300, 300, requires_grad=True)

    def products() -> float:
        y = square
        for _ in range(20):
            y = y @ square
        torch.nn.functional.dropout(y[0, :4], 0.5).sum().backward()
        return 0.0

    assert on_torch.share(products) < 0.2


def test_the_page_shows_what_was_measured(tmp_path: Path) -> None:
    """Every project is there; made again from the files beside it, the page is the same."""
    text, folder = document.PAGE.read_text("utf-8"), document.PAGE.with_suffix("")
    assert {path.stem for path in folder.glob("*.json")} == set(SCRIPTS)
    results = document.gather(folder)
    assert len(results) == sum(cases for _, cases in SCRIPTS.values())
    assert all(one.rounds >= 9 for one in results)
    place = re.compile(r"(<!-- result: projects -->\n).*?(<!-- end -->)", re.DOTALL)
    page = tmp_path / document.PAGE.name
    page.write_text(place.sub(r"\1old\n\2", text), "utf-8")
    shutil.copytree(folder, tmp_path / "projects", ignore=shutil.ignore_patterns("*.svg"))
    document.main(["--draw", "--page", str(page)])
    assert page.read_text("utf-8") == text
    assert "](projects/steps.svg)" in text
    for figure in (folder / "steps.svg", tmp_path / "projects" / "steps.svg"):
        assert 1_000 < figure.stat().st_size < 60_000
        assert "</svg>" in figure.read_text("utf-8")
    with pytest.raises(SystemExit):
        document.main(["--page", str(page), "unknown"])


def test_scripts_are_known() -> None:
    files = (EXAMPLES / "projects").glob("*.py")
    found = {path.stem for path in files if "\nCASES = (" in path.read_text("utf-8")}
    assert found == set(SCRIPTS) == set(document.SCRIPTS)
