"""Writers of simulated movies and tissues, as folders that a microscope could have left.

No file holds a time stamp or a random identifier: same seed, same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tifffile

from cellsam_core.files.atomic import atomic_path
from cellsam_core.simulation.movie import CHANNELS
from cellsam_core.simulation.spatial import FEATURES, GENES
from cellsam_core.simulation.truth import (
    MOVIE_FRAME_INTERVAL_S,
    MovieTruth,
    cells_table,
    counts_table,
    transcripts_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.simulation.movie import Frame
    from cellsam_core.simulation.options import MovieOptions
    from cellsam_core.simulation.spatial import Tissue

MOVIE_PIXEL_SIZE_UM = 0.65
SPATIAL_PIXEL_SIZE_UM = 0.108
SEQFISH_PIXEL_SIZE_UM = 0.103
# Micrometres of the mosaic's upper left corner in stage coordinates.
MOSAIC_ORIGIN_UM = (13.552, -13.127)
FOV_PX = 256


def write_movie(folder: Path, frames: Iterable[Frame], options: MovieOptions) -> None:
    """Write ``images/<channel>/tNNN.tif`` and ``truth/`` (CTC labels, divisions, ratios).

    Frames are written as they are simulated, so memory does not grow with the movie.

    Parameters
    ----------
    folder
        Folder to write; replaced whole.
    frames
        Frames of :func:`.movie.iter_frames`.
    options
        Options that the frames were simulated with.
    """
    width = max(3, len(str(options.frames - 1)))
    truth = MovieTruth()
    with atomic_path(folder) as root:
        for part in (*(f"images/{c}" for c in CHANNELS), "truth/nuclei"):
            (root / part).mkdir(parents=True)
        for number, frame in enumerate(frames):
            stem = f"{number:0{width}d}"
            for channel in CHANNELS:
                _write_imagej(root / "images" / channel / f"t{stem}.tif", frame.images[channel])
            _write_labels(root / "truth" / f"man_track{stem}.tif", frame.labels)
            _write_labels(root / "truth" / "nuclei" / f"nuclei{stem}.tif", frame.nucleus_labels)
            truth.add(frame)
        _write_movie_truth(root / "truth", truth)
        write_json(
            root / "truth" / "movie.json",
            {
                "channels": list(CHANNELS),
                "cycle_frames": options.cycle_frames,
                "division": options.division,
                "drug_frame": options.drug_frame,
                "frame_interval_s": MOVIE_FRAME_INTERVAL_S,
                "pixel_size_um": MOVIE_PIXEL_SIZE_UM,
                "ratio": "AMPKAR_480/AMPKAR_405",
            },
        )


def _write_movie_truth(folder: Path, truth: MovieTruth) -> None:
    rows = truth.tracks().to_numpy(int).tolist()
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    (folder / "man_track.txt").write_text(text)
    write_csv(folder / "divisions.csv", truth.divisions())
    write_csv(folder / "traces_truth.csv", truth.traces())


def write_merscope(folder: Path, tissue: Tissue) -> None:
    """Write a MERSCOPE region folder: mosaics, transform, manifest, transcripts, ``truth/``."""
    size_px = len(tissue.labels)
    # As on the instrument, the two axes differ a little in scale.
    scale_xy = np.array([1.0, 0.999995]) / SPATIAL_PIXEL_SIZE_UM
    origin_um = np.array(MOSAIC_ORIGIN_UM)
    um_to_px = np.diag([*scale_xy, 1.0])
    um_to_px[:2, 2] = -origin_um * scale_xy
    far_um = origin_um + size_px / scale_xy
    with atomic_path(folder) as root:
        (root / "images").mkdir(parents=True)
        for stain, stack in tissue.planes.items():
            for z, plane in enumerate(stack):
                write_tiff(root / "images" / f"mosaic_{stain}_z{z}.tif", plane)
        transform = root / "images" / "micron_to_mosaic_pixel_transform.csv"
        transform.write_text("".join(" ".join(map(repr, r)) + "\n" for r in um_to_px.tolist()))
        tiles = -(-size_px // FOV_PX)
        write_json(
            root / "images" / "manifest.json",
            {
                "bbox_microns": [*origin_um.tolist(), *far_um.tolist()],
                "hor_num_tiles_box": tiles,
                "microns_per_pixel": SPATIAL_PIXEL_SIZE_UM,
                "mosaic_files": [
                    {"file_name": f"mosaic_{s}_z{z}.tif", "stain": s, "z": z}
                    for s, stack in tissue.planes.items()
                    for z in range(len(stack))
                ],
                "mosaic_height_pixels": size_px,
                "mosaic_width_pixels": size_px,
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


def write_seqfish(folder: Path, tissue: Tissue) -> None:
    """Write ``dapi.tif``, ``membrane.tif`` (OME-TIFF, middle plane), ``transcripts.csv``, truth."""
    with atomic_path(folder) as root:
        root.mkdir(parents=True)
        for stain, stack in tissue.planes.items():
            _write_ome(root / f"{stain.lower()}.tif", stack[len(stack) // 2], stain)
        table = transcripts_table(tissue)[["x_px", "y_px", "gene", "z"]]
        write_csv(root / "transcripts.csv", table)
        write_tissue_truth(root / "truth", tissue)


def write_tissue_truth(truth: Path, tissue: Tissue) -> None:
    """Write the true labels, cell types, counts and the cell of every transcript."""
    truth.mkdir()
    _write_labels(truth / "labels.tif", tissue.labels)
    _write_labels(truth / "nuclei.tif", tissue.nucleus_labels)
    write_csv(truth / "cells.csv", cells_table(tissue))
    write_csv(truth / "cell_by_gene.csv", counts_table(tissue))
    # The rows are those of the transcript table, in its order.
    write_csv(truth / "transcripts.csv", transcripts_table(tissue))


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
