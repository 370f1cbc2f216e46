"""Docstrings of the PyTorch face: the sections that each kind needs, and examples that run."""

import inspect

import pytest
from test_docs import run_examples, sections

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import fastdrop.torch as ft  # noqa: E402
from fastdrop.variants import VARIANTS, Variant  # noqa: E402

CLASSES = [name for name in ft.__all__ if inspect.isclass(getattr(ft, name))]
FUNCTIONS = [name for name in ft.__all__ if name not in CLASSES]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    function = getattr(ft, name)
    doc = inspect.getdoc(function)
    wanted = {"Parameters", "Returns", "Raises", "Examples"}
    assert (wanted if inspect.signature(function).parameters else {"Examples"}) <= set(
        sections(doc)
    )
    part = doc.partition("Parameters\n")[2].partition("Returns\n")[0]
    for parameter in inspect.signature(function).parameters:
        assert parameter in part, parameter
    assert run_examples(doc, name)


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str) -> None:
    doc = inspect.getdoc(getattr(ft, name))
    assert {"Parameters", "Examples"} <= set(sections(doc))
    assert run_examples(doc, name)
    assert inspect.getdoc(getattr(ft, name).__init__)


def test_the_module() -> None:
    assert run_examples(ft.__doc__, "fastdrop.torch")
    assert dir(ft) == sorted(ft.__all__)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.layer], ids=lambda v: v.function)
def test_docstrings_name_the_first_author_of_the_declaration(variant: Variant) -> None:
    doc = inspect.getdoc(getattr(ft, variant.function))
    assert variant.source.split()[0].rstrip(",") in doc.partition("Source:")[2]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dropout", ("Srivastava", "JMLR 15 (2014)", "dropped inf or nan becomes 0")),
        ("dropout1d", ("Tompson", "CVPR 2015")),
        ("dropout2d", ("Tompson", "CVPR 2015", "(N, C, L)")),
        ("dropout3d", ("Tompson", "CVPR 2015")),
        ("mc_dropout", ("Gal", "ICML 2016")),
        ("alpha_dropout", ("Klambauer", "NIPS 2017")),
        ("feature_alpha_dropout", ("Klambauer", "NIPS 2017")),
        ("gaussian_dropout", ("Srivastava", "JMLR 15 (2014)", "section 10")),
        ("gaussian_noise", ("Bishop", "Neural Computation 7 (1995)")),
        ("dropout_add", ("Vaswani", "NIPS 2017", "section 5.4")),
        ("bias_act_dropout", ("Hendrycks", "arXiv:1606.08415", "second derivative")),
        ("drop_connect", ("Wan", "ICML 2013")),
        ("attention_dropout", ("Vaswani", "NIPS 2017", "section 3.2.1")),
        ("drop_path", ("Huang", "ECCV 2016")),
        ("variational_dropout", ("Gal", "NIPS 2016")),
        ("drop_block1d", ("Ghiasi", "NeurIPS 2018")),
        ("drop_block2d", ("Ghiasi", "NeurIPS 2018")),
        ("drop_block3d", ("Ghiasi", "NeurIPS 2018")),
        ("embedding_dropout", ("Merity", "ICLR 2018")),
        ("scaled_dot_product_attention", ("Vaswani", "NIPS 2017", "Dao", "NeurIPS 2022")),
        ("zoneout", ("Krueger", "ICLR 2017")),
        ("softmax_dropout", ("Vaswani", "NIPS 2017")),
        ("dropconnect_linear", ("Wan", "ICML 2013")),
        ("max_norm_", ("Srivastava", "JMLR 15 (2014)", "section 5.1")),
    ],
)
def test_sources_and_differences(name: str, words: tuple[str, ...]) -> None:
    doc = " ".join(inspect.getdoc(getattr(ft, name)).split())
    for word in words:
        assert word in doc
