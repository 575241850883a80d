"""From a microscope folder to published tables: segment, track, assign, report."""

from __future__ import annotations

__version__ = "0.1.0"

SCHEMA_VERSION = 1
"""Version of the output contract: renaming a file or column raises it."""
