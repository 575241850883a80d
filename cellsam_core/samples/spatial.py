"""Spatial transcriptomics folders: stain images, transcripts, and the transform between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.spatialdata_store import refuse_store
from cellsam_core.samples.affine import pixel_size_of
from cellsam_core.samples.axes import check_axes
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.orientation import check_orientation
from cellsam_core.samples.placement import place_transcripts
from cellsam_core.samples.raw_rounds import find_format
from cellsam_core.samples.sources import (
    doubt_pixel_size,
    sources_of_tissue,
    tell_other_pixel_size,
)
from cellsam_core.samples.transcripts import iter_transcripts
from cellsam_core.samples.vendors import cosmx, generic, merscope, resolve, seqfish, xenium
from cellsam_core.samples.vendors.contract import ORIENTATIONS, Z_POLICIES, Choices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.samples.manifest import TranscriptSource
    from cellsam_core.samples.vendors.contract import FieldMosaic, Found

# Tried in this order; the last fits any folder.
READERS = {
    "merscope": merscope,
    "xenium": xenium,
    "cosmx": cosmx,
    "spatial_genomics": seqfish,
    "resolve": resolve,
    "generic": generic,
}
FORMATS = tuple(READERS)
# Part of a vendor's folder, the vendor, and the file without which it is not recognised.
SIGNS = (
    ("morphology_focus", "Xenium", "experiment.xenium"),
    ("morphology*.ome.tif", "Xenium", "experiment.xenium"),
    ("CellStatsDir", "CosMx", "*_tx_file.csv"),
    ("DecodedFiles/*/CellStatsDir", "CosMx", "*_tx_file.csv"),
    (
        "images/micron_to_mosaic_pixel_transform.csv",
        "MERSCOPE",
        "images/mosaic_<stain>_z<plane>.tif",
    ),
)


def inspect_spatial(
    path: str | Path,
    *,
    sample: str,
    assay: str,
    format: str = "auto",
    pixel_size_um: float | None = None,
    channels: Sequence[str] | None = None,
    fov: str | None = None,
    z_plane: int | None = None,
    z_policy: str = "all",
    min_qv: float | None = None,
    outside: str = "refuse",
    orientation: str | None = None,
) -> Manifest:
    """Find out what a folder of transcripts and stains holds and test that it fits together.

    Parameters
    ----------
    path
        A vendor's folder, or a folder with stain images and a transcript table.
    sample, assay
        Name and kind of the experiment, for the manifest.
    format
        One of `FORMATS`, or ``"auto"``.
    pixel_size_um
        Side of a pixel, where the files don't say it.
    channels
        Stains to use, in this order; for a multi-channel image without names, the names of all.
    fov, z_plane, z_policy, orientation
        See :class:`~cellsam_core.samples.vendors.contract.Choices`.
    min_qv
        Transcripts of a lower quality are left out; None for as the vendor does, 0 for none.
    outside
        ``"drop"`` leaves transcripts outside the image out; ``"refuse"`` refuses a table with more
        than half of them there.

    Raises
    ------
    InputError
        Something is missing, unreadable or contradicts something else; the message names it.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(
            folder,
            found="a file" if folder.exists() else "nothing",
            expected="a folder with stain images and transcripts",
            remedy="correct path in the sample sheet",
        )
    refuse_store(folder)
    _refuse_unknown("format", format, ("auto", *FORMATS))
    _refuse_unknown("z_policy", z_policy, Z_POLICIES)
    _refuse_unknown("orientation", orientation or "as_is", tuple(ORIENTATIONS))
    format = _find_out(folder) if format == "auto" else format
    choices = Choices(channels, pixel_size_um, fov, z_plane, z_policy, orientation or "as_is")
    found = READERS[format].read(folder, choices)
    source, warnings = place_transcripts(
        found.table,
        shape_yx=found.stains.shape_yx,
        pixel_size_um=found.pixel_size_um,
        um_to_px=found.um_to_px,
        columns=found.columns,
        keep=found.keep,
        mirror=found.mirror,
        min_qv=found.min_qv if min_qv is None else min_qv,
        outside=outside,
        is_tested=_can_be_tested(found),
    )
    source = replace(source, panel=[str(path) for path in found.panel])
    warnings += check_orientation(found, source, orientation, can_be_turned=format == "cosmx")
    if found.labels is None and found.mosaic is None and format != "cosmx":
        warnings += check_axes(source, found.stains, is_sure=orientation is not None)
    planes, shape_yx = [found.stains.planes], found.stains.shape_yx
    if found.mosaic is not None:
        planes, shape_yx = found.mosaic.planes, found.mosaic.fields.layout.shape_yx
        source, more = _put_on_mosaic(source, found.mosaic)
        warnings += more
    size = pixel_size_of(np.array(source.um_to_px))
    return Manifest(
        sample=sample,
        assay=assay,
        format=format,
        channels=found.stains.channels,
        n_frames=1,
        shape_yx=shape_yx,
        dtype=found.stains.dtype,
        pixel_size_um=size,
        frame_interval_s=None,
        planes=planes,
        transcripts=source,
        boundaries=None if found.boundaries is None else str(found.boundaries),
        labels=None if found.labels is None or found.mosaic else str(found.labels),
        warnings=[
            *found.warnings,
            *found.stains.warnings,
            *warnings,
            *tell_other_pixel_size(found, pixel_size_um),
            *doubt_pixel_size(size),
        ],
        sources=sources_of_tissue(found, pixel_size_um),
        kit=found.kit,
    )


def _find_out(folder: Path) -> str:
    """Name of the first reader that fits."""
    if find_format(folder):
        raise InputError(
            folder,
            found="raw rounds of imaging",
            expected="a transcript table",
            remedy="run `cellsam-core decode` first",
        )
    name = next(name for name, reader in READERS.items() if reader.fits(folder))
    if name == "generic":
        _refuse_incomplete(folder)
    return name


def _refuse_incomplete(folder: Path) -> None:
    """Refuse the folder of a vendor that lacks the file by which it is recognised."""
    for pattern, vendor, lacking in SIGNS:
        if next(folder.glob(pattern), None) is not None:
            raise InputError(
                folder,
                found=f"files of {vendor}, but no {lacking}",
                expected=f"{lacking}, by which the folder is recognised",
                remedy="copy it from the instrument's output or give it this name; or set the"
                " column `format` to generic, if the folder is no output of an instrument",
            )


def _put_on_mosaic(
    source: TranscriptSource, mosaic: FieldMosaic
) -> tuple[TranscriptSource, list[str]]:
    """Turn a table placed on single fields into one on their mosaic; tell what overlaps cost."""
    um_to_px = mosaic.slide_to_px @ np.array(source.um_to_px)
    placed = replace(source, fields=mosaic.fields, um_to_px=um_to_px.tolist())
    layout = mosaic.fields.layout
    if source.crop is not None:
        placed = replace(placed, crop=list(layout.shape_yx))
        return replace(placed, n_rows=sum(b.num_rows for b in iter_transcripts(placed))), []
    if not any(len(layout.overlapping(field)) for field in range(len(mosaic.planes))):
        return placed, []
    n_rows = sum(batch.num_rows for batch in iter_transcripts(placed))
    warning = (
        f"{source.n_rows - n_rows} of {source.n_rows} transcripts lie where fields overlap and "
        "belong to the neighbouring field: they are left out."
    )
    return replace(placed, n_rows=n_rows), [warning]


def _refuse_unknown(column: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(
            column,
            found=repr(value),
            expected=f"one of {', '.join(known)}",
            remedy=f"correct {column} in the sample sheet",
        )


def _can_be_tested(found: Found) -> bool:
    """Tell whether labels and the cells of the transcripts can test the placement."""
    return found.labels is not None and found.columns is not None and found.columns.cell is not None
