"""Tracking: label images -> tracks, divisions, lineages."""

from cellsam_core.tracking.parameters import TrackParameters
from cellsam_core.tracking.tracker import Tracks, track_labels

__all__ = ["TrackParameters", "Tracks", "track_labels"]
