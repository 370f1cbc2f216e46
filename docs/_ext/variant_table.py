"""The directive ``variant-table``: a row for each declaration in `fastdrop.variants`."""

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import fastdrop.torch
from fastdrop.variants import VARIANTS, Variant

HEAD = ("function", "layer", "PyTorch", "gradient", "source")
GRADIENTS = {"same": "the same call", "identity": "dy itself"}


def cells(variant: Variant) -> Iterator[str]:
    """What stands in the row of a variant: names are links."""
    name = variant.function
    yield f"`fastdrop.{name}`"
    yield f"`fastdrop.layers.{variant.layer}`"
    yield f"`fastdrop.torch.{name}`" if name in fastdrop.torch.__all__ else ""
    yield GRADIENTS.get(variant.gradient, f"`fastdrop.{variant.gradient}`")
    yield variant.source


class VariantTable(SphinxDirective):
    """``.. variant-table::``."""

    def run(self) -> list[nodes.Node]:
        functions = {variant.function: variant for variant in VARIANTS if variant.layer}
        rows = [HEAD, *(tuple(cells(variant)) for variant in functions.values())]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in rows:
            lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("variant-table", VariantTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
