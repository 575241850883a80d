"""Transcripts as they are given: a table, its path, or a manifest; where they lie on the image."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cellsam_core.errors import InputError
from cellsam_core.files.tables import table_errors
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.placement import place_in_um, place_transcripts, tell_rejected
from cellsam_core.samples.table_rows import TableInMemory

if TYPE_CHECKING:
    from cellsam_core.assignment.options import AssignInputOptions
    from cellsam_core.labels.image import LabelImage
    from cellsam_core.samples.manifest import TranscriptSource

log = logging.getLogger(__name__)


def manifest_of(transcripts: pd.DataFrame | str | Path | Manifest) -> Manifest | None:
    """Open the manifest, if it is not a table that is given."""
    if isinstance(transcripts, str | Path) and Path(transcripts).suffix == ".json":
        return Manifest.load(transcripts)
    return transcripts if isinstance(transcripts, Manifest) else None


def place(
    transcripts: pd.DataFrame | str | Path | Manifest,
    manifest: Manifest | None,
    pixel_size_um: float | None,
    image: LabelImage | None,
    inputs: AssignInputOptions,
) -> TranscriptSource:
    """Find out where on the label image, or among polygons, the transcripts lie."""
    if manifest is not None:
        where = f"sample {manifest.sample}" if transcripts is manifest else str(transcripts)
        return _from_manifest(manifest, where, image)
    assert not isinstance(transcripts, Manifest)
    path: str | Path
    if isinstance(transcripts, str | Path):
        path = transcripts
    else:
        path = TableInMemory("transcripts", _arrow(transcripts))
    if image is None:
        source = place_in_um(path, pixel_size_um, min_qv=inputs.min_qv)
        warnings = tell_rejected(source)
    else:
        source, warnings = place_transcripts(
            path,
            shape_yx=image.tiles.shape_yx,
            pixel_size_um=pixel_size_um or image.pixel_size_um,
            min_qv=inputs.min_qv,
            outside=inputs.outside,
        )
    for warning in warnings:
        log.warning(warning)
    # A source names its table by text, which would lose one in memory.
    return replace(source, path=path) if isinstance(path, TableInMemory) else source


def _arrow(transcripts: Any) -> pa.Table:
    """Take a table of pandas, or of another library that speaks Arrow, such as polars."""
    with table_errors("transcripts"):
        if isinstance(transcripts, pd.DataFrame):
            return pa.Table.from_pandas(_native(transcripts), preserve_index=False)
        if hasattr(transcripts, "__arrow_c_stream__"):
            return pa.table(transcripts)
    raise InputError(
        "transcripts",
        found=f"an object of type {type(transcripts).__name__}",
        expected="a table of pandas, a path or a manifest",
        remedy="make it a DataFrame, for example with pandas.DataFrame(...) or .compute() of dask",
    )


def _native(table: pd.DataFrame) -> pd.DataFrame:
    """Bring numbers to the byte order of this computer, which Arrow needs."""
    native = table.copy(deep=False)
    for name, column in table.items():
        if isinstance(column.dtype, np.dtype) and not column.dtype.isnative:
            native[name] = column.to_numpy().astype(column.dtype.newbyteorder("="))
    return native


def _from_manifest(manifest: Manifest, where: str, image: LabelImage | None) -> TranscriptSource:
    if image is not None and image.tiles.shape_yx != manifest.shape_yx:
        height, width = image.tiles.shape_yx
        raise InputError(
            where,
            found=f"an image of {manifest.shape_yx[1]} x {manifest.shape_yx[0]} px",
            expected=f"the {width} x {height} px of the labels",
            remedy="give the labels of this sample",
        )
    return manifest.require_transcripts(where)
