"""Versions of the package and of its output files."""

__version__ = "0.1.0"

SCHEMA_VERSION = 2
"""Version of the output files; docs/outputs.md says when it is raised, and what changed."""
