"""Our segmentation beside a vendor's: matched cells, counts, and the pages of the workflow.

``python benchmarks/compare_vendor.py FOLDER -o out``, where FOLDER holds
``vizgen_mousebrain_mini``, ``cosmx_lung12_mini`` and ``merscope_vpt_mouseliver``. Runs the commands
of the workflow, and prints a table. ``out/<sample>/6_vendor/vendor.html`` shows where the two
differ most.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cellsam_core.cli import main as cellsam

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Sample:
    """A folder, the vendor's labels in it, and options of the commands."""

    name: str
    folder: str
    labels: str
    inspect: str
    preprocess: str = ""
    segment: str = ""
    expand_um: float = 0.0


VIZGEN_OPTIONS = "--pixel-size-um 0.1086 --z-plane 0 --z-policy one"
VIZGEN = ("vizgen_mousebrain_mini", "cells_label_z0.tif", VIZGEN_OPTIONS)
COSMX = "--pixel-size-um 0.18 --channels CD45,PanCK,DAPI --fov"
COSMX_2 = ("cosmx_lung12_mini", "cells_label_F002.tif", f"{COSMX} 2")
COSMX_3 = ("cosmx_lung12_mini", "cells_label_F003.tif", f"{COSMX} 3")
NUCLEI = "--nuclear-channel DAPI"
"""The vendor's cells of this sample are nuclei that were grown."""
LIVER_OPTIONS = "--channels DAPI,Cellbound1,Cellbound2 --z-plane 3"
SAMPLES = (
    Sample("vizgen", *VIZGEN),
    Sample("vizgen_80_px", *VIZGEN, segment="--cell-diameter-px 80"),
    Sample("vizgen_80_px_with_holes", *VIZGEN, segment="--cell-diameter-px 80 --dark-cells keep"),
    Sample("cosmx_2", *COSMX_2),
    Sample("cosmx_2_plus_2_um", *COSMX_2, expand_um=2),
    Sample("cosmx_3", *COSMX_3),
    Sample("cosmx_3_plus_2_um", *COSMX_3, expand_um=2),
    Sample("cosmx_2_nuclei_plus_2_um", *COSMX_2, preprocess=NUCLEI, expand_um=2),
    Sample("cosmx_3_nuclei_plus_2_um", *COSMX_3, preprocess=NUCLEI, expand_um=2),
    Sample("liver", "merscope_vpt_mouseliver", "cells_label_z3.tif", LIVER_OPTIONS),
)
HEADER = (
    *("sample", "transcripts in our cells", "in the vendor's", "IoU", "matched", "only ours"),
    *("only theirs", "r of totals", "r of cell by gene", "in the matched cell"),
)


def run(sample: Sample, data: Path, out: Path) -> None:
    """Run the commands of the workflow, up to the page of the vendor's cells."""
    folder = data / sample.folder
    manifest, frames, masks = (
        out / name for name in ("0_manifest.json", "1_preprocessed/frames.zarr", "2_masks")
    )
    batch, cells = masks / "1-of-1.parquet", masks / "cells.parquet"
    for command in (
        f"inspect {folder} --sample {sample.name} --assay merfish {sample.inspect} -o {manifest}",
        f"preprocess {manifest} {sample.preprocess} -o {frames}",
        f"segment-batch {frames} --batch 1-of-1 --device cpu {sample.segment} -o {batch}",
        f"stitch {frames} {batch} --masks {masks / 'masks.zarr'} --cells {cells}",
        f"assign --manifest {manifest} --labels {masks / 'masks.zarr'} --cells {cells}"
        f" --expand-um {sample.expand_um} -o {out / '3_cells'}",
        f"compare-vendor {out} --theirs {folder / sample.labels} -o {out / '6_vendor'}",
    ):
        if cellsam(command.split()) != 0:
            raise SystemExit(f"failed: {command}")


def rows(name: str, folder: Path) -> Iterator[tuple[Any, ...]]:
    """Make a row for each IoU from which cells match."""
    record = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    pairs = pd.read_parquet(folder / "cells_matched.parquet")
    captured = (record["ours"]["capture"], record["vendor"]["capture"])
    for each in record["matches"]:
        matched = pairs[pairs["iou"] >= each["iou"]]
        same = matched["n_common"].sum() / max(matched["n_vendor"].sum(), 1)
        figures = (str(each["iou"]), each["matched"], each["gained"], each["lost"])
        yield name, *captured, *figures, each["r_totals"], each["r_counts"], same


def main() -> None:
    """Print two rows for each sample, and write its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--samples", help="names of some of the samples, separated by commas")
    args = parser.parse_args()
    wanted = args.samples.split(",") if args.samples else [sample.name for sample in SAMPLES]
    print("| " + " | ".join(HEADER) + " |")
    print("|" + "---|" * len(HEADER))
    for sample in SAMPLES:
        if sample.name not in wanted:
            continue
        out = args.output / sample.name
        run(sample, args.data, out)
        for row in rows(sample.name, out / "6_vendor"):
            words = (f"{v:.3f}" if isinstance(v, float) else str(v) for v in row)
            print("| " + " | ".join(words) + " |", flush=True)


if __name__ == "__main__":
    main()
