"""The constants in the repository are those that tools/derive_coefficients.py derives."""

from pathlib import Path
from types import ModuleType

import pytest
from fresh import loaded

pytestmark = pytest.mark.heavy

TOOL = Path(__file__).parents[1] / "tools" / "derive_coefficients.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    if not TOOL.exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    pytest.importorskip("mpmath", reason="the constants are derived with mpmath")
    module = loaded(TOOL)
    values = module.derive()  # takes seconds: once is enough
    module.derive = lambda: values
    return module


def test_files_hold_what_is_derived(tool, capsys):
    assert tool.main(["--check"]) == 0, capsys.readouterr().out


def test_an_edited_file_is_found(tool, tmp_path, monkeypatch, capsys):
    for name in ("C_FILE", "PYTHON_FILE"):
        copy = tmp_path / getattr(tool, name).name
        copy.write_text(getattr(tool, name).read_text().replace("0x1.8", "0x1.9", 1))
        monkeypatch.setattr(tool, name, copy)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    assert tool.main(["--check"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert tool.main(["--write"]) == 0
    assert tool.main(["--check"]) == 0


@pytest.mark.parametrize("degree", [1, 4])
def test_minimax_of_a_known_polynomial(tool, degree):
    """The best approximation of x^(d + 1) on [-1, 1] leaves a Chebyshev polynomial over 2^d."""
    task = tool.problem(lambda x: x ** (degree + 1), lambda _: 1, -1, 1, 60 * degree + 1)
    found = tool.minimax(task, degree)
    assert tool.worst(task, found) == pytest.approx(2.0**-degree, rel=1e-3)
    wanted = {1: [0.5, 0], 4: [0, -5 / 16, 0, 20 / 16, 0]}[degree]
    assert [float(c) for c in found] == pytest.approx(wanted, abs=1e-3)
