"""Docstrings: every public name has the sections that its kind needs, and examples that run."""

import doctest
import inspect
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest

import fastdrop
from fastdrop import layers
from fastdrop.variants import BY_FUNCTION


def public() -> Iterator[tuple[str, Any]]:
    for name in fastdrop.__all__:
        if name != "layers":
            yield f"fastdrop.{name}", getattr(fastdrop, name)
    for name in layers.__all__:
        yield f"fastdrop.layers.{name}", getattr(layers, name)


OBJECTS = dict(public())
CLASSES = [name for name, value in OBJECTS.items() if inspect.isclass(value)]
FUNCTIONS = [name for name in OBJECTS if name not in CLASSES]


def sections(doc: str) -> list[str]:
    lines = inspect.cleandoc(doc).splitlines()
    return [
        title for title, line in itertools.pairwise(lines) if title and line == "-" * len(title)
    ]


def members(cls: type) -> Iterator[tuple[str, Any]]:
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        if not name.startswith("_"):
            yield name, value


def run_examples(doc: str, name: str) -> int:
    test = doctest.DocTestParser().get_doctest(doc, {}, name, None, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    report: list[str] = []
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
    return len(test.examples)


def check_function(function: Any, name: str) -> set[str]:
    """Its examples run, and its parameters are all explained; the sections that it has."""
    doc = inspect.getdoc(function)
    assert doc
    found = set(sections(doc))
    part = doc.partition("Parameters\n")[2].partition("Returns\n")[0]
    parameters = inspect.signature(function).parameters
    assert [parameter for parameter in parameters if parameter not in part] == []
    assert {"Examples", *({"Parameters", "Raises"} if parameters else ())} <= found
    assert run_examples(doc, name)
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    assert {"Returns", "Yields"} & check_function(OBJECTS[name], name)


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str) -> None:
    cls = OBJECTS[name]
    doc = inspect.getdoc(cls)
    assert doc
    assert {"Parameters", "Examples"} <= set(sections(doc))
    assert run_examples(doc, name)
    for member, value in members(cls):
        text = inspect.getdoc(value)
        assert text, f"{name}.{member}"
        run_examples(text, f"{name}.{member}")


def test_modules() -> None:
    for module in (fastdrop, layers):
        assert module.__doc__
        run_examples(module.__doc__, module.__name__)


@pytest.mark.parametrize("name", ["dropout", "dropout_", "dropout_mask", "apply_mask"])
def test_operations_name_their_source(name: str) -> None:
    doc = inspect.getdoc(getattr(fastdrop, name))
    assert doc
    for word in ("Srivastava", "JMLR 15 (2014)", "section"):
        assert word in doc
    if name != "dropout_":
        assert "keep" in doc
    assert "[0, 1]" in doc


ALGORITHMS = {
    "dropconnect_linear": ("Wan", "ICML 2013", "section 3", "equation 4"),
    "dropconnect_linear_backward": ("Wan", "ICML 2013", "section 3.1", "equation 4"),
    "softmax_dropout": ("Vaswani", "NIPS 2017", "section 3.2.1"),
    "softmax_dropout_backward": ("Vaswani", "NIPS 2017", "section 3.2.1"),
    "dropout_samples": ("Gal", "ICML 2016", "section 4"),
    "max_norm_": ("Srivastava", "JMLR 15 (2014)", "section 5.1"),
    "sparsity": ("Srivastava", "JMLR 15 (2014)", "section 7.2"),
    "mc_dropout": ("Gal", "ICML 2016", "section 4"),
}


@pytest.mark.parametrize("name", BY_FUNCTION)
def test_the_source_is_that_of_the_declaration(name: str) -> None:
    """Its authors, the year, and where in it."""
    (*authors, year) = re.sub(" et al.|,| and", "", BY_FUNCTION[name].source).split()
    doc = inspect.getdoc(getattr(fastdrop, name))
    words = " ".join(doc.partition("Source:")[2].split())
    # The whole of a short paper; of DropKey's the subject.
    where = [] if name in ("gaussian_noise", "drop_key", "drop_key_backward") else ["section"]
    for word in (*authors, year, *where):
        assert word in words


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms_name_their_sources(name: str) -> None:
    doc = inspect.getdoc(getattr(fastdrop, name))
    assert doc
    words = " ".join(doc.partition("Source:")[2].split())
    for word in ALGORITHMS[name]:
        assert word in words


def test_compiled_and_python_functions_say_the_same() -> None:
    for name in ("dropout", "dropout_"):
        function = getattr(fastdrop, name)
        assert inspect.getdoc(function) == inspect.getdoc(inspect.unwrap(function))
