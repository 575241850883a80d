"""Which transcripts count: placeholders, quality, panel, a part of the table, tables in parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from test_spatial import inspect, make_merscope
from test_vendors import make_cosmx, make_xenium

from cellsam_core.assignment.anndata import cell_anndata, write_h5ad
from cellsam_core.assignment.assigned import assign_transcripts
from cellsam_core.assignment.label_cells import open_label_cells
from cellsam_core.errors import InputError
from cellsam_core.labels.image import open_label_image
from cellsam_core.samples.manifest import Manifest, TranscriptSource
from cellsam_core.samples.panel import read_panel
from cellsam_core.samples.placement import place_in_um, place_transcripts
from cellsam_core.samples.table_rows import column_names
from cellsam_core.samples.transcripts import find_columns, iter_transcripts

SHAPE = (40, 60)


def write_labels(folder: Path) -> Path:
    labels = np.zeros(SHAPE, np.uint16)
    labels[5:15, 5:25], labels[20:35, 30:55] = 1, 2
    tifffile.imwrite(folder / "labels.tif", labels)
    return folder / "labels.tif"


def assigned(
    folder: Path, source: TranscriptSource, **options: Any
) -> tuple[anndata.AnnData, pd.DataFrame, dict[str, Any]]:
    """Assign to two cells; give the table, the rows and the quality figures."""
    cells = open_label_cells(open_label_image(write_labels(folder)), np.array(source.um_to_px))
    done = assign_transcripts(source, cells, folder / "out.parquet", **options)
    write_h5ad(folder / "out.h5ad", cell_anndata("s", done))
    table = anndata.read_h5ad(folder / "out.h5ad")
    return table, pd.read_parquet(folder / "out.parquet"), done.quality


def place(path: Path, **options: Any) -> TranscriptSource:
    return place_transcripts(path, shape_yx=SHAPE, pixel_size_um=1.0, **options)[0]


def write_spots(path: Path, genes: list[str], **columns: object) -> Path:
    """Write each gene once in each cell, once between them."""
    n = len(genes)
    table = {"x_px": np.repeat([10.0, 40.0, 2.0], n), "y_px": np.repeat([10.0, 30.0, 2.0], n)}
    table |= {"target": np.tile(genes, 3)} | {k: np.tile(v, 3) for k, v in columns.items()}
    pd.DataFrame(table).to_csv(path, index=False)
    return path


# Placeholders


@pytest.mark.parametrize(
    "word",
    [
        *("nan", "NaN", "NA", "None", "null", "-1", "-1.0", "4294967295"),
        *("Unknown", "Background", "Infeasible"),
    ],
)
def test_what_decoded_to_nothing_is_no_gene(tmp_path, word):
    path = write_spots(tmp_path / "t.csv", ["ACTB", "SCUBE2", word])
    table, rows, quality = assigned(tmp_path, place(path))
    assert table.var_names.tolist() == ["ACTB", "SCUBE2"]
    assert table.X.toarray().tolist() == [[1, 1], [1, 1]]
    assert table.obsm["controls"].shape == (2, 0)
    assert table.obs["n_transcripts"].tolist() == [2, 2]
    # The rows stay, in no cell.
    assert rows["feature"].tolist() == ["ACTB", "SCUBE2", word] * 3
    undecoded = rows[rows["feature"] == word]
    assert set(undecoded["feature_type"]) == {"undecoded"}
    assert not undecoded["cell_id"].any()
    assert (quality["n_transcripts"], quality["n_undecoded"]) == (6, 3)
    assert (
        f"3 of 9 transcripts (33.3%) have {word} in the place of a gene" in quality["warnings"][0]
    )


def test_the_place_of_what_decoded_to_nothing_in_the_table_does_not_matter(tmp_path):
    path = write_spots(tmp_path / "t.csv", ["nan", "ACTB", "None", "SCUBE2"])
    table, _, quality = assigned(tmp_path, place(path))
    assert table.var_names.tolist() == ["ACTB", "SCUBE2"]
    assert table.X.toarray().tolist() == [[1, 1], [1, 1]]
    assert quality["n_undecoded"] == 6


def test_the_genes_of_the_fly_are_kept_as_the_warning_says(tmp_path):
    path = write_spots(tmp_path / "t.csv", ["nan", "na", "w"], feature_type=["gene"] * 3)
    table, _, quality = assigned(tmp_path, place(path))
    assert table.var_names.tolist() == ["na", "nan", "w"]
    assert quality["warnings"] == []
    path = write_spots(tmp_path / "t.csv", ["nan", "na", "w"])
    (tmp_path / "panel.txt").write_text("nan\nna\nw\n")
    table, *_ = assigned(tmp_path, place(path), panel=[tmp_path / "panel.txt"])
    assert table.var_names.tolist() == ["na", "nan", "w"]


def test_a_table_of_nothing_decoded_is_refused(tmp_path):
    path = write_spots(tmp_path / "t.csv", ["nan", "None"])
    with pytest.raises(InputError, match="no gene, features are undecoded"):
        assigned(tmp_path, place(path))
    write_spots(tmp_path / "t.csv", ["nan", "None"], feature_type=["gene", "gene"])
    assert assigned(tmp_path, place(path))[0].var_names.tolist() == ["None", "nan"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_placeholders_are_no_cell(tmp_path, kind):
    none = ["nan", "NaN", "NA", "None", "null", "-1", "-1.0", "0.0", "4294967295", "UNASSIGNED"]
    none += ["Unassigned", "unassigned", "Unknown", "Background", ""]
    ids = [*none, "aaaa-1", "7", "nanog"]
    table = pd.DataFrame({"x_um": 1.0, "y_um": 1.0, "gene": "ACTB", "cell": ids})
    path = tmp_path / f"t.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    eye = np.eye(3).tolist()
    source = TranscriptSource(str(path), "x_um", "y_um", "gene", None, "um", eye, 0, cell="cell")
    (batch,) = iter_transcripts(source)
    assert batch["vendor_cell_id"].to_pylist() == [None] * len(none) + ["aaaa-1", "7", "nanog"]


def test_spaces_around_names_are_no_part_of_them(tmp_path):
    path = write_spots(tmp_path / "t.csv", ["Gad1", "Gad1 ", " Gad1", "A B"])
    table, rows, quality = assigned(tmp_path, place(path))
    assert table.var_names.tolist() == ["A B", "Gad1"]
    assert table.X.toarray().tolist() == [[1, 3], [1, 3]]
    assert rows["feature"].tolist() == ["Gad1", "Gad1", "Gad1", "A B"] * 3
    assert quality["warnings"] == ["Spaces around the names of 'Gad1' are not part of them."]


CONTROL_LIKE = ["NegPrb-3", "Negative-1", "neg_control_2", "BlankBarcode7", "notarget-1"]
GENES = ["NEGR1", "Blnk", "NANOG", "CTRL", "NOTCH1", "NTRK1", "MARCH1", "DEC1", "OCT4", "CONTROL"]


@pytest.mark.parametrize("name", CONTROL_LIKE)
def test_genes_named_like_controls_are_told_and_the_remedies_work(tmp_path, name):
    path = write_spots(tmp_path / "t.csv", [*GENES, name])
    table, _, quality = assigned(tmp_path, place(path))
    assert name in table.var_names
    assert f"though named like controls: {name}. If" in quality["warnings"][0]
    as_blank = write_spots(tmp_path / "renamed.csv", [*GENES, "Blank-1"])
    table, _, quality = assigned(tmp_path, place(as_blank))
    assert (quality["warnings"], quality["controls"]) == ([], ["Blank-1"])
    kinds = {"feature_type": ["gene"] * len(GENES) + ["blank"]}
    said = write_spots(tmp_path / "said.csv", [*GENES, name], **kinds)
    table, _, quality = assigned(tmp_path, place(said))
    assert (quality["warnings"], quality["controls"]) == ([], [name])


@pytest.mark.parametrize("name", ["1-Mar", "Sep-02", "2021-12-01", "3/1/2021", "#NAME?"])
def test_genes_that_a_spreadsheet_has_changed_are_told(tmp_path, name):
    path = write_spots(tmp_path / "t.csv", [*GENES, name])
    quality = assigned(tmp_path, place(path))[2]
    assert f"spreadsheet changes MARCH1, SEPT2 or a formula: {name}." in quality["warnings"][0]


# Quality


def with_quality(folder: Path, qv: list[float | None]) -> Path:
    make_xenium(folder)
    table = pq.read_table(folder / "transcripts.parquet")
    pq.write_table(
        table.append_column("qv", pa.array(qv, pa.float32())), folder / "transcripts.parquet"
    )
    return folder


def test_transcripts_below_the_vendors_quality_are_left_out_and_told(tmp_path):
    found = inspect(with_quality(tmp_path / "bundle", [40.0, 12.0, 19.9]))
    assert found.transcripts is not None
    assert found.transcripts.n_rows == 1
    assert "2 of 3 transcripts" in found.warnings[-1]
    assert "quality (qv) below 20" in found.warnings[-1]
    every = inspect(tmp_path / "bundle", min_qv=0)
    assert every.transcripts is not None
    assert (every.transcripts.n_rows, every.warnings) == (3, [])
    (tmp_path / "m.json").write_text(found.to_json())
    assert Manifest.load(tmp_path / "m.json") == found
    _, rows, quality = assigned(tmp_path, every.transcripts)
    assert rows["qv"].tolist() == pytest.approx([40, 12, 19.9])
    assert quality["n_transcripts"] == 3
    assert assigned(tmp_path, found.transcripts)[1]["qv"].tolist() == [40]
    assert inspect(tmp_path / "bundle", min_qv=15).transcripts.n_rows == 2


def test_a_transcript_of_unknown_quality_stays(tmp_path):
    found = inspect(with_quality(tmp_path, [40.0, None, 12.0]))
    assert found.transcripts is not None
    assert found.transcripts.n_rows == 2


def test_a_least_quality_needs_the_column(tmp_path):
    path = write_spots(tmp_path / "t.csv", ["ACTB"])
    with pytest.raises(InputError, match=r"no column qv.*leave min_qv empty"):
        place(path, min_qv=20)
    assert place(path).n_rows == 3
    path = write_spots(tmp_path / "t.csv", ["ACTB", "CD4"], qv=[30.0, 10.0])
    assert place(path, min_qv=20).n_rows == 3
    assert place(path).n_rows == 6  # only Xenium's own cut is known
    table = pd.read_csv(path).rename(columns={"x_px": "x_um", "y_px": "y_um"})
    table.to_csv(path, index=False)
    assert place_in_um(path, min_qv=20).n_rows == 3


# Panel

PANEL = ["Gad1", "Pvalb", "Slc17a7", "Sst", "Vip"]


def test_sections_of_one_panel_have_the_same_genes(tmp_path):
    first = write_spots(tmp_path / "a.csv", ["Gad1", "Slc17a7", "Sst", "Blank-1"])
    second = write_spots(tmp_path / "b.csv", ["Gad1", "Pvalb", "Slc17a7", "Vip"])
    (tmp_path / "panel.txt").write_text("\n".join([*PANEL, "Blank-1", "Blank-2"]) + "\n")
    options = {"panel": [tmp_path / "panel.txt"]}
    tables = [assigned(tmp_path, place(path), **options) for path in (first, second)]
    for table, _, quality in tables:
        assert table.var_names.tolist() == PANEL
        assert table.obsm["controls"].columns.tolist() == ["Blank-1", "Blank-2"]
        assert (quality["n_genes"], quality["n_blanks"]) == (5, 2)
    both = anndata.concat([table for table, *_ in tables], index_unique="-")
    assert both.X.sum() == 3 * 2 + 4 * 2
    var = tables[0][0].var
    assert var["n_transcripts"].tolist() == [3, 0, 3, 3, 0]
    assert np.isnan(var["frac_assigned"]["Vip"])
    # The blank that was never seen counts: 3 calls of two blanks, 9 of five genes.
    assert tables[0][2]["misidentification_rate"] == pytest.approx((3 / 2) / (9 / 5))
    assert (tables[0][2]["n_genes_seen"], tables[0][2]["n_blanks_seen"]) == (3, 1)


def gene_panel() -> dict[str, Any]:
    targets = [
        {"type": {"descriptor": "gene", "data": {"id": "ENSG1", "name": "NANOG"}}},
        {"type": {"descriptor": "gene", "data": {"id": "ENSG2", "name": "CD4"}}},
        {"type": {"descriptor": "negative_control_probe", "data": {"name": "antisense_x"}}},
        {"type": {"descriptor": "unassigned_codeword", "data": {"name": "UnassignedCodeword_1"}}},
    ]
    return {"payload": {"targets": targets}}


def test_panels_of_many_kinds_are_read(tmp_path):
    write_spots(tmp_path / "t.csv", ["ACTB", "Blank-1"])
    (tmp_path / "codebook.csv").write_text("name,id,bit1,bit2\nACTB,1,1,0\nBlank-1,2,0,1\n,,,\n")
    (tmp_path / "typed.csv").write_text("gene,feature_type\nACTB,\nBlank-1,blank\n")
    (tmp_path / "cell_by_gene.csv").write_text("cell,ACTB,Blank-1\n1,0,0\n")
    (tmp_path / "S_exprMat_file.csv").write_text("fov,cell_ID,ACTB,Blank-1\n1,0,0,0\n")
    (tmp_path / "panel.txt").write_text("ACTB\n Blank-1 \n\n")
    names = ("t.csv", "codebook.csv", "typed.csv", "cell_by_gene.csv", "S_exprMat_file.csv")
    assigned(tmp_path, place(tmp_path / "t.csv"))
    for name in (*names, "panel.txt", "out.h5ad"):
        assert read_panel([tmp_path / name]) == {"ACTB": "gene", "Blank-1": "blank"}, name
    (tmp_path / "gene_panel.json").write_text(json.dumps(gene_panel()))
    assert read_panel([tmp_path / "gene_panel.json", tmp_path / "t.csv"]) == {
        "NANOG": "gene",
        "CD4": "gene",
        "antisense_x": "negative_control_probe",
        "UnassignedCodeword_1": "unassigned_codeword",
        "ACTB": "gene",
        "Blank-1": "blank",
    }


def test_what_is_no_panel_is_refused_and_the_remedy_works(tmp_path):
    path = tmp_path / "panel.csv"
    for text in ("symbol\nACTB\n", "gene\n\n"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"no names of genes.*in a column named gene"):
            read_panel([path])
    path.write_text("gene\nACTB\n")
    assert read_panel([path]) == {"ACTB": "gene"}
    (tmp_path / "gene_panel.json").write_text("{}")
    with pytest.raises(InputError, match=r"gene_panel\.json"):
        read_panel([tmp_path / "gene_panel.json"])


def test_vendors_folders_know_their_panel(tmp_path):
    bundle = make_xenium(tmp_path / "xenium")
    (bundle / "gene_panel.json").write_text(json.dumps(gene_panel()))
    found = inspect(bundle)
    assert found.transcripts is not None
    assert found.transcripts.panel == [str(bundle / "gene_panel.json")]
    table, *_ = assigned(tmp_path, found.transcripts)
    assert table.var_names.tolist() == ["CD4", "NANOG"]
    assert table.obsm["controls"].columns.tolist() == ["UnassignedCodeword_1", "antisense_x"]
    region = make_merscope(tmp_path / "merscope")
    (region / "cell_by_gene.csv").write_text("cell,Gad1,Sst,Blank-1\n")
    assert inspect(region).transcripts.panel == [str(region / "cell_by_gene.csv")]
    export = make_cosmx(tmp_path / "cosmx", fovs=(1,))
    (export / "flatFiles/S_exprMat_file.csv").write_text("fov,cell_ID,NEGR1,NegPrb1\n")
    assert Path(inspect(export).transcripts.panel[0]).name == "S_exprMat_file.csv"


# A part of the table, and a table in parts


def test_a_crop_of_the_image_is_used_as_the_refusal_says(tmp_path):
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 500, (2000, 2))
    path = tmp_path / "t.csv"
    pd.DataFrame({"x_px": xy[:, 0], "y_px": xy[:, 1], "gene": "ACTB"}).to_csv(path)
    with pytest.raises(InputError, match=r"transcripts outside the image.*fill the column outside"):
        place(path)
    source, warnings = place_transcripts(path, shape_yx=SHAPE, pixel_size_um=1.0, outside="drop")
    n_inside = int(((xy[:, 0] < 59.5) & (xy[:, 1] < 39.5)).sum())
    assert source.n_rows == n_inside > 5
    assert warnings == [
        f"{2000 - n_inside} of 2000 transcripts ({100 * (1 - n_inside / 2000):.2g} %) "
        "lie outside the image and are left out."
    ]
    _, rows, quality = assigned(tmp_path, source)
    assert len(rows) == quality["n_transcripts"] == n_inside
    assert quality["n_outside_image"] == 0
    pd.DataFrame({"x_px": xy[:, 0] + 900, "y_px": 1.0, "gene": "ACTB"}).to_csv(path)
    with pytest.raises(InputError, match="2000 of 2000 transcripts outside"):
        place(path, outside="drop")
    with pytest.raises(InputError, match="one of refuse, drop"):
        place(path, outside="keep")


def test_a_crop_of_several_fields_drops_what_is_outside(tmp_path):
    folder = make_cosmx(tmp_path)
    found = inspect(folder, outside="drop")
    assert found.transcripts is not None
    assert sum(b.num_rows for b in iter_transcripts(found.transcripts)) == found.transcripts.n_rows


@pytest.mark.parametrize("name", ["transcripts.parquet", "transcripts"])
def test_a_folder_of_parquet_parts_is_one_table(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    for i in (0, 1, 2, 10):
        xy = np.arange(3.0) + 3 * i
        pq.write_table(
            pa.table({"x_um": xy, "y_um": xy, "gene": [f"g{i}"] * 3}), folder / f"part.{i}.parquet"
        )
    assert column_names(folder) == ["x_um", "y_um", "gene"]
    assert find_columns(folder).um == ("x_um", "y_um")
    source = place_in_um(folder)
    rows = [row for batch in iter_transcripts(source) for row in batch.to_pylist()]
    assert source.n_rows == len(rows) == 12
    assert [row["feature"] for row in rows[::3]] == ["g0", "g1", "g2", "g10"]
    write_labels(tmp_path)
    tifffile.imwrite(tmp_path / "dapi.tif", np.zeros((40, 60), np.uint16))
    (tmp_path / "labels.tif").unlink()
    assert inspect(tmp_path, pixel_size_um=1.0).transcripts.path == str(folder)
    pq.write_table(pa.table({"x_um": [1.0]}), folder / "part.11.parquet")
    with pytest.raises(InputError, match="can't be read"):
        place_in_um(folder)
    for part in folder.iterdir():
        part.unlink()
    with pytest.raises(InputError, match="a folder without parquet files"):
        place_in_um(folder)
