"""Docstrings of the Keras face, and who may know what of Keras is not public."""

import ast
import inspect
from pathlib import Path

import pytest
from on_keras import fk
from test_docs import run_examples, sections

CLASSES = [name for name in fk.__all__ if inspect.isclass(getattr(fk, name))]
PACKAGE = Path(fk.__file__).parent


@pytest.mark.parametrize("name", fk.__all__)
def test_docstrings(name: str) -> None:
    value = getattr(fk, name)
    doc = inspect.getdoc(value)
    wanted = {"Examples"}
    if inspect.signature(value).parameters:
        wanted |= {"Parameters", "Raises"}
    assert wanted <= set(sections(doc))
    assert ("Source:" in doc) == (name in CLASSES)
    assert run_examples(doc, name)


def test_the_module() -> None:
    assert run_examples(fk.__doc__, "fastdrop.keras")
    assert dir(fk) == sorted(fk.__all__)


def test_what_is_not_public_is_used_from_one_file() -> None:
    for path in PACKAGE.glob("*.py"):
        names = {
            node.module
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module
        }
        private = {name for name in names if name.startswith("keras.src")}
        assert bool(private) == (path.name == "_private.py"), private
