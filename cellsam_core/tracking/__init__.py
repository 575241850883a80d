"""Tracking: label images to tracks, divisions and lineages."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

DEPRECATED = {
    "TrackParameters": ("options", "TrackOptions"),
    "Tracks": ("tracks", "Tracks"),
    "track_labels": ("tracker", "track_labels"),
}
"""Names that could be imported from this package before, with their module and name of today."""


def __getattr__(name: str) -> Any:
    """Import a deprecated name with a warning."""
    if name not in DEPRECATED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, new = DEPRECATED[name]
    warnings.warn(
        f"{__name__}.{name} is deprecated: import {new} from {__name__}.{module}, or use"
        " cellsam_core.track and cellsam_core.TrackOptions",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(importlib.import_module(f"{__name__}.{module}"), new)
