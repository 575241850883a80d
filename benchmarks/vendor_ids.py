"""How many transcripts get the cell that the vendor gave them.

``python benchmarks/vendor_ids.py FOLDER``, where FOLDER holds ``cosmx_lung12_mini``, with label
images, and ``xenium_mousebrain_tiny``, with polygons.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import shapely

from cellsam_core.assignment.boundaries import footprints, read_polygons
from cellsam_core.cli import main as cellsam

NONE = "none"


def run(command: str) -> None:
    """Run a command of the program."""
    if cellsam(command.split()) != 0:
        raise SystemExit(f"failed: {command}")


def cosmx(folder: Path, fov: int, out: Path) -> tuple[pd.Series, pd.Series]:
    """Find the cells of all transcripts of a field, ours and the vendor's, by its label image."""
    run(
        f"inspect {folder} --sample s --assay merfish --fov {fov} --pixel-size-um 0.18"
        f" --channels CD45,PanCK,DAPI -o {out}/m.json"
    )
    run(f"assign --manifest {out}/m.json --labels {folder}/cells_label_F00{fov}.tif -o {out}")
    table = pd.read_parquet(out / "transcripts.parquet")
    ours = table["cell_id"].astype(str).replace("0", NONE)
    return ours, table["vendor_cell_id"].astype(object).fillna(NONE)


def xenium(folder: Path, out: Path) -> tuple[pd.Series, pd.Series, pd.DataFrame]:
    """Find the cells of all transcripts, ours and the vendor's, by its polygons."""
    table = folder / "transcripts.csv"
    run(f"assign --polygons {folder}/cell_boundaries.csv --transcripts {table} -o {out}")
    cells = anndata.read_h5ad(out / "cells.h5ad").obs
    names = {0: NONE} | dict(zip(cells["cell_id"], cells["vendor_cell_id"], strict=True))
    ours = pd.read_parquet(out / "transcripts.parquet")["cell_id"].map(names)
    given = pd.read_csv(table, dtype={"cell_id": str})
    return ours, given["cell_id"], given


def explain(folder: Path, ours: pd.Series, given: pd.DataFrame) -> str:
    """Say how far from their own polygon the transcripts are that got another cell or none."""
    polygons, ids = read_polygons(folder / "cell_boundaries.csv")
    shapes = dict(zip(ids, footprints(polygons), strict=True))
    wrong = given[(ours != given["cell_id"]).to_numpy()]
    known = wrong[wrong["cell_id"].isin(ids)]
    points = shapely.points(known["x_location"], known["y_location"])
    far = shapely.distance(points, known["cell_id"].map(shapes).to_numpy())
    outside = (ours == NONE).sum()
    return (
        f"{len(wrong)} differ: {outside} in no polygon, {len(wrong) - outside} in a neighbour's; "
        f"{len(wrong) - len(known)} are of cells without a polygon; of the others the median is "
        f"{np.median(far):.2f} um and the farthest {far.max():.2f} um outside its own polygon"
    )


def row(name: str, ours: pd.Series, theirs: pd.Series) -> str:
    """Build a row of the table."""
    same, is_in = (ours == theirs).to_numpy(), (ours != NONE).to_numpy()
    return (
        f"| {name} | {len(same)} | {100 * same.mean():.1f} % | {100 * same[is_in].mean():.1f} % |"
    )


def main() -> None:
    """Print one row for each field or crop, and where polygons differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        for fov in (2, 3):
            ours, theirs = cosmx(data / "cosmx_lung12_mini", fov, out)
            rows.append(row(f"CosMx, field {fov}, labels", ours, theirs))
        for crop in (1, 2):
            folder = data / "xenium_mousebrain_tiny" / f"sample{crop}"
            ours, theirs, given = xenium(folder, out)
            rows.append(row(f"Xenium, crop {crop}, polygons", ours, theirs))
            notes.append(f"Xenium, crop {crop}: {explain(folder, ours, given)}")
    print("| set | transcripts | as the vendor, of all | of those in a cell of ours |")
    print("|---|---|---|---|")
    print("\n".join([*rows, "", *notes]))


if __name__ == "__main__":
    main()
