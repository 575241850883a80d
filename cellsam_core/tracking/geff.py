"""Tracks as a graph in the Graph Exchange File Format (GEFF, Zarr)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from geff.core_io import write_arrays
from geff_spec import Axis, DisplayHint, GeffMetadata

from cellsam_core.files.atomic import atomic_path
from cellsam_core.tracking.lineage import split_tracks

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cellsam_core.labels.source import LabelSource

MAX_TRIED = 20
NODE_COLUMNS = ("frame", "label", "track_id", "area_px")


def write_geff(
    path: str | Path,
    objects: pd.DataFrame,
    tracks: pd.DataFrame,
    labels: LabelSource | None = None,
    *,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
) -> None:
    """Write a tracked movie as a directed graph: one node per object, one edge per link.

    Node ids are rows of `objects`, counted from 1, and ``seg_id`` is the label of the object in its
    frame. The axis t is the number of the frame, y and x are pixels; where the calibration is
    known, the axes have it as scale, and ``time_s``, ``y_um`` and ``x_um`` are in seconds and
    micrometres. ``tracklet_id`` numbers the unbranched paths (it changes when a mother buds,
    ``track_id`` does not), and ``lineage_id`` the connected components. Parents are also linked to
    daughters, and mothers to buds.

    Parameters
    ----------
    path
        Folder to write; an existing one is replaced.
    objects, tracks
        Tables of :class:`cellsam_core.tracking.tracks.Tracks`.
    labels
        Label images that were tracked. Editors of tracks compare the last node with them, so that
        an object whose centroid lies inside of it comes last.
    pixel_size_um
        Side of a pixel in micrometres; None if unknown.
    frame_interval_s
        Time between frames in seconds; None if unknown.
    """
    piece, pieces = split_tracks(objects, tracks, at_gaps=False)
    columns = _node_columns(objects, tracks, piece, pixel_size_um, frame_interval_s)
    order = np.arange(len(objects))
    if labels is not None and len(objects):
        last = _object_over_its_centroid(objects, labels)
        order = np.append(np.delete(order, last), last)
    with atomic_path(path) as temporary:
        write_arrays(
            temporary,
            (order + 1).astype(np.uint64),
            {name: {"values": values[order], "missing": None} for name, values in columns.items()},
            edges(objects, piece, pieces) + np.uint64(1),
            {},
            _metadata(Path(path), labels, pixel_size_um, frame_interval_s),
            # Programs of the field read version 2 of Zarr, not all of them version 3.
            zarr_format=2,
        )


def _node_columns(
    objects: pd.DataFrame,
    tracks: pd.DataFrame,
    piece: pd.Series[int],
    pixel_size_um: float | None,
    frame_interval_s: float | None,
) -> dict[str, NDArray[Any]]:
    lineage = tracks.set_index("track_id")["lineage_id"].reindex(objects["track_id"])
    y, x = (objects[name].to_numpy(dtype=float) for name in ("y", "x"))
    columns: dict[str, NDArray[Any]] = {
        "t": objects["frame"].to_numpy(dtype=np.int64),
        "y": y,
        "x": x,
        "seg_id": objects["label"].to_numpy(dtype=np.int64),
        "tracklet_id": piece.to_numpy(),
        "lineage_id": lineage.to_numpy(dtype=np.int64),
        **{name: objects[name].to_numpy() for name in NODE_COLUMNS},
    }
    if pixel_size_um:
        columns |= {"y_um": y * pixel_size_um, "x_um": x * pixel_size_um}
    if frame_interval_s:
        columns["time_s"] = columns["t"] * frame_interval_s
    return columns


def _metadata(
    path: Path,
    labels: LabelSource | None,
    pixel_size_um: float | None,
    frame_interval_s: float | None,
) -> GeffMetadata:
    time = {"scale": frame_interval_s, "scaled_unit": "second"} if frame_interval_s else {}
    space = {"scale": pixel_size_um, "scaled_unit": "micrometer"} if pixel_size_um else {}
    related = None
    if labels is not None and labels.path.exists():
        masks = Path(os.path.relpath(labels.path.resolve(), path.resolve())).as_posix()
        related = [{"path": masks, "type": "labels", "node_prop": "seg_id"}]
    return GeffMetadata(
        directed=True,
        axes=[
            Axis(name="t", type="time", unit="frame", **time),
            Axis(name="y", type="space", unit="pixel", **space),
            Axis(name="x", type="space", unit="pixel", **space),
        ],
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "tracklet_id", "lineage": "lineage_id"},
        display_hints=DisplayHint(display_horizontal="x", display_vertical="y", display_time="t"),
        related_objects=related,
        # funtracks scales positions by the axes and masks by this.
        extra={"tracksdata": {"scale": [pixel_size_um] * 2}} if pixel_size_um else {},
    )


def _object_over_its_centroid(objects: pd.DataFrame, labels: LabelSource) -> int:
    """Find the row of an object that covers its own centroid; 0 if there is none.

    Objects that fill their bounding box well are tried first, so that one frame is read.
    """
    height = objects["bbox_y1"] - objects["bbox_y0"]
    width = objects["bbox_x1"] - objects["bbox_x0"]
    fills = (objects["area_px"] / (height * width)).clip(upper=0.75).round(2)
    thickness = np.minimum(height, width)
    candidates = np.lexsort((-np.asarray(thickness), -np.asarray(fills)))
    for row in candidates[:MAX_TRIED]:
        one = objects.iloc[row]
        if labels.frame(int(one["frame"]))[int(one["y"]), int(one["x"])] == one["label"]:
            return int(row)
    return 0


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
