"""Edited tracks to a table of corrections, so that tracking with it gives the edited tracks."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.corrections.outlines import inner_point
from cellsam_core.corrections.result import PROVENANCE, corrections_table, masks_folder
from cellsam_core.corrections.table import checksum_of
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.tables import read_table, table_errors
from cellsam_core.labels.source import open_labels
from cellsam_core.tracking.corrections import Correction, merged_pieces
from cellsam_core.tracking.corrections_table import (
    ANCHOR_COLUMNS,
    COLUMNS,
    refuse_contradictions,
)
from cellsam_core.tracking.edited import graph_of, read_edited
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.stage import track

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cellsam_core.labels.source import LabelSource
    from cellsam_core.tracking.edited import Node, TrackGraph

log = logging.getLogger(__name__)
MAX_ROUNDS = 8
PLACES = (*ANCHOR_COLUMNS, *(f"other_{name}" for name in ANCHOR_COLUMNS))
HEADER = (*COLUMNS, "note", "id", *PLACES, "masks", "source")
ORDER = ("merge", "delete", "unlink", "link", "set-parent", "set-mother")


def corrections_from(
    edited: str | Path, results: str | Path, output: str | Path | None = None
) -> list[Correction]:
    """Turn tracks that were edited in another program into a table of corrections.

    Parameters
    ----------
    edited
        GEFF or folder of the Cell Tracking Challenge, exported from the editor.
    results
        Folder of the sample, such as ``results/hela``, whose ``tracks.geff`` or ``ctc`` was edited.
    output
        Table to write, which must not exist; without it, the one that the run reads:
        ``corrections/<sample>.tracks.csv`` beside the folder of results.

    Returns
    -------
    list of Correction
        The rows. Tracking the same masks with them gives the edited tracks.

    Raises
    ------
    InputError
        A file is missing or damaged, the edit has cells that are not in the masks, or the table
        exists.
    """
    folder = Path(results)
    target = corrections_table(folder.resolve(), "tracks") if output is None else Path(output)
    if target.exists():
        raise InputError(
            target,
            found="a table that exists",
            expected="a new file, since the table is yours",
            remedy="move the table away, or name another one with -o",
        )
    masks = masks_folder(folder)
    labels = open_labels(masks / "masks.zarr")
    options = _options(folder / PROVENANCE)
    objects = read_table(folder / "3_tracks/objects.parquet", ("frame", "label"))
    wanted = read_edited(Path(edited), objects, labels)
    merged = merged_pieces(objects)[["frame", "label", "piece"]].to_numpy().tolist()
    rows = {(f, piece): _row("merge", (f, label), (f, piece)) for f, label, piece in merged}
    found = _solve(wanted, labels, options, rows)
    _write(target, found, labels, checksum_of(masks / "cells.parquet"))
    log.info("%d corrections: %s", len(found), target)
    return found


def _options(path: Path) -> TrackOptions:
    """Read the options that the movie was tracked with."""
    with table_errors(path):
        recorded: dict[str, Any] = json.loads(path.read_text())["config"]["track"]
    names = {item.name for item in fields(TrackOptions)}
    return TrackOptions(**{key: value for key, value in recorded.items() if key in names})


def _solve(
    wanted: TrackGraph, labels: LabelSource, options: TrackOptions, rows: dict[Node, Correction]
) -> list[Correction]:
    """Add rows until tracking gives the wanted graph: a row may change what is found beside it."""
    new = rows
    for _ in range(MAX_ROUNDS):
        if _contradict(rows):
            break
        found = track(labels, options, corrections=_in_order(rows.values()))
        new = _differences(graph_of(found.objects, found.tracks), wanted, options)
        if not new:
            return _in_order(rows.values())
        rows |= new
    frame, label = min(new)
    raise InputError(
        "the edited tracks",
        found=f"{len(new)} cells, such as label {label} in frame {frame}, that can't be corrected",
        expected=f"tracks that the option `division` ({options.division}) allows",
        remedy="undo the edit of these cells, or set `division` to the kind of births in the movie",
    )


def _contradict(rows: dict[Node, Correction]) -> bool:
    """Tell whether two rows can't both be carried out, such as two daughters of one mother."""
    try:
        refuse_contradictions(_in_order(rows.values()))
    except InputError:
        return True
    return False


def _in_order(rows: Iterable[Correction]) -> list[Correction]:
    return sorted(rows, key=lambda c: (ORDER.index(c.operation), c.frame, c.label))


def _differences(
    found: TrackGraph, wanted: TrackGraph, options: TrackOptions
) -> dict[Node, Correction]:
    """Make a row for each object whose past is not the wanted one."""
    now, then = found.children(), wanted.children()
    rows = {node: _row("delete", node) for node in found.nodes - wanted.nodes}
    if rows:
        return rows  # what is tracked without these cells is seen in the next round
    for node in sorted(wanted.nodes):
        before, past = found.past.get(node), wanted.past.get(node)
        if past is None:
            if before is not None:
                rows[node] = _row("unlink", node)
            continue
        siblings = then[past]
        if before == past and now.get(past) == siblings:
            continue
        if len(siblings) == 1:
            rows[node] = _row("link", node, past)
        elif options.division == "budding":
            if node == max(siblings):
                rows[node] = _row("set-mother", node, past)
            elif before != past:
                rows[node] = _row("link", node, past)
        else:
            rows[node] = _row("set-parent", node, past)
    return rows


def _row(operation: Any, node: Node, other: Node | None = None) -> Correction:
    return Correction(f"label {node[1]} in frame {node[0]}", operation, *node, *(other or ()))


def _write(target: Path, rows: list[Correction], labels: LabelSource, masks: str) -> None:
    nodes = {(c.frame, c.label) for c in rows} | {c.other for c in rows if c.other is not None}
    places = _places(nodes, labels)
    with atomic_path(target) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        for one in rows:
            keys = one.operation, one.frame, one.label, one.other_frame, one.other_label
            own = hashlib.sha256(repr(keys).encode()).hexdigest()[:8]
            row: dict[str, Any] = dict(zip(COLUMNS, keys, strict=True))
            row |= {"id": own, "masks": masks, "source": "edited"}
            row |= dict(zip(ANCHOR_COLUMNS, places[one.frame, one.label], strict=True))
            if one.other is not None:
                row |= dict(zip(PLACES[len(ANCHOR_COLUMNS) :], places[one.other], strict=True))
            writer.writerow(row)


def _places(nodes: set[Node], labels: LabelSource) -> dict[Node, tuple[str, str, int]]:
    """Find a point inside of each object, and its area; one frame is held in memory."""
    found: dict[Node, tuple[str, str, int]] = {}
    for frame in sorted({frame for frame, _ in nodes}):
        image = labels.frame(frame)
        for label in sorted(label for f, label in nodes if f == frame):
            mask = image == label
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            y, x = inner_point(window, int(rows[0]), int(columns[0]))
            found[frame, label] = (f"{y:g}", f"{x:g}", int(mask.sum()))
    return found
