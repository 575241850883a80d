"""Outlines of the cells of a finished sample, in pixels as other programs count them.

Here the centre of the first pixel is at 0; in QuPath, ImageJ and GeoJSON its corner is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.polygon import orient

from cellsam_core.corrections.result import masks_folder
from cellsam_core.files.parquet import open_parquet
from cellsam_core.files.tables import read_table, table_errors
from cellsam_core.labels.outline import outlines
from cellsam_core.labels.source import open_labels
from cellsam_core.samples.affine import apply_affine
from cellsam_core.samples.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

ROWS = 10_000
CENTRE_TO_CORNER = 0.5
BOX = ["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]


@dataclass(frozen=True)
class Sample:
    """A finished sample.

    Attributes
    ----------
    folder
        Folder of its results.
    manifest
        Its manifest.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def load(cls, folder: str | Path) -> Sample:
        """Open the folder of a sample.

        Raises
        ------
        InputError
            It has no manifest.
        """
        return cls(Path(folder), Manifest.load(Path(folder) / "0_manifest.json"))

    @property
    def name(self) -> str:
        """Name of the sample."""
        return self.manifest.sample

    @property
    def is_movie(self) -> bool:
        """True for a movie."""
        return self.manifest.transcripts is None

    @property
    def masks(self) -> Path:
        """Masks of the cells; those that a user has corrected, if there are any."""
        return masks_folder(self.folder) / "masks.zarr"

    @property
    def um_to_px(self) -> npt.NDArray[np.float64]:
        """3x3 affine from the slide to pixels of the image."""
        return np.array(self.manifest.require_transcripts(self.folder).um_to_px)


def outlines_um(sample: Sample) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.object_]]]:
    """Yield numbers and outlines of the cells of a tissue, in um on the slide, by thousands."""
    path = sample.folder / "3_cells/boundaries.parquet"
    with table_errors(path), open_parquet(path) as file:
        for batch in file.iter_batches(ROWS, columns=["cell_id", "geometry"]):
            yield batch["cell_id"].to_numpy(), shapely.from_wkb(batch["geometry"].to_numpy(False))


def outlines_px(sample: Sample) -> Iterator[tuple[int, int, shapely.Geometry]]:
    """Yield frame, number and outline of each cell, in pixels from the corner of the image."""
    if sample.is_movie:
        yield from _of_movie(sample)
        return
    matrix = sample.um_to_px

    def to_px(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return apply_affine(matrix, xy.T).T + CENTRE_TO_CORNER

    for cell_ids, geometry in outlines_um(sample):
        for cell_id, shape in zip(cell_ids.tolist(), geometry, strict=True):
            yield 0, cell_id, shapely.transform(shape, to_px)


def _of_movie(sample: Sample) -> Iterator[tuple[int, int, shapely.Geometry]]:
    masks = open_labels(sample.masks)
    cells = read_table(sample.masks.with_name("cells.parquet"), ["frame", "label", *BOX])
    by_frame: dict[Any, pd.DataFrame] = dict(tuple(cells.groupby("frame")))
    for frame, rows in sorted(by_frame.items(), key=lambda item: item[0]):
        labels = masks.frame(frame)
        of_cells = (
            (labels[y0:y1, x0:x1] == label, y0, x0)
            for label, y0, x0, y1, x1 in rows[["label", *BOX]].itertuples(index=False)
        )
        for label, shape in zip(rows["label"], outlines(of_cells), strict=True):
            yield frame, int(label), shapely.transform(shape, lambda xy: xy + 0.5)


def rings_of(shape: shapely.Geometry) -> list[npt.NDArray[np.float64]]:
    """Return one closed ring for each part of a shape; its holes are cut open.

    A hole is joined to the ring by a line that is walked twice, so that the area stays right in
    programs that know no holes.
    """
    parts = shape.geoms if shape.geom_type == "MultiPolygon" else [shape]
    rings = []
    for part in parts:
        # The ring runs against the clock and holes with it, so that areas subtract.
        turned = orient(part)
        ring = shapely.get_coordinates(turned.exterior)
        for hole in turned.interiors:
            inner = shapely.get_coordinates(hole)
            distance = np.linalg.norm(ring[:, None] - inner[None], axis=2)
            i, j = np.unravel_index(np.argmin(distance), distance.shape)
            walked = np.concatenate([inner[j:-1], inner[: j + 1]])
            ring = np.concatenate([ring[: i + 1], walked, ring[i:]])
        rings.append(ring)
    return rings
