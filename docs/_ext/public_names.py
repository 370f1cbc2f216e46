"""The directive ``public-names``: documentation of all that a module's ``__all__`` names.

Names stand together that come from the same module, under a heading that is here or else the first
words of that module's docstring: a new name needs no edit. ``:modules:`` takes those of some
modules only, ``:except:`` leaves some out. A public name that stands on no page is a warning.
"""

import importlib
import inspect
import types
from collections.abc import Iterator
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

PUBLIC = (
    "fastdrop",
    "fastdrop.layers",
    "fastdrop.torch",
    "fastdrop.keras",
    "fastdrop.jax",
    "fastdrop.flax.nnx",
    "fastdrop.flax.linen",
    "fastdrop.dask",
    "fastdrop.xarray",
    "fastdrop.thinc",
)

# In the order in which they stand; modules that are not here follow.
HEADINGS = {
    "fastdrop.functions.masks": "Elements one by one",
    "fastdrop.functions.channels": "Decisions shared along axes",
    "fastdrop.functions.blocks": "Blocks",
    "fastdrop.functions.alpha": "Alpha dropout",
    "fastdrop.functions.weights": "Weights, tables and attention",
    "fastdrop.functions.linear": "A linear layer with dropped connections",
    "fastdrop.functions.softmax": "Softmax and dropout in one pass",
    "fastdrop.functions.pairs": "In one pass with a residual, or a recurrent state",
    "fastdrop.functions.activations": "In one pass with bias and activation",
    "fastdrop.functions.montecarlo": "Monte Carlo dropout",
    "fastdrop._rng": "Keys and generators",
    "fastdrop._config": "Settings",
    "fastdrop.backends": "Backends",
    "fastdrop.layers.base": "What all layers share",
    "fastdrop.layers.masks": "Elements one by one",
    "fastdrop.layers.channels": "Decisions shared along axes",
    "fastdrop.layers.weights": "Weights, tables and attention",
    "fastdrop.layers.pairs": "In one pass with a residual, or a recurrent state",
    "fastdrop.layers.activations": "In one pass with bias and activation",
    "fastdrop.torch._enable": "All that drops in PyTorch",
    "fastdrop.torch._replace": "Whole models",
    "fastdrop.torch.modules.masks": "Modules: elements one by one",
    "fastdrop.torch.modules.channels": "Modules: decisions shared along axes",
    "fastdrop.torch.masks": "Functions: elements one by one",
    "fastdrop.torch.channels": "Functions: decisions shared along axes",
    "fastdrop.flax.nnx": "Flax NNX",
    "fastdrop.flax.linen": "Flax Linen",
    "fastdrop.keras._enable": "All that drops in Keras",
    "fastdrop.keras._replace": "Models that are there",
    "fastdrop.keras.layers": "Keras' layers",
}

# Compiled objects, and their twins in Python, do not say where they are public.
HOMES = {
    "fastdrop.dropout": "fastdrop.functions.masks",
    "fastdrop.dropout_": "fastdrop.functions.masks",
    "fastdrop.Key": "fastdrop._rng",
    "fastdrop.Generator": "fastdrop._rng",
}


def home(module: str, name: str) -> str:
    """The module that a public name comes from."""
    full = f"{module}.{name}"
    return HOMES.get(full) or getattr(importlib.import_module(module), name).__module__


def names(module: str) -> Iterator[str]:
    """What a module's ``__all__`` names, without modules, which have pages of their own."""
    namespace = importlib.import_module(module)
    for name in namespace.__all__:
        if not isinstance(getattr(namespace, name), types.ModuleType):
            yield name


def groups(module: str) -> dict[str, list[str]]:
    """The public names of a module by the module that they come from, in the order of headings."""
    found: dict[str, list[str]] = {}
    for name in names(module):
        found.setdefault(home(module, name), []).append(name)
    order = list(HEADINGS)
    known = [source for source in order if source in found]
    return {source: found[source] for source in known + sorted(found.keys() - known)}


def heading(source: str) -> str:
    """What stands above the names of a module."""
    if source in HEADINGS:
        return HEADINGS[source]
    doc = inspect.getdoc(importlib.import_module(source)) or source
    return doc.splitlines()[0].partition(":")[0].rstrip(".")


def _entry(module: str, name: str) -> str:
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value):
        return f".. autoclass:: {module}.{name}\n   :members:\n"
    if callable(value):
        return f".. autofunction:: {module}.{name}\n"
    return f".. autodata:: {module}.{name}\n"


def _words(text: str) -> list[str]:
    return text.split()


class PublicNames(SphinxDirective):
    """``.. public-names:: fastdrop``."""

    required_arguments = 1
    option_spec: ClassVar = {"modules": _words, "except": _words}

    def run(self) -> list[nodes.Node]:
        (module,) = self.arguments
        text = [".. py:currentmodule:: None\n"]  # a page may have named another
        for source, members in groups(module).items():
            if source in self.options.get("except", ()):
                continue
            if "modules" in self.options and source not in self.options["modules"]:
                continue
            title = heading(source)
            listed = "".join(f"   {module}.{name}\n" for name in members)
            text.append(f"{title}\n{'-' * len(title)}\n\n.. autosummary::\n\n{listed}\n")
            text += [_entry(module, name) + "\n" for name in members]
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


def check_all_are_there(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of every public name that is on no page."""
    del app
    documented = env.domains["py"].data["objects"]
    for module in PUBLIC:
        for name in names(module):
            if f"{module}.{name}" not in documented:
                logging.getLogger(__name__).warning("%s.%s is on no page", module, name)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("public-names", PublicNames)
    app.connect("env-check-consistency", check_all_are_there)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
