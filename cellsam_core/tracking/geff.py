"""Tracks as a graph in the Graph Exchange File Format (GEFF, Zarr)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from geff.core_io import write_arrays
from geff_spec import Axis, DisplayHint, GeffMetadata

from cellsam_core.files.atomic import atomic_path
from cellsam_core.tracking.lineage import split_tracks

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

NODE_COLUMNS = ("frame", "label", "track_id", "area_px")


def write_geff(
    path: str | Path,
    objects: pd.DataFrame,
    tracks: pd.DataFrame,
    *,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
) -> None:
    """Write a tracked movie as a directed graph: one node per object, one edge per link.

    Node ids are rows of `objects`, counted from 0. The axes t, y and x are in seconds and
    micrometres where the calibration is known, otherwise in frames and pixels. ``tracklet_id``
    numbers the unbranched paths (it changes when a mother buds, ``track_id`` does not), and
    ``lineage_id`` the connected components. Parents are also linked to daughters, and mothers to
    buds.

    Parameters
    ----------
    path
        Folder to write; an existing one is replaced.
    objects, tracks
        Tables of :class:`cellsam_core.tracking.tracks.Tracks`.
    pixel_size_um
        Side of a pixel in micrometres; None if unknown.
    frame_interval_s
        Time between frames in seconds; None if unknown.
    """
    piece, pieces = split_tracks(objects, tracks, at_gaps=False)
    time = objects["frame"].to_numpy(dtype=float) * (frame_interval_s or 1.0)
    lineage = tracks.set_index("track_id")["lineage_id"].reindex(objects["track_id"])
    columns: dict[str, NDArray[Any]] = {
        "t": time,
        "y": objects["y"].to_numpy(dtype=float) * (pixel_size_um or 1.0),
        "x": objects["x"].to_numpy(dtype=float) * (pixel_size_um or 1.0),
        "tracklet_id": piece.to_numpy(),
        "lineage_id": lineage.to_numpy(dtype=np.int64),
        **{name: objects[name].to_numpy() for name in NODE_COLUMNS},
    }
    metadata = GeffMetadata(
        directed=True,
        axes=[
            Axis(name="t", type="time", unit="second" if frame_interval_s else "frame"),
            Axis(name="y", type="space", unit="micrometer" if pixel_size_um else "pixel"),
            Axis(name="x", type="space", unit="micrometer" if pixel_size_um else "pixel"),
        ],
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "tracklet_id", "lineage": "lineage_id"},
        display_hints=DisplayHint(display_horizontal="x", display_vertical="y", display_time="t"),
    )
    with atomic_path(path) as temporary:
        write_arrays(
            temporary,
            np.arange(len(objects), dtype=np.uint64),
            {name: {"values": values, "missing": None} for name, values in columns.items()},
            edges(objects, piece, pieces),
            {},
            metadata,
            zarr_format=3,
        )


def edges(objects: pd.DataFrame, piece: pd.Series[int], pieces: pd.DataFrame) -> NDArray[np.uint64]:
    """Return the ``(n, 2)`` edges of the graph, each from an earlier to a later row of `objects`.

    Parameters
    ----------
    objects
        Table of objects.
    piece, pieces
        Unbranched pieces as returned by :func:`cellsam_core.tracking.lineage.split_tracks`.
    """
    node = np.arange(len(objects))
    order = np.lexsort((objects["frame"].to_numpy(), piece.to_numpy()))
    node, member = node[order], piece.to_numpy()[order]
    same = member[1:] == member[:-1]
    within = np.stack([node[:-1][same], node[1:][same]], axis=1)
    first, last = np.append(True, ~same)[: len(node)], np.append(~same, True)[: len(node)]
    first_node, last_node = node[first], node[last]
    child = pieces["parent"].to_numpy() > 0
    parent = pieces["parent"].to_numpy()[child] - 1
    between = np.stack([last_node[parent], first_node[child]], axis=1)
    found = np.concatenate([within, between]).astype(np.uint64)
    return found[np.lexsort((found[:, 1], found[:, 0]))]
