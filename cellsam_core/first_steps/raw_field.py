"""One plane of one field of raw rounds, decoded for a preview."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.run_plan.extent import Extent
from cellsam_core.samples.affine import apply_affine
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.raw_rounds import FORMATS, find_format
from cellsam_core.samples.stage import inspect

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.decoding.options import DecodeOptions
    from cellsam_core.first_steps.crops import Crop
    from cellsam_core.samples.manifest import Manifest

OF_DECODING = ("format", "pixel_size_um")
"""Columns that say how the raw rounds are read, and not the decoded folder."""


@dataclass(frozen=True)
class RawPart:
    """Decoded part of raw rounds.

    Attributes
    ----------
    manifest
        Description of the decoded part, a tissue.
    extent
        Size of the whole sample.
    hours
        Estimated time of decoding the whole sample, in hours.
    text
        Sentence on the transcripts of the part.
    xy_px
        ``(n, 2)`` positions of the transcripts in pixels of the part.
    is_blank
        ``(n,)``: transcripts of blanks, which are wrong.
    """

    manifest: Manifest
    extent: Extent
    hours: float
    text: str
    xy_px: NDArray[np.float64]
    is_blank: NDArray[np.bool_]

    def spots_in(self, crop: Crop) -> NDArray[np.float64]:
        """Return ``(n, 3)``: x, y in pixels of a crop, and 1 for a blank, of its transcripts."""
        xy = self.xy_px - [crop.x0, crop.y0]
        height, width = crop.pixels.shape[1:]
        inside = ((xy > -0.5) & (xy < [width - 0.5, height - 0.5])).all(axis=1)
        return np.column_stack([xy, self.is_blank])[inside]


def is_raw(path: Path, row: dict[str, Any]) -> bool:
    """Tell raw rounds, which are decoded first, from other samples.

    Parameters
    ----------
    path
        Folder or file of the sample.
    row
        Its row of the sample sheet.
    """
    if row["assay"] == "movie":
        return False
    return row.get("format") in FORMATS or (path.is_dir() and find_format(path) is not None)


def decode_part(path: Path, row: dict[str, Any], options: DecodeOptions, scratch: Path) -> RawPart:
    """Decode the middle plane of the middle field.

    Parameters
    ----------
    path
        Folder of the raw rounds.
    row
        Row of the sample sheet.
    options
        Options of decoding.
    scratch
        Folder for the decoded part.

    Raises
    ------
    InputError
        The rounds can't be read or decoded.
    """
    import pyarrow.parquet as pq

    from cellsam_core.decoding.open_raw import open_raw
    from cellsam_core.decoding.stage import decode_experiment

    raw = open_raw(path, row.get("format", "auto"), row.get("pixel_size_um"))
    field = raw.fields[len(raw.fields) // 2]
    z = len(field.bits) // 2
    part = replace(raw, fields=[replace(field, bits=[field.bits[z]])])
    start = time.perf_counter()
    decoded = decode_experiment(path, part, scratch / "decoded", options)
    seconds = (time.perf_counter() - start) * len(raw.fields) * len(field.bits)
    keys = [item.name for item in fields(InspectOptions) if item.name not in OF_DECODING]
    given = {key: row[key] for key in keys if key in row}
    manifest = inspect(
        decoded.folder,
        assay=row["assay"],
        sample=row["sample"],
        options=InspectOptions(**given),
    )
    source = manifest.require_transcripts(path)
    table = pq.read_table(source.path, columns=["x_um", "y_um", "gene"]).to_pandas()
    affine = np.array(source.um_to_px, dtype=np.float64)
    x, y = apply_affine(affine, table[["x_um", "y_um"]].to_numpy(np.float64).T)
    blanks = np.array(raw.codebook.names)[raw.codebook.is_blank]
    found = decoded.summary
    wrong = found["misidentification_rate"]
    rate = "not measured, there is no blank" if wrong is None else f"{wrong:.1%}"
    text = (
        f"decoded field {field.name}, plane {z + 1} of {len(field.bits)}:"
        f" {found['n_gene_calls']} transcripts of genes, {found['n_blank_calls']} of blanks,"
        f" share of wrong ones {rate}"
    )
    return RawPart(
        manifest,
        Extent(len(raw.fields), raw.shape_yx),
        seconds / 3600,
        text,
        np.column_stack([x, y]),
        table["gene"].isin(blanks).to_numpy(),
    )
