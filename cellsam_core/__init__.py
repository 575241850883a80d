"""From a microscope folder to published tables: segment, track, assign, report."""

from __future__ import annotations

from cellsam_core.version import SCHEMA_VERSION, __version__

__all__ = ["SCHEMA_VERSION", "__version__"]
