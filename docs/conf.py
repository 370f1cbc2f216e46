"""Sphinx's settings. The pages: ``sphinx-build -W -n docs build/docs``; it needs no network."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

# Keras asks once which backend it runs on; what the reference says holds for all.
os.environ.setdefault("KERAS_BACKEND", "torch")

import fastdrop  # noqa: E402

project = "fastdrop"
author = "fastdrop contributors"
copyright = "fastdrop contributors, MIT licence"  # noqa: A001
version = release = fastdrop.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "matplotlib.sphinxext.plot_directive",
    "sphinx_design",
    "public_names",
    "variant_table",
]
exclude_patterns = ["_ext", "figures"]
html_theme = "furo"
html_title = f"fastdrop {version}"
myst_heading_anchors = 3

# What docstrings say of types stands there as it is: to repeat the annotations would double it.
autodoc_typehints = "none"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
# In docstrings, `name` is a link where it names something of fastdrop. It may as well be an
# argument, or a name of another project, whose inventory would have to be fetched: then it is code.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", ".*"), ("py:class", "ndarray")]

# Figures are drawn while the pages are built.
plot_basedir = str(HERE / "figures")
plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False
