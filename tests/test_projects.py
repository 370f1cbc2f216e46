"""The projects' steps run with fastdrop, and tables and figure say what was measured."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh import output

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guide" / "projects.md"

if not (ROOT / "examples" / "projects").is_dir():
    pytest.skip(
        "an installed fastdrop is tested apart from its repository", allow_module_level=True
    )
for module in ("matplotlib", "sklearn", "tqdm", "threadpoolctl"):
    pytest.importorskip(module)

# Each script, what it imports, and how many cases it has.
SCRIPTS = {
    "graphs": (["torch", "torch_geometric"], 2),
    "monte_carlo": (["torch", "baal"], 2),
    "tabular": (["torch", "tabm", "rtdl_revisiting_models"], 2),
    "language_models": (["torch", "transformers"], 2),
    "thinc_models": (["thinc"], 2),
    "droq": (["jax", "flax", "sbx"], 1),
}


@pytest.fixture
def common(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("examples.projects.common")


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("examples.projects.document")


def need(name: str) -> None:
    """Skip where a script's packages are missing."""
    for package in SCRIPTS[name][0]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


@pytest.mark.outside
@pytest.mark.filterwarnings("ignore")  # other projects' own
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_switch_decides_who_draws(name: str, common: Any) -> None:
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
    cases = SCRIPTS[name][1]
    output = tmp_path / "found.json"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", f"examples.projects.{name}", "--quick", "--output", str(output)],
        capture_output=True, text=True, encoding="utf-8", timeout=900, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "A quick run says nothing about speed" in done.stdout
    assert "3/3" in done.stderr  # the progress bar
    found = json.loads(output.read_text("utf-8"))
    assert len(found) == cases
    for one in found:
        assert f"| {one['name']} |" in done.stdout
        assert all(seconds > 0 for seconds in one["seconds"].values())
        assert all(math.isfinite(loss) for loss in one["loss"].values())
        # The variants start alike and see the same data: a fastdrop that does something else
        # than dropout would be far off.
        assert one["loss"]["fastdrop"] == pytest.approx(one["loss"]["theirs"], rel=0.6, abs=0.3)
        share = one["share"]["theirs"]
        assert math.isnan(share) if name == "droq" else 0.01 < share < 0.95


# --- what all share -------------------------------------------------------------------------------


def case(common: Any, **changes: Any) -> Any:
    """One whose steps say in which variant they are."""

    def build(variant: str, _quick: bool) -> Any:
        return lambda: float(common.VARIANTS.index(variant))

    given = {
        "name": "a case", "what": "nothing", "build": build, "switch": nullcontext,
        "share": lambda _: 0.5, "packages": ("numpy",),
    }  # fmt: skip
    return common.Case(**{**given, **changes})


@pytest.mark.heavy
def test_steps_are_interleaved_and_switched(common: Any) -> None:
    trace: list[str] = []

    class Switch(AbstractContextManager[None]):
        def __enter__(self) -> None:
            trace.append("on")

        def __exit__(self, *_: object) -> None:
            trace.append("off")

    def build(variant: str, _: bool) -> Any:
        return lambda: trace.append(variant) or 1.0

    found = common.measure(case(common, build=build, switch=Switch), True, {})
    a_round = ["none", "theirs", "on", "fastdrop", "off"]
    assert trace[: 5 * 5] == a_round * 5
    assert found.rounds == 3
    assert found.versions == {"numpy": np.__version__}
    assert found.quartiles[0] <= found.ratio <= found.quartiles[1]


HUNGRY = """
import json
from contextlib import nullcontext

import numpy as np

from examples.projects import common

def build(variant, quick):
    size = 40 if variant == "theirs" and not quick else 1  # MiB
    return lambda: float(np.ones(size << 17)[0])

case = common.Case("a case", "nothing", build, nullcontext, lambda _: 0.5, ("numpy",))
print(json.dumps(common.memory(case, False)))
"""


@pytest.mark.heavy
def test_memory_is_of_each_variant(common: Any) -> None:
    """In a fresh process: the variants' are its forks, and other tests may have started threads."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    found = json.loads(output(HUNGRY, PYTHONPATH=path))
    assert list(found) == list(common.VARIANTS)
    assert 38 < found["theirs"] < 60
    assert found["none"] < 20
    assert found["fastdrop"] < 20


@pytest.mark.heavy
def test_the_profilers_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all of a step that only drops, nothing of one that does not, and backward counts."""
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(ROOT))
    on_torch: Any = importlib.import_module("examples.projects.on_torch")
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


# --- the documentation's page ---------------------------------------------------------------------


def test_the_page_shows_what_was_measured(document: Any) -> None:
    """Its table is the one of the files beside it, and every project is there."""
    text = PAGE.read_text(encoding="utf-8")
    folder = PAGE.parent / "projects"
    assert {path.stem for path in folder.glob("*.json")} == set(SCRIPTS)
    results = document.gather(folder)
    assert len(results) == sum(cases for _, cases in SCRIPTS.values())
    assert all(one.rounds >= 9 for one in results)
    (shown,) = re.findall(r"<!-- result: projects -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert shown == f"\n{document.report(results)}\n\n{document.conditions(results)}\n\n"
    assert "](projects/steps.svg)" in text
    assert 1_000 < (folder / "steps.svg").stat().st_size < 60_000


def test_results_go_into_the_page(document: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- result: projects -->\nold\n<!-- end -->\nwords\n", encoding="utf-8")
    (tmp_path / "page").mkdir()
    for path in (PAGE.parent / "projects").glob("*.json"):
        (tmp_path / "page" / path.name).write_bytes(path.read_bytes())
    document.main(["--draw", "--page", str(page)])
    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.endswith("\n<!-- end -->\nwords\n")
    assert "| PyG's GCN |" in text
    assert "</svg>" in (tmp_path / "page" / "steps.svg").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        document.main(["--page", str(page), "unknown"])


def test_scripts_are_known(document: Any) -> None:
    assert set(document.SCRIPTS) == set(SCRIPTS)
    found = {
        path.stem
        for path in (ROOT / "examples" / "projects").glob("*.py")
        if "\nCASES = (" in path.read_text(encoding="utf-8")
    }
    assert found == set(SCRIPTS)
