"""Tracking: label images -> tracks, divisions, lineages."""

from cellsam_core.track.parameters import TrackParameters
from cellsam_core.track.tracker import LabelSource, Tracks, track_labels

__all__ = ["LabelSource", "TrackParameters", "Tracks", "track_labels"]
