"""Tracking: label images -> tracks, divisions, lineages."""

from cellsam_core.track.parameters import TrackParameters
from cellsam_core.track.tracker import Tracks, track_labels

__all__ = ["TrackParameters", "Tracks", "track_labels"]
