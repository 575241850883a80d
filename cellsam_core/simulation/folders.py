"""Writes simulated movies and tissues as folders that a microscope could have left.

No file holds a time stamp or a random identifier: same seed, same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tifffile

from cellsam_core.files.atomic import atomic_path
from cellsam_core.simulation.movie import CHANNELS, MovieSpec, simulate_movie
from cellsam_core.simulation.spatial import (
    FEATURES,
    GENES,
    TissueSpec,
    count_matrix,
    simulate_tissue,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.simulation.population import Division
    from cellsam_core.simulation.spatial import Tissue

MOVIE_PIXEL_SIZE_UM = 0.65
MOVIE_FRAME_INTERVAL_S = 300.0
SPATIAL_PIXEL_SIZE_UM = 0.108
SEQFISH_PIXEL_SIZE_UM = 0.103
# Micrometres of the mosaic's upper left corner in stage coordinates.
MOSAIC_ORIGIN_UM = (13.552, -13.127)
FOV_PX = 256


def write_movie(folder: Path, rng: np.random.Generator, spec: MovieSpec) -> None:
    """Write ``images/<channel>/tNNN.tif`` and ``truth/`` (CTC labels, divisions, ratios).

    Frames are written as they are simulated; memory does not grow with the movie.
    """
    width = max(3, len(str(spec.n_frames - 1)))
    spans: dict[int, list[int]] = {}
    divisions: list[Division] = []
    rows: list[dict[str, Any]] = []
    with atomic_path(folder) as root:
        for part in (*(f"images/{c}" for c in CHANNELS), "truth/nuclei"):
            (root / part).mkdir(parents=True)
        for number, frame in enumerate(simulate_movie(rng, spec)):
            stem = f"{number:0{width}d}"
            for channel in CHANNELS:
                _write_imagej(root / "images" / channel / f"t{stem}.tif", frame.images[channel])
            _write_labels(root / "truth" / f"man_track{stem}.tif", frame.labels)
            _write_labels(root / "truth" / "nuclei" / f"nuclei{stem}.tif", frame.nucleus_labels)
            divisions += frame.divisions
            for cell in frame.cells:
                spans.setdefault(cell.track_id, [number, number])[1] = number
                time_s = number * MOVIE_FRAME_INTERVAL_S
                rows.append({"frame": number, "time_s": time_s, **cell._asdict()})
        _write_movie_tables(root / "truth", spans, divisions, rows)
        write_json(
            root / "truth" / "movie.json",
            {
                "channels": list(CHANNELS),
                "cycle_frames": spec.cycle_frames,
                "division": spec.division,
                "drug_frame": spec.drug_frame,
                "frame_interval_s": MOVIE_FRAME_INTERVAL_S,
                "pixel_size_um": MOVIE_PIXEL_SIZE_UM,
                "ratio": "AMPKAR_480/AMPKAR_405",
            },
        )


def _write_movie_tables(
    truth: Path,
    spans: dict[int, list[int]],
    divisions: list[Division],
    rows: list[dict[str, Any]],
) -> None:
    parent = {d: e.parent_id for e in divisions if e.kind == "mitosis" for d in e.daughter_ids}
    # The CTC format knows no parent that lives on: mothers of buds are in divisions.csv only.
    lines = [f"{t} {b} {e} {parent.get(t, 0)}\n" for t, (b, e) in sorted(spans.items())]
    (truth / "man_track.txt").write_text("".join(lines))
    events = [
        [i, d.kind, d.frame, d.parent_id, ";".join(map(str, d.daughter_ids))]
        for i, d in enumerate(divisions, start=1)
    ]
    columns = ["event_id", "kind", "frame", "parent_id", "daughter_ids"]
    write_csv(truth / "divisions.csv", pd.DataFrame(events, columns=columns))
    columns = ["track_id", "frame", "time_s", "ratio", "expression", "area_px"]
    traces = pd.DataFrame(rows, columns=columns).sort_values(["track_id", "frame"])
    write_csv(truth / "traces_truth.csv", traces)


def write_merscope(folder: Path, rng: np.random.Generator, spec: TissueSpec) -> None:
    """Write a MERSCOPE region folder: mosaics, transform, manifest, transcripts, ``truth/``."""
    tissue = simulate_tissue(rng, spec)
    # As on the instrument, the two axes differ a little in scale.
    scale_xy = np.array([1.0, 0.999995]) / SPATIAL_PIXEL_SIZE_UM
    origin_um = np.array(MOSAIC_ORIGIN_UM)
    um_to_px = np.diag([*scale_xy, 1.0])
    um_to_px[:2, 2] = -origin_um * scale_xy
    far_um = origin_um + spec.size_px / scale_xy
    with atomic_path(folder) as root:
        (root / "images").mkdir(parents=True)
        for stain, stack in tissue.planes.items():
            for z, plane in enumerate(stack):
                write_tiff(root / "images" / f"mosaic_{stain}_z{z}.tif", plane)
        transform = root / "images" / "micron_to_mosaic_pixel_transform.csv"
        transform.write_text("".join(" ".join(map(repr, r)) + "\n" for r in um_to_px.tolist()))
        tiles = -(-spec.size_px // FOV_PX)
        write_json(
            root / "images" / "manifest.json",
            {
                "bbox_microns": [*origin_um.tolist(), *far_um.tolist()],
                "hor_num_tiles_box": tiles,
                "microns_per_pixel": SPATIAL_PIXEL_SIZE_UM,
                "mosaic_files": [
                    {"file_name": f"mosaic_{s}_z{z}.tif", "stain": s, "z": z}
                    for s in tissue.planes
                    for z in range(spec.n_z)
                ],
                "mosaic_height_pixels": spec.size_px,
                "mosaic_width_pixels": spec.size_px,
                "vert_num_tiles_box": tiles,
            },
        )
        table = _detected_transcripts(tissue, origin_um, scale_xy, tiles)
        write_csv(root / "detected_transcripts.csv", table, index=True)
        write_tissue_truth(root / "truth", tissue)


def _detected_transcripts(
    tissue: Tissue, origin_um: NDArray[np.float64], scale_xy: NDArray[np.float64], tiles: int
) -> pd.DataFrame:
    """Build the native table; its unnamed index is unique in a field of view only."""
    column, row = (
        np.clip(np.rint(v).astype(int) // FOV_PX, 0, tiles - 1) for v in (tissue.x_px, tissue.y_px)
    )
    fov = row * tiles + column
    identifiers = np.array([f"ENST{i:011d}" for i in range(1, len(FEATURES) + 1)])
    identifiers[len(GENES) :] = FEATURES[len(GENES) :]
    table = pd.DataFrame(
        {
            "barcode_id": tissue.feature,
            "global_x": tissue.x_px / scale_xy[0] + origin_um[0],
            "global_y": tissue.y_px / scale_xy[1] + origin_um[1],
            "global_z": tissue.z.astype(float),
            "x": tissue.x_px - column * FOV_PX,
            "y": tissue.y_px - row * FOV_PX,
            "fov": fov,
            "gene": np.array(FEATURES)[tissue.feature],
            "transcript_id": identifiers[tissue.feature],
        }
    )
    table.index = pd.Index(table.groupby("fov").cumcount())
    return table


def write_seqfish(folder: Path, rng: np.random.Generator, spec: TissueSpec) -> None:
    """Write ``dapi.tif``, ``membrane.tif`` (OME-TIFF, middle plane), ``transcripts.csv``, truth."""
    tissue = simulate_tissue(rng, spec)
    with atomic_path(folder) as root:
        root.mkdir(parents=True)
        for stain, stack in tissue.planes.items():
            _write_ome(root / f"{stain.lower()}.tif", stack[spec.n_z // 2], stain)
        table = pd.DataFrame(
            {
                "x_px": tissue.x_px,
                "y_px": tissue.y_px,
                "gene": np.array(FEATURES)[tissue.feature],
                "z": tissue.z,
            }
        )
        write_csv(root / "transcripts.csv", table)
        write_tissue_truth(root / "truth", tissue)


def write_tissue_truth(truth: Path, tissue: Tissue) -> None:
    """Write the true labels, cell types, counts and the cell of every transcript."""
    truth.mkdir()
    _write_labels(truth / "labels.tif", tissue.labels)
    _write_labels(truth / "nuclei.tif", tissue.nucleus_labels)
    cell_id = np.arange(1, len(tissue.cell_types) + 1)
    nucleus = np.isin(cell_id, tissue.nucleus_labels)
    write_csv(
        truth / "cells.csv",
        pd.DataFrame({"cell_id": cell_id, "cell_type": tissue.cell_types, "has_nucleus": nucleus}),
    )
    counts = pd.DataFrame(count_matrix(tissue), columns=list(FEATURES))
    counts.insert(0, "cell_id", cell_id)
    write_csv(truth / "cell_by_gene.csv", counts)
    # Row by row the transcript table, in its order.
    transcripts = pd.DataFrame(
        {
            "x_px": tissue.x_px,
            "y_px": tissue.y_px,
            "z": tissue.z,
            "gene": np.array(FEATURES)[tissue.feature],
            "cell_id": tissue.cell_id,
        }
    )
    write_csv(truth / "transcripts.csv", transcripts)


def _write_imagej(path: Path, plane: NDArray[np.uint16]) -> None:
    tifffile.imwrite(
        path,
        plane,
        imagej=True,
        software=False,
        resolution=(1 / MOVIE_PIXEL_SIZE_UM, 1 / MOVIE_PIXEL_SIZE_UM),
        metadata={"axes": "YX", "unit": "um", "finterval": MOVIE_FRAME_INTERVAL_S},
    )


def _write_ome(path: Path, plane: NDArray[np.uint16], channel: str) -> None:
    tifffile.imwrite(
        path,
        plane,
        ome=True,
        software=False,
        metadata={
            "axes": "YX",
            "Channel": {"Name": channel},
            "PhysicalSizeX": SEQFISH_PIXEL_SIZE_UM,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": SEQFISH_PIXEL_SIZE_UM,
            "PhysicalSizeYUnit": "µm",
            # tifffile would draw a random one.
            "UUID": "urn:uuid:00000000-0000-4000-8000-000000000000",
        },
    )


def write_tiff(path: Path, plane: NDArray[np.uint16]) -> None:
    """Write a plane ``(y, x)`` or pages ``(page, y, x)`` without metadata."""
    # Three pages are pages, no colours.
    tifffile.imwrite(path, plane, photometric="minisblack", software=False, metadata=None)


def _write_labels(path: Path, labels: NDArray[np.int32]) -> None:
    kind = np.uint16 if labels.max(initial=0) < 2**16 else np.uint32
    tifffile.imwrite(path, labels.astype(kind), software=False, metadata=None, compression="zlib")


def write_csv(path: Path, table: pd.DataFrame, *, index: bool = False) -> None:
    """Write a table with six decimals."""
    table.to_csv(path, index=index, float_format="%.6f", lineterminator="\n")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with sorted keys."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
