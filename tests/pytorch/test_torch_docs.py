"""Docstrings of the PyTorch face: the sections that each kind needs, and examples that run."""

import inspect
import re

import pytest
from test_docs import check_function, run_examples, sections

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from on_torch import FIRST  # noqa: E402

import fastdrop.torch as ft  # noqa: E402

CLASSES = [name for name in ft.__all__ if inspect.isclass(getattr(ft, name))]
FUNCTIONS = [name for name in ft.__all__ if name not in CLASSES]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    found = check_function(getattr(ft, name), name)
    assert "Returns" in found or not inspect.signature(getattr(ft, name)).parameters


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str) -> None:
    doc = inspect.getdoc(getattr(ft, name))
    assert {"Parameters", "Examples"} <= set(sections(doc))
    assert run_examples(doc, name)
    assert inspect.getdoc(getattr(ft, name).__init__)


def test_the_module() -> None:
    assert run_examples(ft.__doc__, "fastdrop.torch")
    assert dir(ft) == sorted(ft.__all__)


WORDS: dict[str, tuple[str, ...]] = {
    "dropout": ("JMLR 15 (2014)", "dropped inf or nan becomes 0"),
    "dropout2d": ("CVPR 2015", "(N, C, L)"),
    "mc_dropout": ("Gal", "ICML 2016"),
    "gaussian_dropout": ("JMLR 15 (2014)", "section 10"),
    "dropout_add": ("NIPS 2017", "section 5.4"),
    "bias_act_dropout": ("arXiv:1606.08415", "second derivative"),
    "attention_dropout": ("NIPS 2017", "section 3.2.1"),
    "scaled_dot_product_attention": ("Vaswani", "NIPS 2017", "Dao", "NeurIPS 2022"),
    "softmax_dropout": ("Vaswani", "NIPS 2017"),
    "dropconnect_linear": ("Wan", "ICML 2013"),
    "max_norm_": ("Srivastava", "JMLR 15 (2014)", "section 5.1"),
}
DECLARED = {case.name: case.variant.source for case in FIRST}


@pytest.mark.parametrize("name", DECLARED)
def test_the_source_is_that_of_the_declaration(name: str) -> None:
    """The author, and the year of the same publication that the NumPy function names."""
    words = re.split("[ ,]+", DECLARED[name])
    source = " ".join(inspect.getdoc(getattr(ft, name)).partition("Source:")[2].split())
    assert words[0] in source
    assert words[-1] in source


@pytest.mark.parametrize("name", WORDS)
def test_sources_and_differences(name: str) -> None:
    doc = " ".join(inspect.getdoc(getattr(ft, name)).split())
    assert [word for word in WORDS[name] if word not in doc] == []
