"""Versions of the package and of its output files."""

__version__ = "0.1.0"

SCHEMA_VERSION = 1
"""Version of the output contract: renaming a file or a column raises it."""
