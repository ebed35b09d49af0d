"""Sphinx's configuration; build with ``sphinx-build -n -W docs docs/_build/html``."""

import sys
from pathlib import Path

# The package beside these pages is documented, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import zmqpipeline

# These two are attributes of the package; autodoc wants modules, under the names that users write.
sys.modules["zmqpipeline.messages"] = zmqpipeline.messages
sys.modules["zmqpipeline.serializer"] = zmqpipeline.serializer

project = "zmqpipeline"
author = "The zmqpipeline developers"
copyright = "2026, the zmqpipeline developers"  # noqa: A001 - Sphinx calls it so
version = release = zmqpipeline.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True
highlight_language = "python"

html_theme = "furo"
html_title = f"zmqpipeline {release}"
html_static_path = ["_static"]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

# The order of the source is the order in which a class is read.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"exclude-members": "on_event"}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = False
python_use_unqualified_type_names = True

# Other projects' names: their documentation is not fetched, so that the build needs no network.
nitpick_ignore_regex = [
    (r"py:class", r"zmqpipeline\.typed\.Generic"),
    (r"py:class", r"C|Context|In|Item|Out|ModuleType|Socket|T|defaultdict|zmqpipeline\.testing\.result\.C"),
    (r"py:.*", r"(zmq|msgpack|logging|collections|datetime|os|threading|typing_extensions)(\..*)?"),
]
