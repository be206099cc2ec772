"""The version.  The build reads it from here, and so does the ``User-Agent`` header."""

__version__ = "0.1.0"
