"""Folders with the names and columns that instruments and programs really write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from refusals import follow

import cellsam_core as cc
from cellsam_core.errors import InputError
from cellsam_core.samples.transcripts import iter_transcripts

SIZE = (30, 40)


def image(path: Path, shape: tuple[int, ...] = SIZE, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(90, 110, shape).astype(np.uint16)
    tifffile.imwrite(path, pixels, **options)


def spots(path: Path, **columns: object) -> None:
    table = pd.DataFrame({"x": [2.0, 35.0, 20.0], "y": [3.0, 25.0, 10.0]} | columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".txt" else ",")


GENES = ["Gad1", "Sst", "Gad1"]
# File and its columns: Baysor, pciSeq, EEL FISH, MERFISH of the Allen Institute, STARmap.
TABLES = {
    "segmentation.csv": {"gene": GENES, "cell": "", "is_noise": True},
    "pciseq_input.csv": {"Gene": GENES},
    "LBEXP_RNA_transformed.parquet": {"decoded_genes": GENES},
    "spots_mouse1sample1.csv": {"target_molecule_name": GENES},
    "goodPoints.csv": {"Gene": GENES, "z": 1},
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_transcripts_is_known_by_its_columns(tmp_path, name):
    """Each was proposed as a movie of one frame, its table unread and unmentioned."""
    image(tmp_path / "dapi.tif")
    spots(tmp_path / name, **TABLES[name])
    pd.DataFrame({"cell": [1], "x": [1], "y": [1]}).to_csv(tmp_path / "cell_stats.csv")
    (proposal,) = cc.propose_sheet([tmp_path])
    assert proposal.row["assay"] == "merfish"
    assert set(proposal.to_fill) == {"pixel_size_um"}
    options = cc.InspectOptions(pixel_size_um=0.5)
    assert cc.inspect(tmp_path, assay="merfish", options=options).transcripts.n_rows == 3


def test_columns_of_other_names_are_renamed_as_told(tmp_path):
    image(tmp_path / "DAPI.tif")
    table = tmp_path / "QT_0.35_details_noNNNN.csv"
    right = pd.DataFrame({"x_px": [2.0], "y_px": [3.0], "Gene": ["Gad1"]})
    for x, y in (("PosX", "PosY"), ("c_px_stitched", "r_px_stitched")):
        right.rename(columns={"x_px": x, "y_px": y}).to_csv(table, index=False)
        read = lambda: cc.inspect(  # noqa: E731
            tmp_path, assay="merfish", options=cc.InspectOptions(pixel_size_um=0.5)
        )
        words = f"rename the columns '{x}', '{y}' to x_um, y_um .* or x_px, y_px"
        assert follow(read, words, lambda: right.to_csv(table, index=False)).transcripts.n_rows == 1


def test_a_text_table_is_renamed_and_given_a_header_as_told(tmp_path):
    image(tmp_path / "nuclear.tif")
    spots(tmp_path / "spots.txt", z=0, gene=GENES)
    rows = (tmp_path / "spots.txt").read_text().partition("\n")[2]
    (tmp_path / "spots.txt").write_text(rows)
    (proposal,) = cc.propose_sheet([tmp_path])
    assert (proposal.row["assay"], proposal.can_be_read) == ("merfish", False)

    def mend() -> None:
        (tmp_path / "spots.tsv").write_text("x_px\ty_px\tz\tgene\n" + rows)
        (tmp_path / "spots.txt").unlink()

    options = cc.InspectOptions(pixel_size_um=0.5)
    read = lambda: cc.inspect(tmp_path, assay="merfish", options=options)  # noqa: E731
    found = follow(read, r"rename it to end in \.tsv .* x_px, y_px, z, gene", mend)
    assert found.transcripts.n_rows == 3


def test_rounds_and_counts_of_other_methods_are_no_movies(tmp_path):
    """Rounds were taken for frames, and a slide's picture for a movie of one frame."""
    starfish, visium, stereo = (tmp_path / name for name in ("starfish", "visium", "stereo"))
    for r in range(3):
        image(starfish / f"primary-fov_000-c0-r{r}-z0.tiff")
    (starfish / "experiment.json").write_text("{}")
    (starfish / "codebook.json").write_text("{}")
    image(visium / "outs" / "spatial" / "tissue_hires_image.tif")
    (visium / "outs" / "spatial" / "tissue_positions.csv").write_text("barcode\n")
    image(stereo / "SS2000_D1_regist.tif")
    (stereo / "SS2000_D1.tissue.gem.gz").write_bytes(b"")

    def decode() -> None:
        (starfish / "codebook.json").unlink()
        for file in starfish.glob("*-r[12]-*"):
            file.unlink()
        spots(starfish / "transcripts.csv", gene=GENES)

    options = cc.InspectOptions(pixel_size_um=0.5)
    found = follow(
        lambda: cc.inspect(starfish, assay="movie"),
        "save the transcripts beside the stain, as transcripts.csv",
        decode,
        lambda: cc.inspect(starfish, assay="merfish", options=options),
    )
    assert found.transcripts.n_rows == 3
    for folder in (visium, stereo):
        alone = folder / "alone"

        def move(folder: Path = folder, alone: Path = alone) -> None:
            alone.mkdir()
            next(folder.rglob("*.tif")).rename(alone / "image.tif")

        found = follow(
            lambda folder=folder: cc.inspect(folder, assay="movie"),
            "put its images into a folder of their own",
            move,
            lambda alone=alone: cc.inspect(alone, assay="movie"),
        )
        assert found.n_frames == 1


def test_spots_that_starfish_rejected_are_left_out(tmp_path):
    image(tmp_path / "nuclei.tiff")
    image(tmp_path / "nuclei_thumbnail.tiff", (8, 8))
    good = [True, True, False]
    for name in ("spots.csv", "spots.parquet"):
        spots(tmp_path / name, target=GENES, passes_thresholds=good, z=[0.0, 0.0, 0.0])
        options = cc.InspectOptions(pixel_size_um=0.05)
        found = cc.inspect(tmp_path, assay="merfish", options=options)
        rows = [row for batch in iter_transcripts(found.transcripts) for row in batch.to_pylist()]
        assert [row["x_px"] for row in rows] == [2.0, 35.0]
        assert "Spots that starfish rejected" in " ".join(found.warnings)
        assert "nuclei_thumbnail.tiff" in " ".join(found.warnings)
        (tmp_path / name).unlink()
    spots(tmp_path / "spots.csv", target=GENES, passes_thresholds=good, z=[0.0, 0.0, 0.0])
    options = cc.InspectOptions(pixel_size_um=0.05, z_policy="one")
    found = follow(
        lambda: cc.inspect(tmp_path, assay="merfish", options=options),
        "remove the rows whose passes_thresholds is False",
        lambda: spots(tmp_path / "spots.csv", target=GENES, z=[0.0, 0.0, 0.0]),
    )
    assert found.transcripts.n_rows == 3


def test_images_of_a_tissue_alone_are_no_movie(tmp_path):
    """A bundle without its table was proposed as a movie of its stains."""
    bundle = tmp_path / "output-XETG00000__0000__Region_1"
    for i in range(4):
        image(bundle / "morphology_focus" / f"morphology_focus_{i:04d}.ome.tif")
    (bundle / "experiment.xenium").write_text(json.dumps({"pixel_size": 0.2125}))
    (proposal,) = cc.propose_sheet([bundle])
    assert proposal.row["assay"] == "merfish"
    assert "transcripts.parquet" in proposal.problem


def test_each_region_of_a_run_gets_a_row(tmp_path):
    from test_spatial import make_merscope

    run = tmp_path / "202301011010_brain_VMSC00101"
    for region in ("region_0", "region_1"):
        make_merscope(run / region)
    for path in (run, tmp_path):
        rows = [proposal.row for proposal in cc.propose_sheet([path])]
        assert [row["sample"] for row in rows] == ["region_0", "region_1"]
    with pytest.raises(InputError, match="give each region folder its own row"):
        cc.inspect(run, assay="merfish")
