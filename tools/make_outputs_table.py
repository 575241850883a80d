"""Write docs/outputs.md from the columns that the stages declare.

``python tools/make_outputs_table.py``, or ``make config-table``
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.reporting.outputs import OUTPUTS

if TYPE_CHECKING:
    from cellsam_core.outputs import Column, Output

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "outputs.md"
WHERE = {
    "any sample": "every sample",
    "movie": "movies",
    "tissue": "tissues",
    "raw rounds": "raw rounds of MERFISH or seqFISH",
    "several samples": "several samples together",
}

HEAD = """\
<!-- made from <stage>/columns.py: change those, then `make config-table` -->
# Output files

All files of a sample are in `results/<sample>/`. This page lists every file and every column: type,
unit, meaning, and the mark of a value that is not known.

Names of columns do not depend on what is known of a sample: a column whose value is not known is
there and empty. The column `sample` is in every table of one sample, so that tables of several
samples can be joined. Numbers of frames, and pixels, begin at 0; numbers of cells and tracks begin
at 1, and 0 means none. Parquet files carry the same descriptions in the metadata of their columns,
`cells.h5ad` carries them in `uns["columns"]`.

## Version

`schema_version` is in `0_manifest.json`, `provenance.json`, `verdict.json` and `uns` of
`cells.h5ad`. It is raised if a file or a column is renamed or removed, or if values get another
unit or meaning. New files and columns do not raise it. Results of another version are refused:
delete the folder of the sample in `results`, and run the workflow again.

| version | change |
|---|---|
| 1 | first version |
| 2 | tissues: `x_um`, `y_um` of `2_masks/cells.parquet` are in the frame `slide`, were `image` |
| 2 | tissues: `obs.region` of `cells.h5ad` is the name of the sample, was `cells` |

## Coordinates

Coordinates are in one of three frames:

| frame | columns | origin and unit |
|---|---|---|
| pixels | `x`, `y`; `x_px`, `y_px` | centre of the first pixel of the image; px; y points down |
| `image` | `x_image_um`, `y_image_um`, `obsm["spatial_image"]` | as for pixels; um |
| `slide` | `x_um`, `y_um`, `obsm["spatial"]`, outlines | as in the vendor's transcript table; um |

For a tissue, the transform from `slide` to pixels is in `0_manifest.json` (`transcripts.um_to_px`),
in the attributes of `frames.zarr` and `masks.zarr`, in the metadata
`cellsam_core:coordinates` of `transcripts.parquet` and `boundaries.parquet`, and in
`uns["coordinates"]` of `cells.h5ad`. A movie has no place on a slide: `x_um` and `x_image_um` are
the same.
"""


def page() -> str:
    """Build the whole of docs/outputs.md."""
    parts = [HEAD]
    before = ""
    for output in OUTPUTS:
        if output.path != before:
            parts.append(f"\n## `{output.path}`\n")
            before = output.path
        parts.append(section(output))
    return "".join(parts)


def section(output: Output) -> str:
    """Build the text and the table of one file, or of one part of a file."""
    title = f"\n### `{output.part}`\n" if output.part else ""
    where = f"Written for {WHERE[output.samples]}"
    where += f", if {output.when}." if output.when else "."
    text = f"{title}\n{output.text} {where}\n"
    if not output.columns:
        return text
    head = "\n| column | type | unit | meaning | not known | since |\n|---|---|---|---|---|---|\n"
    return text + head + "".join(map(row, output.columns))


def row(column: Column) -> str:
    """Build one row of the table."""
    when = f" Only there if {column.when}." if column.when else ""
    cells = (
        f"`{column.name}`",
        column.type,
        column.unit,
        f"{column.text}.{when}",
        column.missing,
        column.since,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
