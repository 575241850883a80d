"""Masks of the user, whatever their kind: one label image for each frame, read in tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely

from cellsam_core.assignment.boundaries import footprints, open_outlines
from cellsam_core.errors import InputError
from cellsam_core.files.filenames import natural_key
from cellsam_core.files.omezarr import is_omezarr
from cellsam_core.given_masks.draw import Drawing
from cellsam_core.given_masks.kinds import is_outlines, is_rois
from cellsam_core.given_masks.rois import read_rois
from cellsam_core.labels.image import as_tiles, open_label_image
from cellsam_core.labels.source import open_labels
from cellsam_core.samples.affine import apply_affine

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from cellsam_core.given_masks.options import Unit
    from cellsam_core.labels.tiles import LabelTiles
    from cellsam_core.samples.manifest import Manifest

LEAST_INSIDE = 0.5


@dataclass
class GivenMasks:
    """Masks of the user.

    Attributes
    ----------
    path
        Where they are.
    n_frames, shape_yx
        Number of frames; height and width in pixels, those of the sample for outlines.
    tiles
        Function of the frame index that returns the label image.
    names
        Ids of the cells in the user's file, by label; empty where labels are ids themselves.
    warnings
        Sentences for the log.
    """

    path: Path
    n_frames: int
    shape_yx: tuple[int, int]
    tiles: Callable[[int], LabelTiles]
    names: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def open_masks(
    path: str | Path, manifest: Manifest, unit: Unit | None, *, allow_mask: bool = False
) -> GivenMasks:
    """Open masks of any kind for a sample.

    Parameters
    ----------
    path
        Label images, as for :func:`cellsam_core.track`; ROIs of ImageJ; GeoJSON or the outlines
        of a vendor; or a folder with one file of ROIs or GeoJSON for each frame.
    manifest
        Manifest of the sample: size, frames, and place of the image.
    unit
        Unit of outlines; None takes pixels for a movie, and micrometres or what the file says for
        a tissue.
    allow_mask
        Accept the label image of a tissue with one number for all cells, too.

    Raises
    ------
    InputError
        They can't be read, or most of them lie outside of the image.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            path,
            found="no such file or folder",
            expected="masks of the sample",
            remedy="correct the path, in the sample sheet the column `masks` or `nuclei`",
        )
    files = _one_for_each_frame(path)
    if files:
        return _by_frame(path, files, manifest, unit)
    if is_rois(path):
        return _of_rois(path, manifest)
    if is_outlines(path):
        return _of_outlines(path, manifest, unit)
    if unit is not None:
        raise InputError(
            path,
            found=f"label images and the unit {unit}",
            expected="a unit for outlines only",
            remedy="leave the column `masks_unit`, or `nuclei_unit` for nuclei, empty",
        )
    if manifest.assay != "movie":
        image = open_label_image(path, allow_mask=allow_mask)
        return GivenMasks(path, 1, image.tiles.shape_yx, lambda _: image.tiles)
    source = open_labels(path)
    return GivenMasks(
        path,
        source.n_frames,
        source.shape_yx,
        lambda index: as_tiles(f"{path}, frame {index}", source.frame(index)),
    )


def refuse_other_size(masks: GivenMasks, n_frames: int, shape_yx: tuple[int, int]) -> None:
    """Refuse masks that are not of the size and number of the sample's images.

    Parameters
    ----------
    masks
        Masks of the user.
    n_frames, shape_yx
        Number of frames, and height and width in pixels, of the sample.

    Raises
    ------
    InputError
        They differ.
    """
    if (masks.n_frames, masks.shape_yx) != (n_frames, shape_yx):
        y, x = masks.shape_yx
        raise InputError(
            masks.path,
            found=f"{masks.n_frames} label image(s) of {x} x {y} px",
            expected=f"{n_frames} of {shape_yx[1]} x {shape_yx[0]} px, as the images of the sample",
            remedy="give the masks of this sample, one label image for each frame",
        )


def _one_for_each_frame(path: Path) -> list[Path]:
    if not path.is_dir() or is_omezarr(path):
        return []
    kinds = (".geojson", ".zip", ".roi")
    files = [file for file in path.iterdir() if file.name.lower().endswith(kinds)]
    return sorted(files, key=lambda file: natural_key(file.name))


def _by_frame(path: Path, files: list[Path], manifest: Manifest, unit: Unit | None) -> GivenMasks:
    """Open a folder with one file for each frame."""
    if len(files) != manifest.n_frames:
        raise InputError(
            path,
            found=f"{len(files)} files of outlines",
            expected=f"{manifest.n_frames}, one for each frame",
            remedy="add an empty file of the same kind for a frame without cells, and remove"
            " others",
        )

    def outlines(index: int) -> list[shapely.Geometry]:
        if is_rois(files[index]):
            return read_rois(files[index], 1)[1]
        return _in_px(files[index], manifest, unit)[0]

    def tiles(index: int) -> LabelTiles:
        return _drawing(files[index], outlines(index), manifest.shape_yx)

    return GivenMasks(path, len(files), manifest.shape_yx, tiles)


def _of_rois(path: Path, manifest: Manifest) -> GivenMasks:
    frame, shapes = read_rois(path, manifest.n_frames)

    def tiles(index: int) -> LabelTiles:
        own = [shapes[i] for i in np.flatnonzero(frame == index)]
        return _drawing(path, own, manifest.shape_yx)

    return GivenMasks(path, manifest.n_frames, manifest.shape_yx, tiles)


def _of_outlines(path: Path, manifest: Manifest, unit: Unit | None) -> GivenMasks:
    if manifest.n_frames != 1:
        raise InputError(
            path,
            found=f"one file of outlines for {manifest.n_frames} frames",
            expected="outlines of each frame",
            remedy="give a folder with one GeoJSON or ROI file for each frame, or label images",
        )
    shapes, names, warnings = _in_px(path, manifest, unit)
    drawing = _drawing(path, shapes, manifest.shape_yx)
    return GivenMasks(path, 1, manifest.shape_yx, lambda _: drawing, names, warnings)


def _in_px(
    path: Path, manifest: Manifest, unit: Unit | None
) -> tuple[list[shapely.Geometry], list[str], list[str]]:
    """Read outlines in pixels of the image, one for each cell, with ids and warnings."""
    source, size_um = manifest.transcripts, manifest.pixel_size_um
    if source is not None:
        to_px = np.array(source.um_to_px)
        outlines = open_outlines(path, source=source, unit=unit or "um")
    elif unit == "um":
        if size_um is None:
            raise InputError(
                path,
                found="outlines in micrometres and no pixel size",
                expected="the size of a pixel",
                remedy="fill the column `pixel_size_um`",
            )
        to_px = np.diag([1 / size_um, 1 / size_um, 1.0])
        outlines = open_outlines(path, unit="um")
    else:
        to_px = np.eye(3)
        outlines = open_outlines(path, pixel_size_um=1.0, unit="px")
    moved: npt.NDArray[np.object_] = shapely.transform(
        np.array(footprints(outlines.polygons), dtype=object),
        lambda xy: apply_affine(to_px, xy.T).T,
    )
    return list(moved), outlines.vendor_ids, outlines.warnings


def _drawing(path: Path, shapes: list[shapely.Geometry], shape_yx: tuple[int, int]) -> Drawing:
    """Draw outlines; refuse them if most lie outside of the image."""
    centres = shapely.get_coordinates(shapely.centroid(shapes)).reshape(-1, 2)
    height, width = shape_yx
    inside = ((centres > -0.5) & (centres < np.array([width, height]) - 0.5)).all(axis=1)
    if len(inside) and inside.mean() < LEAST_INSIDE:
        raise InputError(
            path,
            found=f"{len(inside) - int(inside.sum())} of {len(inside)} outlines outside of the"
            f" image of {width} x {height} px",
            expected="outlines of this image",
            remedy="set the column `masks_unit`, or `nuclei_unit` for nuclei, to px if they are in"
            " pixels, or to um if they are in micrometres; else give the outlines of this sample",
        )
    return Drawing(shapes, shape_yx)
