"""The experiments run, and their tables and figures are whole. What came out is not tested here."""

import importlib
import math
import re
from pathlib import Path
from typing import Any

import pytest
from fresh import example

pytest.importorskip("examples.experiments.document")

from examples.experiments import common, document

pytestmark = pytest.mark.heavy

NAMES = sorted(
    path.stem
    for path in Path(common.__file__).parent.glob("*.py")
    if re.search(r"^def run\(budget: Budget\) -> Result:$", path.read_text(), re.MULTILINE)
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run an experiment in this process, where it cannot leave anything, and return its words."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> str:
        if name == "convolution":
            pytest.importorskip("torch")
        experiment: Any = importlib.import_module(f"examples.experiments.{name}")
        common.main(experiment.run, experiment.__doc__, arguments)
        return capsys.readouterr().out

    return run


def rows(text: str) -> list[list[str]]:
    """The tables' rows, without their heads."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    rules = [index for index, line in enumerate(cells) if line[0] == "---"]
    assert rules, "no table"
    heads = {index - 1 for index in rules} | set(rules)
    assert len({len(line) for line in cells}) <= len(rules), "rows of different lengths"
    return [line for index, line in enumerate(cells) if index not in heads]


@pytest.mark.parametrize("name", NAMES)
def test_quick_run(run: Any, name: str) -> None:
    out = run(name, "--quick")
    found = rows(out)
    assert len(found) >= 2
    for row in found:
        numbers = re.findall(r"nan|inf|[-+]?\d+(?:\.\d+)?", " ".join(row[1:]))
        assert numbers, row
        assert all(math.isfinite(float(number)) for number in numbers), row
    assert "A quick run says nothing about dropout" in out
    figure = Path(f"{name}.svg").read_text(encoding="utf-8")
    assert figure.rstrip().endswith("</svg>")
    assert figure.count("<path") + figure.count("<use") > 10


def test_the_same_seeds_give_the_same_files(run: Any) -> None:
    """Tables and figures of the documentation can be made again."""
    first = run("averaging", "--quick", "--output", "first.svg")
    second = run("averaging", "--quick", "--output", "second.svg")
    assert rows(first) == rows(second)
    assert Path("first.svg").read_bytes() == Path("second.svg").read_bytes()


def test_the_worked_example_has_its_numbers(run: Any) -> None:
    """100 inputs, p = 40 %: 60 without scaling, 100 with it, and exactly so in evaluation."""
    unscaled, inverted, evaluation, standard = rows(run("neuron", "--quick"))
    deviation = math.sqrt(100 * 0.4 * 0.6)
    # 2 x 2,000 masks: a mean off by 5 standard errors comes once in 1.7 million pairs of seeds.
    allowed = 5 * deviation / math.sqrt(4000)
    assert unscaled[1] == "60"
    assert abs(float(unscaled[2].split()[0]) - 60) < allowed
    assert inverted[1] == "100"
    assert abs(float(inverted[2].split()[0]) - 100) < allowed / 0.6
    assert float(unscaled[3]) == pytest.approx(deviation, abs=0.001)
    assert float(inverted[3]) == pytest.approx(deviation / 0.6, abs=0.001)
    assert evaluation[2] == "100.000 ± 0.000"
    assert standard[2] == "60.000 ± 0.000"


def test_scales_of_training_and_evaluation(run: Any) -> None:
    """What the layer behind the first dropout receives: alike, twice as much, half as much."""
    out = {row[0]: float(row[1].split()[0]) for row in rows(run("scaling", "--quick"))}
    expected = {"inverted": 1.0, "standard": 1.0, "neither scales": 2.0, "both scale": 0.5}
    # Of 2 x 1,197 images x 32 units: the masks' noise is below a hundredth.
    assert out == pytest.approx(expected, rel=0.05)


def test_runs_as_a_module(tmp_path: Path) -> None:
    done = example("experiments.neuron", "--quick", "--output", "neuron.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| training, inverted | 100 |" in done.stdout
    assert (tmp_path / "neuron.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_bad_argument(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("neuron", "--seeds", "1")
    assert "--seeds has to be at least 2, but got 1" in capsys.readouterr().err


def test_the_page_shows_every_experiment() -> None:
    text = document.PAGE.read_text(encoding="utf-8")
    found = document.places(text)
    assert sorted(found) == NAMES
    for name, result in found.items():
        assert len(rows(result)) >= 2
        assert "Seeds 0 to 4" in result
        figure = document.PAGE.parent / "experiments" / f"{name}.svg"
        assert f"](experiments/{name}.svg)" in text
        assert 1_000 < figure.stat().st_size < 60_000


def test_results_go_into_the_page(tmp_path: Path) -> None:
    place = "<!-- result: {} -->\nold\n<!-- end -->\nwords\n"
    page = tmp_path / "page.md"
    page.write_text(place.format("rates") + place.format("neuron"), encoding="utf-8")
    document.main(["--quick", "--page", str(page), "neuron"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(place.format("rates"))
    assert text.endswith("\n<!-- end -->\nwords\n")
    found = document.places(text)
    assert found["rates"] == "old\n"
    assert "| evaluation, standard | 60 |" in found["neuron"]
    assert "*Seeds 0 to 1, " in found["neuron"]
    assert "</svg>" in (tmp_path / "page" / "neuron.svg").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        document.main(["--page", str(page), "sparsity"])
