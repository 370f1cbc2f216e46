"""The code on the pages of the documentation and of the README runs, and gives what they say."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest
from fresh import loaded
from test_docs import run_examples

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What a page may need beyond NumPy: without it the page is skipped.
OPTIONAL = (
    "dask", "flax", "jax", "keras", "matplotlib", "ml_dtypes", "numba", "sklearn", "thinc", "torch",
    "xarray",
)  # fmt: skip

DIRECTIVES = {
    "eval-rst", "figure", "grid", "grid-item-card", "literalinclude", "note", "toctree",
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    not DOCS.exists(), reason="an installed fastdrop is tested apart from its repository"
)


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """The code of a page: in which line it begins, its language, and it."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start()].count("\n") + 2, m[1], m[2]) for m in BLOCK.finditer(text)]


@pytest.mark.heavy
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first block to the last, as a reader would type it."""
    found = blocks(page)
    for module in OPTIONAL:
        if any(
            re.search(rf"^(>>> )?(import|from) (fastdrop\.)?{module}\b", code, re.MULTILINE)
            for _, _, code in found
        ):
            pytest.importorskip(module, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, language, code in found:
        if language == "pycon":
            assert run_examples(code, page.name, namespace, line - 1, doctest.ELLIPSIS), line
        else:
            padded = "\n" * (line - 1) + code  # so that errors name the page's lines
            exec(compile(padded, str(page), "exec"), namespace)


def test_nothing_is_left_out() -> None:
    """Code is in blocks that run: a fence in another spelling would go unseen."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fences = re.findall(r"^ *(```+|~~~+|:::+) *\{?([\w:-]*)", text, re.MULTILINE)
        languages = {language for _, language in fences if language}
        assert languages <= {"python", "pycon", "sh", "text", "c", "cython", "gas"} | DIRECTIVES
        assert len(BLOCK.findall(text)) == len(re.findall(r"```py", text)), page


def test_every_public_name_has_a_page_and_headings_are_of_modules_that_exist() -> None:
    for module in ("sphinx", "torch", "dask.array", "xarray", "keras", "thinc"):
        pytest.importorskip(module, exc_type=ImportError)
    public_names: Any = loaded(DOCS / "_ext" / "public_names.py")  # makes the reference
    pages = [path.read_text(encoding="utf-8") for path in DOCS.glob("reference/*.rst")]
    wanted = re.compile(r"^\.\. public-names:: (\S+)((?:\n   :\w+:.*)*)", re.MULTILINE)
    asked = [match.groups() for page in pages for match in wanted.finditer(page)]
    for module in public_names.PUBLIC:
        groups = public_names.groups(module)
        names = [name for members in groups.values() for name in members]
        assert sorted(names) == sorted(public_names.names(module))
        for source in groups:
            assert public_names.heading(source)
            takers = [
                options
                for name, options in asked
                if name == module
                and (":modules:" not in options or source in options.split())
                and (":except:" not in options or source not in options.split())
            ]
            assert len(takers) == 1, source
    sources = {source for module in public_names.PUBLIC for source in public_names.groups(module)}
    assert set(public_names.HEADINGS) <= sources
