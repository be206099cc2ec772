"""How the site is made: ``sphinx-build -W docs build/docs``."""

from auth0_tx.version import __version__

project = "auth0-tx"
author = "The auth0-tx contributors"
project_copyright = "The auth0-tx contributors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"auth0-tx {__version__}"
exclude_patterns = ["requirements.txt"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
# The types of frameworks are told by their names; they need no configuration for that.
autodoc_mock_imports: list[str] = []
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
