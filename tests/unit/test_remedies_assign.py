"""What refusals of cells, nuclei, outlines and transcripts say is done here, and works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile
from fake_results import write_spatial
from refusals import follow
from test_outlines import (
    CELLS,
    assign,
    open_outlines,
    write_cosmx_polygons,
    write_geoparquet,
    write_transcripts,
)
from test_spatial import inspect, make_generic
from test_vendors import make_cosmx

import cellsam_core as cc
from cellsam_core.assignment.boundaries import write_boundaries
from cellsam_core.assignment.options import AssignOptions
from cellsam_core.assignment.purity.masks import grown_um
from cellsam_core.cli.compare_samples import _parse
from cellsam_core.comparison.samples import compare_samples
from cellsam_core.exports.options import ExportOptions
from cellsam_core.given_masks.source import open_masks, refuse_other_size
from cellsam_core.labels.source import open_labels
from cellsam_core.labels.tiles import LabelArray, measure_cells
from cellsam_core.nuclei.stage import pair_nuclei
from cellsam_core.reporting.results import Results
from cellsam_core.reporting.sections.bulk import bulk_section
from cellsam_core.reporting.sections.cells import cell_outlines
from cellsam_core.samples.movies import inspect_movie

LABELS = np.zeros((40, 50), np.uint16)
LABELS[2:10, 3:9], LABELS[20:30, 20:35] = 7, 300
TABLE = pd.DataFrame({"x_px": [4.0, 22, 25, 48], "y_px": [5.0, 22, 25, 3], "gene": list("ABAA")})
CELL_TABLE = measure_cells(LabelArray(LABELS)).assign(score=0.5)


def count(**given: Any) -> anndata.AnnData:
    return cc.assign(TABLE, **({"labels": LABELS, "pixel_size_um": 0.5} | given))


NUCLEI = np.where(np.roll(LABELS, 2, axis=0) == LABELS, LABELS, 0)
PAIRED = pair_nuclei(LABELS, NUCLEI)[2]
STAINS = np.ones((1, 40, 50), np.uint16)
GIVEN: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "a cell is not in the table": (
        {"cells": CELL_TABLE[1:]},
        "give the cell table that was written with these labels",
        {"cells": CELL_TABLE},
    ),
    "cells of other labels": (
        {"cells": CELL_TABLE.assign(area_px=60)},
        "give the cell table that was written with these labels",
        {"cells": CELL_TABLE},
    ),
    "cells of a movie": (
        {"cells": CELL_TABLE.assign(frame=[0, 1])},
        "give the cells.parquet that was written with the labels",
        {"cells": CELL_TABLE.assign(frame=0)},
    ),
    "stains of another tissue": (
        {"images": STAINS[:, :9], "channels": "DAPI"},
        "give the stains of the tissue that was segmented",
        {"images": STAINS, "channels": "DAPI"},
    ),
    "nuclei of other cells": (
        {"nuclei": NUCLEI, "nuclei_of_cells": PAIRED.set_index("label").iloc[:1].reset_index()},
        "pair the nuclei with these masks",
        {"nuclei": NUCLEI, "nuclei_of_cells": PAIRED},
    ),
}


@pytest.mark.parametrize("case", GIVEN)
def test_tables_and_images_of_the_labels_are_given_as_told(case):
    wrong, words, right = GIVEN[case]
    found = follow(lambda: count(**wrong), words, then=lambda: count(**right))
    assert found.obs["n_transcripts"].tolist() == [1, 2]


def test_a_manifest_and_its_labels_are_given_as_told(tmp_path):
    make_generic(tmp_path)
    look = lambda: inspect(tmp_path, pixel_size_um=0.5)  # noqa: E731
    manifest = look()
    labels = np.zeros(manifest.shape_yx, np.uint16)
    labels[4:20, 4:20] = 1
    follow(
        lambda: cc.assign(manifest, labels[:-1]),
        "give the labels of this sample",
        then=lambda: cc.assign(manifest, labels),
    )
    table = Path(str(manifest.transcripts.path))
    table.write_text(table.read_text() + table.read_text().splitlines()[-1] + "\n")
    follow(
        lambda: cc.assign(manifest, labels),
        "run `cellsam-core inspect` again",
        then=lambda: cc.assign(look(), labels),
    )


def test_outlines_are_given_as_told(tmp_path):
    path = write_cosmx_polygons(tmp_path / "S-polygons.csv")
    follow(
        lambda: open_outlines(path),
        "give the option --pixel-size-um",
        then=lambda: open_outlines(path, pixel_size_um=0.12),
    )
    write_boundaries(tmp_path / "b.parquet", [(1, shapely.box(1, 1, 9, 9))])
    given: dict[str, Any] = {"polygons": tmp_path / "b.parquet"}
    table = TABLE.rename(columns={"x_px": "x_um", "y_px": "y_um"})
    follow(
        lambda: cc.assign(table, options=AssignOptions(expand_um=1), **given),
        "leave one out",
        then=lambda: cc.assign(table, **given),
    )


def test_planes_of_transcripts_are_added_as_told(tmp_path):
    path = write_geoparquet(tmp_path / "p.parquet", CELLS, tuple(range(7)))
    table = write_transcripts(tmp_path / "t.csv")
    whole = table.read_text()
    without = pd.read_csv(table).drop(columns="z")
    for options, mend in (({}, lambda: table.write_text(whole)), ({"all_planes": True}, None)):
        without.to_csv(table, index=False)
        follow(
            lambda: assign(tmp_path, path, table),
            "add the column, or give --outlines-in-all-planes",
            mend,
            lambda options=options: assign(tmp_path, path, table, **options),
        )


def test_one_set_of_shapes_is_given_as_told(tmp_path):
    for name in ("cells", "nuclei"):
        folder = tmp_path / "data.zarr" / "shapes" / name
        folder.mkdir(parents=True)
        write_geoparquet(folder / "shapes.parquet", CELLS)
    look = lambda path: open_outlines(path).vendor_ids  # noqa: E731
    cells = tmp_path / "data.zarr/shapes/cells"
    follow(
        lambda: look(tmp_path / "data.zarr"),
        "give the one of the cells, such as .*/shapes/cells$",
        then=lambda: look(cells),
    )


def test_nuclei_are_paired_as_told(tmp_path):
    right = lambda: pair_nuclei(LABELS, NUCLEI)  # noqa: E731
    words = "give nuclei and cells of one sample"
    follow(lambda: pair_nuclei(LABELS, NUCLEI[:9]), words, then=right)
    words = "give the labels that `segment` returns"
    follow(lambda: pair_nuclei(LABELS, NUCLEI.astype(float)), words, then=right)
    follow(lambda: pair_nuclei(LABELS, NUCLEI, tmp_path), "leave `output` out", then=right)


def test_the_growth_of_cells_is_given_as_told(tmp_path):
    words = "give the distance as a number"
    found = follow(lambda: grown_um(tmp_path, "auto"), words, then=lambda: grown_um(tmp_path, 2.0))
    assert found == 2


# Samples beside each other


def test_samples_are_named_as_told():
    one, two = count(sample="a"), count(sample="a")
    right = lambda: compare_samples({"a": one, "b": two})  # noqa: E731
    follow(lambda: compare_samples([one, two]), r"as \{name: table\}", then=right)
    follow(lambda: compare_samples({"a": one}), "name another sample", then=right)
    follow(
        lambda: _parse(["a=x.h5ad", "a=y.h5ad"]),
        "give one of them another name",
        then=lambda: _parse(["a=x.h5ad", "b=y.h5ad"]),
    )


@pytest.fixture(scope="module")
def tissue(tmp_path_factory) -> Path:
    return write_spatial(tmp_path_factory.mktemp("tissue") / "results/s")


def test_cells_of_the_vendor_are_given_as_told(tissue, tmp_path):
    labels = open_labels(tissue / "2_masks/masks.zarr").frame(0).astype(np.uint32)
    tifffile.imwrite(tmp_path / "theirs.tif", labels)
    tifffile.imwrite(tmp_path / "other.tif", labels[:20])
    right = lambda: cc.compare_vendor(tissue, tmp_path / "theirs.tif")  # noqa: E731
    follow(lambda: cc.compare_vendor(tissue), "give the file of the vendor's cells", then=right)
    follow(
        lambda: cc.compare_vendor(tissue, tmp_path / "other.tif"),
        "give the vendor's cells of this sample",
        then=right,
    )


def test_genes_of_bulk_expression_are_named_as_told(tissue, tmp_path):
    genes = anndata.read_h5ad(tissue / "3_cells/cells.h5ad").var
    path = tmp_path / "bulk.csv"
    write = lambda names: path.write_text(  # noqa: E731
        "gene,value\n" + "".join(f"{name},{n}\n" for n, name in enumerate(names, 1))
    )
    write([f"ENSG{n}" for n in range(9)])
    follow(
        lambda: bulk_section(path, genes),
        "name the genes as the sample does, e.g. " + re.escape(genes.index[0]),
        lambda: write(genes.index),
    )


def test_outlines_and_cells_of_one_run_are_given_as_told(tissue, tmp_path):
    folder = shutil.copytree(tissue, tmp_path / "s")
    cells = anndata.read_h5ad(folder / "3_cells/cells.h5ad").obs
    look = lambda cells: cell_outlines(Results.load(folder), cells)  # noqa: E731
    follow(lambda: look(cells[1:]), "delete both files and run again", then=lambda: look(cells))


def test_masks_of_the_size_of_the_sample_are_given_as_told(tmp_path):
    for t in range(2):
        tifffile.imwrite(tmp_path / f"t{t}.tif", STAINS[0])
    manifest = inspect_movie(tmp_path, sample="s", assay="movie")
    masks = tmp_path / "masks.tif"

    def write(labels: np.ndarray) -> None:
        tifffile.imwrite(masks, labels, photometric="minisblack", metadata=None)

    write(np.stack([LABELS] * 3))
    follow(
        lambda: refuse_other_size(
            open_masks(masks, manifest, None), manifest.n_frames, manifest.shape_yx
        ),
        "give the masks of this sample, one label image for each frame",
        lambda: write(np.stack([LABELS] * 2)),
    )


def test_programs_for_a_movie_are_named_as_told(tmp_path):
    from fake_results import write_movie

    folder = write_movie(tmp_path / "results/m", n_frames=2)
    look = lambda programs: cc.export(folder, options=ExportOptions(programs=programs))  # noqa: E731
    follow(lambda: look("qupath"), "for a movie, name imagej", then=lambda: look("imagej"))


# Tissues


def test_one_field_of_several_kinds_is_named_as_told(tmp_path):
    folder = make_cosmx(tmp_path)
    stain = sorted(folder.rglob("*_F00002.TIF"))[0]
    pixels = tifffile.imread(stain)
    with tifffile.TiffFile(stain) as file:
        description = file.pages[0].description
    tifffile.imwrite(
        stain,
        pixels.astype(np.uint8),
        photometric="minisblack",
        description=description,
        metadata={},
    )
    follow(
        lambda: inspect(folder),
        "name one field in the column fov",
        then=lambda: inspect(folder, fov="1"),
    )


def test_a_pixel_size_that_contradicts_the_table_is_removed_as_told(tmp_path):
    make_generic(tmp_path)
    table = tmp_path / "my_transcripts.csv"
    um = np.random.default_rng(0).uniform(0, 15, (60, 2))
    rows = pd.DataFrame(np.hstack([um, 2 * um]), columns=["x_um", "y_um", "x_px", "y_px"])
    rows.assign(gene="a").to_csv(table, index=False)
    follow(
        lambda: inspect(tmp_path, pixel_size_um=0.9),
        "correct or remove pixel_size_um",
        then=lambda: inspect(tmp_path),
    )
