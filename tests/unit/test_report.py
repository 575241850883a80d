from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from fake_results import config_json, write_benchmarks, write_movie, write_spatial

from cellsam_core.cli import main
from cellsam_core.config.check import parse_config
from cellsam_core.errors import InputError
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.reporting.figures import common as figures_common
from cellsam_core.reporting.page import Section, Table, cell, render
from cellsam_core.reporting.pictures.crops import (
    choose_places,
    crop_side,
    round_length,
    seam_centres,
    window_at,
)
from cellsam_core.reporting.provenance import provenance
from cellsam_core.reporting.results import Results
from cellsam_core.reporting.sections.assignment import rows_table
from cellsam_core.reporting.sections.common import (
    benchmark_table,
    segmentation_section,
    versions_section,
)
from cellsam_core.reporting.sections.controls import add_doubtful_genes, genes_table
from cellsam_core.reporting.sections.methods import licence_words
from cellsam_core.reporting.sections.stains import stain_words
from cellsam_core.reporting.stage import report as write_report
from cellsam_core.segmentation.seams import seam_ratio
from cellsam_core.segmentation.tiles import plan

VOID = {"meta", "img"}


class Checker(HTMLParser):
    """Collects tags and checks that they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"])
            assert dict(attrs)["alt"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self.text.append(data)


def report(results: Path, out: Path, benchmarks: Path | None = None) -> tuple[str, dict]:
    arguments = ["report", str(results), "-o", str(out / "report.html")]
    arguments += ["--provenance", str(out / "provenance.json"), "--config-json", config_json()]
    if benchmarks is not None:
        arguments += ["--benchmarks", str(benchmarks)]
    assert main(arguments) == 0
    html = (out / "report.html").read_text(encoding="utf-8")
    return html, json.loads((out / "provenance.json").read_text())


def words(html: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Checker(html).text))


@pytest.fixture(autouse=True)
def _coarse_figures(monkeypatch):
    monkeypatch.setattr(figures_common, "DPI", 30)  # for speed


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "results")


def test_a_job_that_ended_before_it_was_sampled_has_no_memory(tmp_path):
    table = benchmark_table(write_benchmarks(tmp_path)).set_index("job")
    assert table.loc["track"].tolist() == [1.25, 1.2, 180.5]
    for job in ("inspect", "segment/1-of-2"):
        assert table.loc[job, "wall_s"] > 0
        assert table.loc[job, ["cpu_s", "peak_rss_mb"]].isna().all()


def test_movie_report_is_complete_and_self_contained(movie, tmp_path):
    benchmarks = write_benchmarks(tmp_path / "benchmarks")
    html, record = report(movie, tmp_path, benchmarks)
    page = Checker(html)
    assert len(page.images) == 11 + 6 + 12  # figures, crops, strips
    assert all(uri.startswith("data:image/") for uri in page.images)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "http" not in re.sub(r'src="data:[^"]*"', "", html)
    assert len(html) < 6_000_000
    text = words(html)
    assert "demo <movie> & co" in text  # escaped in the source, plain to the reader
    for expected in (
        "channel names were taken from file names",
        "R = GFP / ExRai_405",
        "division window",
        "segment/1-of-2",
        "3 of 6 tracks span the whole movie",
        "The 1 largest of 1 lineages with a division, out of 4",
        "median 0.9",
        "sigma_iou would be unsafe with every 2nd frame only",
        "Largest step of the stage between two frames: 5 px",
        "then 99 % of the lineages have no wrong link or division among those that were made.",
        "1 mitosis 7 110 118 4 4, 5, 6 0.87",
    ):
        assert expected in text, expected
    assert record["segmentation"]["sha256"] == "ab" * 32
    assert list(record) == sorted(record)


def test_results_are_read_when_they_are_used(movie):
    results = Results(movie)
    assert results.manifest.n_frames == results.objects["frame"].nunique()
    assert set(results.tracks["track_id"]) == set(results.objects["track_id"])
    assert results.divisions["daughter_ids"].tolist() == ["5;6"]
    assert results.traces["valid"].any()
    assert len(results.cells) == len(results.objects)
    assert results.image().channels
    assert results.masks().n_frames == results.manifest.n_frames
    with pytest.raises(InputError, match=r"cells.h5ad: found no such file.*`assign`"):
        _ = results.adata


def test_results_of_a_tissue_hold_its_counts(tmp_path):
    results = Results(write_spatial(tmp_path / "results"))
    assert results.adata.n_obs == len(results.cells)
    assert results.adata.X.sum() == results.adata.obs["n_transcripts"].sum()
    with pytest.raises(InputError, match=r"tracks.csv: found no such file.*`track`"):
        _ = results.tracks
    with pytest.raises(InputError, match=r"no 0_manifest\.json"):
        Results(tmp_path)


def test_report_goes_into_the_results_folder_by_default(tmp_path):
    folder = write_movie(tmp_path / "results", n_frames=2)
    path = write_report(folder, config={"seed": 1})
    assert path == folder / "4_report/report.html"
    assert json.loads((folder / "provenance.json").read_text())["config"] == {"seed": 1}
    assert write_report(Results(folder), tmp_path / "again.html").read_bytes()


def test_report_bytes_are_reproducible(tmp_path):
    benchmarks = write_benchmarks(tmp_path / "benchmarks")
    movie = write_movie(tmp_path / "results", n_frames=2)
    for run in ("a", "b"):
        report(movie, tmp_path / run, benchmarks)
    for name in ("report.html", "provenance.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_provenance_names_everything_and_no_date(movie):
    record = provenance(Results.load(movie), {"seed": 1})
    assert record["config"]["seed"] == 1
    assert {"cellsam_core", "numpy", "torch", "zarr", "anndata"} <= set(record["packages"])
    assert len(record["manifest_sha256"]) == 64
    assert len(record["inputs"]) == 24
    assert record["inputs"][0]["name"] == "t00_c0.tif"
    assert record["inputs"][0]["bytes"] > 160 * 200 * 2
    assert not re.search(r"20\d\d-\d\d-\d\d", json.dumps(record))


def test_a_script_in_a_name_is_text(tmp_path):
    channels = ("<script>alert(1)</script>", "a&b$x_{")
    results = write_movie(tmp_path / "results", n_frames=2, channels=channels)
    html, _ = report(results, tmp_path)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "R = <script>alert(1)</script> / a&b$x_{" in words(html)


def test_empty_and_partial_movies_say_so(tmp_path):
    empty = write_movie(tmp_path / "empty/results", n_frames=2, with_cells=False)
    text = words(report(empty, tmp_path / "empty")[0])
    for expected in (
        "No cell was found in any frame",
        "No division",
        "has a probability below 0.998",
        "No cell was traced",
    ):
        assert expected in text, expected
    single = write_movie(tmp_path / "single/results", n_frames=1)
    text = words(report(single, tmp_path / "single")[0])
    assert "The movie has a single frame: it holds 4 cells." in text
    plain = write_movie(tmp_path / "plain/results", n_frames=3, with_ratio=False, with_units=False)
    text = words(report(plain, tmp_path / "plain")[0])
    for expected in ("No ratio was configured", "lengths are in pixels", "times are in frames"):
        assert expected in text, expected
    tables = ("2_masks/cells.parquet", *(f"3_tracks/{n}" for n in ("traces.parquet", "tracks.csv")))
    for name in (*tables, "3_tracks/drift.csv"):
        (plain / name).unlink()
    text = words(report(plain, tmp_path / "plain")[0])
    for expected in (
        "There is no 2_masks/cells.parquet",
        "There are no tracks",
        "There is no review.csv, or a table of the tracks is missing.",
        "no traces.parquet",
        "intervals.csv or drift.csv is missing",
    ):
        assert expected in text, expected


def test_spatial_report(tmp_path):
    results = write_spatial(tmp_path / "results")
    path = results / "3_cells/assign_qc.json"
    quality = json.loads(path.read_text())
    path.write_text(json.dumps(quality | {"warnings": ["Few of the transcripts are in cells."]}))
    html, record = report(results, tmp_path)
    text = words(html)
    assert "Warnings of the assignment. Few of the transcripts are in cells." in text
    assert "the mean count of the blanks (1) over the mean count of the genes (3)" in text
    assert len(Checker(html).images) == 5 + 1  # figures, and one crop of a small image
    transcripts = pd.read_parquet(results / "3_cells/transcripts.parquet")
    assert f"400 ({400 / len(transcripts):.1%})" in text
    assert "rows of the input 500 in cells 400 (80.0%) in no cell 100 (20.0%)" in text
    blanks = transcripts["feature_type"] == "blank"
    assert f"blank {blanks.sum()} {blanks.mean():.1%}" in text
    assert f"Misidentification rate: {3 * blanks.sum() / (~blanks).sum():.1%}" in text
    assert "touching the image border 0.0%" in text
    assert "near tile borders" not in text  # too few cells
    n_gapdh = (transcripts["feature"] == "Gapdh").sum()
    assert re.search(rf"Gapdh {n_gapdh} \d+ [\d.]+% {blanks.sum() / n_gapdh:.1%}", text)
    assert "Each of the 3 genes has more transcripts than the most frequent blank" in text
    assert "<b>Neg$r1" in text
    assert "<b>" not in html
    assert {"name": "dapi.tif", "bytes": None} in record["inputs"]


def test_density_at_tile_borders_is_shown(tmp_path):
    results = Results.load(write_spatial(tmp_path / "results"))
    y, x = np.random.default_rng(0).uniform(0, 299, (2, 500))
    cells = pd.DataFrame({"frame": 0, "y": y, "x": x, "area_px": 9, "touches_border": False})
    expected = seam_ratio(y, x, plan(1, (300, 300), 26.0, 150, fits=False), (300, 300), 26.0)
    rows = dict(segmentation_section(results, cells).tables[0].rows)
    shown = rows["cells per area near tile borders, over that beside them (error of counting)"]
    assert shown == f"{expected.ratio:.2f} ({expected.standard_error:.2f})"


def test_a_report_is_refused_where_rows_are_lost(tmp_path, capsys):
    results = write_spatial(tmp_path / "results")
    path = results / "3_cells/transcripts.parquet"
    rows = pd.read_parquet(path)
    lost = rows.index[rows["cell_id"] == 0][0]
    with parquet_writer(path, pq.read_schema(path)) as writer:
        writer.write_table(pa.Table.from_pandas(rows.drop(lost), writer.schema))
    arguments = ["report", str(results), "-o", str(tmp_path / "r.html")]
    assert main([*arguments, "--provenance", str(tmp_path / "p.json")]) == 1
    error = capsys.readouterr().err
    assert "found 400 transcripts in cells and 99 in none, expected 500 in all" in error
    assert not (tmp_path / "r.html").exists()


def test_rows_that_decoded_to_nothing_are_accounted_for(tmp_path):
    results = write_spatial(tmp_path / "results")
    raw = tmp_path / "transcripts.csv"
    table = pd.read_csv(raw)
    table.loc[table.index % 10 == 0, "gene"] = "NA"  # 40 of those in cells, and 10 of the others
    table.to_csv(raw, index=False)
    labels, manifest = results / "2_masks/masks.zarr", results / "0_manifest.json"
    arguments = ["assign", "--labels", str(labels), "--manifest", str(manifest)]
    assert main([*arguments, "-o", str(results / "3_cells")]) == 0
    text = words(report(results, tmp_path)[0])
    shares = "rows of the input 500 in cells 360 (72.0%) in no cell 140 (28.0%)"
    assert f"{shares} without a gene, in no cell 50" in text


def test_genes_that_are_no_more_frequent_than_blanks_are_named():
    n = [*range(40, 12, -1), 500]
    names = [f"G{i}" for i in range(28)] + ["Top"]
    genes = pd.DataFrame({"n_transcripts": n, "n_assigned": 5}, index=names)
    genes["expected_false_share"] = 10 / genes["n_transcripts"]
    section = Section("Controls")
    add_doubtful_genes(section, genes, 40)
    assert "28 of 29 genes have no more transcripts" in section.paragraphs[0]
    (table,) = section.tables
    assert table.caption.endswith("the 25 most frequent of 28.")
    assert [row[0] for row in table.rows] == names[:25]
    assert table.rows[0] == ["G0", 40, 5, "12.5%", "25.0%"]
    genes["expected_false_share"] = float("nan")
    assert len(genes_table(genes, "").header) == 4


def test_spatial_report_without_cells(tmp_path):
    results = write_spatial(tmp_path / "results", with_cells=False)
    text = words(report(results, tmp_path)[0])
    assert "No cell was found." in text
    (results / "3_cells/transcripts.parquet").unlink()
    (results / "3_cells/cells.h5ad").unlink()
    (results / "3_cells/assign_qc.json").unlink()
    text = words(report(results, tmp_path)[0])
    for name in ("cells.h5ad", "transcripts.parquet", "assign_qc.json"):
        assert f"There is no 3_cells/{name}." in text


def test_spatial_report_of_cells_from_polygons(tmp_path):
    """Such cells have no known relation to the image's border, and there need be no image."""
    results = write_spatial(tmp_path / "results")
    polygons = tmp_path / "polygons.parquet"
    (results / "3_cells/boundaries.parquet").rename(polygons)
    for name in ("1_preprocessed", "2_masks", "3_cells"):
        shutil.rmtree(results / name)
    arguments = ["assign", "--polygons", str(polygons), "-o", str(results / "3_cells")]
    assert main([*arguments, "--manifest", str(results / "0_manifest.json")]) == 0
    html, _ = report(results, tmp_path)
    text = words(html)
    assert len(Checker(html).images) == 3  # map, histograms, density
    assert "touching the image border not known" in text
    assert "the image was not segmented here" in text
    assert "so no outline is drawn over a stain" in text


def test_unusable_arguments(tmp_path, capsys):
    arguments = ["report", str(tmp_path), "-o", str(tmp_path / "r.html")]
    assert main([*arguments, "--provenance", str(tmp_path / "p.json")]) == 1
    assert "found no 0_manifest.json" in capsys.readouterr().err
    for text in ("[1]", "{", "null"):
        with pytest.raises(InputError, match="--config-json"):
            parse_config(text)


def test_cells_of_a_table():
    assert cell(None) == ""
    assert cell(float("nan")) == ""
    assert cell(True) == "yes"
    assert cell(1234567) == "1\u202f234\u202f567"
    assert cell(0.123456) == "0.123"
    assert cell(1234.56) == "1\u202f235"
    assert cell(3.0) == "3"
    assert cell("<b>") == "<b>"


def test_render_escapes_everywhere():
    evil = '"><script>'
    sections = [Section(evil, [evil], tables=[Table(evil, (evil,), [(evil,)])])]
    html = render(evil, evil, [(evil, evil)], sections)
    assert "<script" not in html
    assert html.count("&#34;&gt;&lt;script&gt;") == 13


def test_columns_of_numbers_are_aligned_right():
    table = Table("", ("name", "n", "share"), [("a", 1234567, "5.0%"), ("b", None, "")])
    assert [table.is_numeric(i) for i in range(3)] == [False, True, True]
    assert not Table("", (), [("name", 3)]).is_numeric(1)


def test_crops_and_strips_are_linked_with_the_rows(movie, tmp_path):
    html, _ = report(movie, tmp_path)
    assert "Random place: frame " in html
    # A crop that another one nearly shows is left out.
    reasons = ("Densest place", "Lowest score", "Largest cell", "Smallest cell")
    times = [html.count(f"{reason}: frame ") for reason in reasons]
    assert set(times) <= {0, 2}  # caption and alternative text
    assert sum(times) >= 4
    assert 'id="strip-0"' in html
    assert '<a href="#strip-0">1</a>' in html
    assert 'id="row-0"' in html
    assert '<a href="#row-0">To its row.</a>' in html
    assert "White: these tracks; amber: other cells." in html


def test_verdict_stands_on_top_and_in_a_file_of_its_own(movie, tmp_path):
    html, _ = report(movie, tmp_path)
    record = json.loads((tmp_path / "verdict.json").read_text())
    assert html.index("Verdict:") < html.index('id="input"')
    assert [check["name"] for check in record["checks"]][:3] == ["cells", "size", "borders"]
    anchors = set(re.findall(r'id="([^"]+)"', html))
    assert {check["link"].removeprefix("report.html#") for check in record["checks"]} <= anchors
    text = words(html)
    for check in record["checks"]:
        assert re.sub(r"\s+", " ", check["reason"]) in text


def test_the_report_gives_no_estimate_of_lineages_where_the_verdict_is_red(movie, tmp_path):
    """Regression: noise had a report that vouched for its lineages."""
    noise = tmp_path / "results"
    shutil.copytree(movie, noise)
    cells = pd.read_parquet(noise / "2_masks/cells.parquet").assign(score=0.38)
    cells.to_parquet(noise / "2_masks/cells.parquet")
    tracks = pd.read_csv(noise / "3_tracks/tracks.csv").assign(birth_kind="appeared")
    tracks.assign(end_kind="lost").to_csv(noise / "3_tracks/tracks.csv", index=False)
    text = words(report(noise, tmp_path)[0])
    assert "No share of right lineages is estimated, because the verdict is red for:" in text
    assert "lineages are right" not in text
    assert json.loads((tmp_path / "verdict.json").read_text())["colour"] == "red"


def test_methods_name_stain_weights_and_licence(movie, tmp_path):
    text = words(report(movie, tmp_path)[0])
    assert "Cells were segmented by CellSAM with the weights tiny (SHA-256 abababababab...)" in text
    assert "Weights tiny: part of cellsam_core, BSD-3-Clause." in text
    assert "doi:10.1038/s41592-025-02879-w" in text
    assert licence_words({"weights": "cellsam_general", "preset": "official"}).startswith(
        "the published CellSAM weights, for non-commercial"
    )


def test_places_of_crops_are_the_same_each_time():
    rng = np.random.default_rng(3)
    cells = pd.DataFrame(
        {
            "frame": 0,
            "y": rng.uniform(0, 500, 50),
            "x": rng.uniform(0, 400, 50),
            "area_px": np.arange(100, 150),
            "score": np.linspace(0.9, 0.4, 50),
        }
    )
    places = choose_places(cells, (500, 400), [(250.0, 199.5)])
    assert places == choose_places(cells.sample(frac=1, random_state=1), (500, 400), [(250, 199.5)])
    by_reason = {place.reason: (place.y, place.x) for place in places}
    assert by_reason["lowest score"] == (cells["y"].iloc[-1], cells["x"].iloc[-1])
    assert by_reason["smallest cell"] == (cells["y"].iloc[0], cells["x"].iloc[0])
    assert by_reason["seam of two tiles"] == (250, 199.5)
    assert len(places) == 8
    # A cell that is smallest and least sure is shown once; the next smallest one is elsewhere.
    cells.loc[0, "score"] = 0.1
    places = {place.reason: place for place in choose_places(cells, (500, 400))}
    assert (places["lowest score"].y, places["lowest score"].x) == (cells["y"][0], cells["x"][0])
    shown = [(p.y, p.x) for reason, p in places.items() if reason != "random place"]
    assert len({*shown}) == len(shown) == 4
    # In a movie, the next one is at another place; with one place only, in another frame.
    movie = pd.concat([cells.assign(frame=frame) for frame in range(3)])
    shown = [(p.y, p.x) for p in choose_places(movie, (500, 400)) if p.reason != "random place"]
    assert len({*shown}) == len(shown) == 4
    frames = [p.frame for p in choose_places(movie[movie["y"] == cells["y"][0]], (500, 400))[3:]]
    assert len({*frames}) == len(frames) == 3
    alone = choose_places(cells.iloc[:1], (500, 400))
    assert [p.reason for p in alone if p.reason != "random place"] == ["densest place"]
    window = window_at(places["random place"], (500, 400), 1000)
    assert (window.y0, window.y1, window.x0, window.x1) == (0, 500, 0, 400)
    assert choose_places(cells[:0], (500, 400)) == []
    # In an image hardly larger than a crop, one crop shows all; in one of two crops, two do.
    side = crop_side(cells)
    small = cells.assign(y=cells["y"] / 6, x=cells["x"] / 5)
    assert [p.reason for p in choose_places(small, (side + 8, side))] == ["random place"]
    wide = choose_places(cells.assign(y=30, x=cells["x"] / 2), (side, 2 * side + 40))
    starts = sorted(window_at(place, (side, 2 * side + 40), side).x0 for place in wide)
    assert len(starts) >= 2
    assert min(np.diff(starts)) >= 0.75 * side
    assert seam_centres((600, 600), {"cell_diameter_px": 26.0, "tile_px": 300})
    assert [round_length(n) for n in (3.3, 5, 0.26, 71)] == [2, 5, 0.2, 50]


def test_configured_values_are_listed_beside_those_that_were_used(tmp_path):
    folder = write_movie(tmp_path / "results")
    recorded = {"channels": {"cell": ["GFP"]}, "guessed": True, "clip_percentile": 99.9}
    zarr.open_group(folder / "1_preprocessed/frames.zarr").attrs["cellsam"] = recorded
    config = {
        "preprocess": {"cell_channel": None, "nuclear_channel": None},
        "segment": {"cell_diameter_px": "auto", "weights": "tiny"},
    }
    results = Results.load(folder)
    section = versions_section(results, provenance(results, config))
    table = next(table for table in section.tables if "configured" in table.header)
    rows = {(part, key): tuple(values) for part, key, *values in table.rows}
    measured = results.segmentation_parameters()["cell_diameter_px"]
    assert rows["segment", "cell_diameter_px"] == ("auto", f"{measured:.4g}")
    assert rows["preprocess", "cell_channel"] == ("null", "GFP")
    assert rows["preprocess", "nuclear_channel"] == ("null", "null")


@pytest.mark.parametrize(
    ("guessed", "named", "words"),
    [
        (True, "H2B", "H2B as nuclear stain, guessed from the names of the channels"),
        (False, "AMPKAR", "AMPKAR as nuclear stain, named in the configuration or sample sheet"),
        (False, "H2B", "sample sheet (`cellsam-core init` guesses the same from the names of"),
    ],
)
def test_a_stain_that_init_guesses_is_told(tmp_path, guessed, named, words):
    record = {"channels": {"nuclear": [named]}, "guessed": guessed}
    group = zarr.open_group(str(tmp_path / "frames.zarr"), mode="w")
    group.attrs["cellsam"] = record
    results = SimpleNamespace(
        image=lambda: SimpleNamespace(path=tmp_path / "frames.zarr", channels=("nuclear",)),
        manifest=SimpleNamespace(channels=["AMPKAR", "H2B"], kit={}),
    )
    assert words in stain_words(results)


def test_genes_of_the_panel_are_no_genes_that_were_seen(tmp_path):
    results = Results(write_spatial(tmp_path))
    quality = json.loads((results.folder / "3_cells/assign_qc.json").read_text())
    quality |= {"n_genes": 70, "n_genes_seen": 23}
    rows = dict(rows_table(results, quality, None).rows)
    assert (rows["genes of the panel"], rows["genes seen"]) == (70, 23)
    del quality["n_genes_seen"]  # of results of before
    assert "genes seen" not in dict(rows_table(results, quality, None).rows)
