"""Docstrings of the JAX face and of the layers for Flax; and who imports whom."""

from __future__ import annotations

import inspect

import pytest
from fresh import output
from on_jax import fj
from test_docs import check_function, run_examples, sections


@pytest.mark.parametrize("name", fj.__all__)
def test_functions(name: str) -> None:
    function = getattr(fj, name)
    parameters = inspect.signature(function).parameters
    assert {"Raises", *(["Returns"] if parameters else [])} <= check_function(function, name)
    assert ("Source:" in str(function.__doc__)) == bool(parameters)


def test_layers_and_modules() -> None:
    pytest.importorskip("flax", reason="Flax is not installed")
    import fastdrop.flax

    assert fastdrop.flax.__all__ == ["linen", "nnx"]
    assert run_examples(fastdrop.flax.__doc__, "fastdrop.flax")
    for module in (fastdrop.flax.nnx, fastdrop.flax.linen):
        doc = inspect.getdoc(module.Dropout)
        assert doc
        assert {"Parameters", "Raises", "Notes", "Examples"} <= set(sections(doc))
        assert run_examples(doc, module.__name__)
        assert inspect.getdoc(module.Dropout.__call__)


def test_nothing_is_imported_that_is_not_asked_for() -> None:
    code = """
        import sys
        import fastdrop.jax
        print("jax" in sys.modules, "flax" in sys.modules)
    """
    assert output(code) == "True False"
