"""Docstrings: every public name has the sections that its kind needs, and examples that run."""

import doctest
import inspect
import itertools
import re
from typing import Any

import pytest
from fresh import last_error
from support import core_or_skip

import fastdrop
from fastdrop import layers
from fastdrop.variants import BY_FUNCTION

OBJECTS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (fastdrop, layers)
    for name in module.__all__
    if name != "layers"
}
CLASSES = [name for name, value in OBJECTS.items() if inspect.isclass(value)]
FUNCTIONS = [name for name in OBJECTS if name not in CLASSES]


def sections(doc: str) -> list[str]:
    lines = inspect.cleandoc(doc).splitlines()
    return [
        title for title, line in itertools.pairwise(lines) if title and line == "-" * len(title)
    ]


def run_examples(
    doc: str, name: str, namespace: dict[str, Any] | None = None, line: int = 0, flags: int = 0
) -> int:
    """How many there are; what they define goes into the namespace."""
    test = doctest.DocTestParser().get_doctest(doc, namespace or {}, name, name, line)
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF | flags)
    report: list[str] = []
    runner.run(test, out=report.append, clear_globs=False)
    assert not runner.failures, "".join(report)
    if namespace is not None:
        namespace.update(test.globs)
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
    for member in (member for member in dir(cls) if not member.startswith("_")):
        text = inspect.getdoc(inspect.getattr_static(cls, member))
        assert text, f"{name}.{member}"
        run_examples(text, f"{name}.{member}")


def test_modules() -> None:
    for module in (fastdrop, layers):
        assert module.__doc__
        run_examples(module.__doc__, module.__name__)


@pytest.mark.parametrize(
    "name", ["dask", "flax", "flax.linen", "flax.nnx", "jax", "keras", "thinc", "xarray"]
)
def test_faces(name: str) -> None:
    face = pytest.importorskip(f"fastdrop.{name}", exc_type=ImportError)
    assert bool(run_examples(face.__doc__, name)) == (name in ("dask", "flax", "keras", "xarray"))
    for public in (getattr(face, public) for public in face.__all__):
        if inspect.ismodule(public):
            continue
        doc, takes = inspect.getdoc(public), inspect.signature(public).parameters
        assert ("Source:" in doc) == (inspect.isclass(public) or "rng" in takes)
        if inspect.isclass(public):
            assert {"Parameters", "Raises", "Examples"} <= set(sections(doc))
            assert run_examples(doc, public.__name__)
        else:
            found = check_function(public, public.__name__)
            assert "Returns" in found or not takes
            assert "Raises" in found or name != "jax"


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


def source(name: str) -> str:
    return " ".join(inspect.getdoc(getattr(fastdrop, name)).partition("Source:")[2].split())


@pytest.mark.parametrize("name", BY_FUNCTION)
def test_the_source_is_that_of_the_declaration(name: str) -> None:
    """Its authors, the year, and where in it."""
    (*authors, year) = re.sub(" et al.|,| and", "", BY_FUNCTION[name].source).split()
    # The whole of a short paper; of DropKey's the subject.
    where = [] if name in ("gaussian_noise", "drop_key", "drop_key_backward") else ["section"]
    for word in (*authors, year, *where):
        assert word in source(name)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms_name_their_sources(name: str) -> None:
    for word in ALGORITHMS[name]:
        assert word in source(name)


def test_compiled_and_python_functions_say_the_same() -> None:
    for name in ("dropout", "dropout_"):
        function = getattr(fastdrop, name)
        assert inspect.getdoc(function) == inspect.getdoc(inspect.unwrap(function))


@pytest.mark.parametrize("name", ["dropout", "dropout_", "dropout_mask", "apply_mask"])
def test_operations_name_their_source_and_what_is_kept(name: str) -> None:
    doc = inspect.getdoc(getattr(fastdrop, name))
    kept = [] if name == "dropout_" else ["keep"]
    for word in ("Srivastava", "JMLR 15 (2014)", "section", "[0, 1]", *kept):
        assert word in doc


@pytest.mark.parametrize(
    ("module", "extra"),
    [("dask", "dask"), ("xarray", "dask"), ("thinc", "thinc"), ("jax", "jax"), ("flax", "flax")],
)
def test_what_is_missing_is_said(module: str, extra: str) -> None:
    if module == "jax":
        core_or_skip()
    said = last_error(f"import sys; sys.modules[{module!r}] = None; import fastdrop.{module}")
    assert said.partition(" needs ")[0] == f"ImportError: fastdrop.{module}"
    assert said.endswith(f": pip install 'fastdrop-kernels[{extra}]'")
