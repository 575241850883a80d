"""A dry run shows the complete job list; config and sample sheet reach the commands."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from harness import ROOT, Snakemake, detailed, jobs

pytestmark = pytest.mark.workflow
CONFIGS = ROOT / "tests" / "workflow" / "configs"
MOVIE = {"inspect", "preprocess", "segment", "stitch", "track", "traces", "report"}
SPATIAL = {"inspect", "preprocess", "segment", "stitch", "assign", "report"}


def expected(movies: int, spatial: int, batches: int) -> dict[str, int]:
    counts = {
        rule: movies * (rule in MOVIE) + spatial * (rule in SPATIAL) for rule in MOVIE | SPATIAL
    }
    counts["segment"] *= batches
    return {rule: n for rule, n in counts.items() if n} | {"all": 1}


@pytest.mark.parametrize(
    ("name", "movies", "spatial"), [("movie", 1, 0), ("spatial", 0, 2), ("mixed", 2, 1)]
)
def test_each_config_gives_its_jobs(snakemake: Snakemake, name: str, movies: int, spatial: int):
    result = snakemake("-n", "-p", "--configfile", CONFIGS / name / "config.yaml")
    replicates = {"replicates": 1} if spatial > 1 else {}
    assert jobs(result) == expected(movies, spatial, batches=1) | replicates
    assert result.stdout.count("/3_cells/cells.h5ad -o results/replicates") == len(replicates)


def test_batches_are_sized_by_the_images(snakemake: Snakemake, tmp_path: Path):
    for sample, n_frames in (("long", 7), ("short", 2)):
        (tmp_path / sample).mkdir()
        for frame in range(n_frames):
            tifffile.imwrite(tmp_path / sample / f"t{frame:03}.tif", np.zeros((64, 900), np.uint16))
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(
        "sample\tassay\tpath\ttiles_per_batch\nlong\tmovie\tlong\t\nshort\tmovie\tshort\t1\n"
    )
    # Two tiles lie side by side in 900 px.
    options = ["--config", f"samples={sheet}", "tiles_per_batch=6"]
    result = snakemake("-n", "-p", *options)
    assert jobs(result)["segment"] == 3 + 4
    assert "--batch 3-of-3" in result.stdout
    assert "--batch 4-of-4" in result.stdout
    plan = snakemake("plan", "--quiet", "all", *options)
    assert plan.returncode == 0, plan.stdout
    rows = [line.split() for line in plan.stdout.splitlines()]
    assert ["long", "14", "3", "9"] in [row[:4] for row in rows]
    assert ["all", "18", "7", "19"] in [row[:4] for row in rows]
    assert "samples finished" not in plan.stdout  # no sample was to be run


def test_each_position_is_a_sample(snakemake: Snakemake, tmp_path: Path):
    for position, frame in np.ndindex(2, 3):
        image = tmp_path / "raw" / f"Pos{position}" / f"img_{frame:09}_GFP_000.tif"
        image.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(image, np.full((64, 64), frame, np.uint16))
    sheet = tmp_path / "sheet.tsv"
    pattern = "Pos{position}/img_{time}_{channel}_{*}"
    rows = ["sample\tassay\tpath\tpattern", "exp\tmovie\traw\t", f"own\tmovie\traw\t{pattern}"]
    sheet.write_text("\n".join(rows) + "\n")
    result = snakemake(*detailed(tmp_path), "--config", f"samples={sheet}")
    assert jobs(result) == expected(4, 0, batches=1)
    assert f"--sample own-1 --assay movie --pattern '{pattern}' --position 1" in result.stdout
    for position in ("Pos0", "Pos1"):
        command = f"--sample exp-{position} --assay movie --position {position}"
        assert command in result.stdout
        assert f"results/exp-{position}/4_report/report.html" in result.stdout
        assert str(tmp_path / "raw" / position) in result.stdout  # its folder's date is watched


def test_spatialdata_is_written_where_the_config_asks_for_it(snakemake: Snakemake):
    config = CONFIGS / "mixed" / "config.yaml"
    result = snakemake("-n", "-p", "--configfile", config, "--config", "spatialdata=true")
    assert jobs(result) == expected(2, 1, batches=1) | {"spatialdata": 1}
    assert "cellsam_core spatialdata " in result.stdout
    assert "--expand-um 0" in result.stdout


def test_options_reach_the_commands(snakemake: Snakemake):
    result = snakemake("-n", "-p", "--configfile", CONFIGS / "mixed" / "config.yaml")
    commands = [line.strip() for line in result.stdout.splitlines() if "cellsam_core" in line]

    def command(stage: str, sample: str) -> str:
        (found,) = {c for c in commands if f"cellsam_core {stage} " in c and f"logs/{sample}/" in c}
        return found

    assert "--division budding" in command("track", "yeast-a")
    assert "--division none" in command("track", "hela")  # an empty cell leaves the config's value
    assert "--channels 'phase, 2,GFP \"x\"'" in command("inspect", "yeast-a")
    assert "--channels" not in command("inspect", "hela")
    assert "--ratio" not in command("traces", "hela")  # null is not given
    diameters = {
        c.partition("--cell-diameter-px ")[2].split()[0] for c in commands if "-diameter" in c
    }
    assert diameters == {"45.5", "auto", "20"}


def test_a_control_and_conditions_tie_samples_together(snakemake: Snakemake, tmp_path):
    sheet = tmp_path / "sheet.tsv"
    header = "sample\tassay\tpath\tratio\tcondition\tcontrol\n"
    sheet.write_text(header + "dmso\tmovie\t.\ta/b\tno drug\t\ndrug\tmovie\t.\ta/b\tA'769\tdmso\n")
    result = snakemake("-n", "-p", "--config", f"samples={sheet}")
    assert jobs(result) == expected(2, 0, batches=1) | {"conditions": 1}
    assert "--control results/dmso/3_tracks/traces.parquet" in result.stdout
    assert result.stdout.count("--control") == 1
    assert "'no drug=results/dmso/3_tracks/traces.parquet'" in result.stdout
    sheet.write_text(header + "drug\tmovie\t.\ta/b\t\tdmso\n")
    result = snakemake("-n", "--config", f"samples={sheet}")
    assert result.returncode == 1
    assert "control: found 'dmso', expected a movie sample" in result.stdout


def test_masks_of_the_user_take_the_place_of_a_segmentation(snakemake: Snakemake, tmp_path):
    sheet = tmp_path / "sheet.tsv"
    (tmp_path / "my masks").mkdir()
    (tmp_path / "nuclei.geojson").touch()
    (
        tmp_path / "cell_boundaries.parquet"
    ).touch()  # cells of a vendor, with which ours are compared
    header = "sample\tassay\tpath\tmasks\tmasks_unit\tnuclei\tnuclei_unit\ttargets\n"
    rows = "own\tmovie\t.\tmy masks\tpx\t\t\t\nother\tmovie\t.\t\t\t\t\t\n"
    rows += "slice\tmerfish\t.\t\t\tnuclei.geojson\tpx\t\n"
    rows += "pairs\tmerfish\t.\tmy masks\t\tnuclei.geojson\tpx\tnucleus,cell\n"
    sheet.write_text(header + rows)
    result = snakemake("-n", "-p", "--config", f"samples={sheet}")
    counts = expected(2, 2, batches=1)
    own = {"segment": 2, "stitch": 2, "import_masks": 2, "import_nuclei": 1, "vendor": 2}
    own |= {"import_nuclei_to_pair": 1, "pair": 1, "replicates": 1}
    assert jobs(result) == counts | own
    assert "--masks-unit px --masks results/slice/2_masks/nuclei.zarr" in result.stdout
    assert "--nuclei results/slice/2_masks/nuclei.zarr" in result.stdout
    assert f"import-masks '{tmp_path}/my masks'" in result.stdout
    assert "--masks-unit px --masks results/pairs/2_masks/nuclei/found.zarr" in result.stdout
    assert "2_masks/nuclei/found.zarr --orphan-nuclei keep" in result.stdout
    assert "--nuclei results/pairs/2_masks/nuclei/masks.zarr" in result.stdout
    assert "compare-vendor results/slice --allow-none -o results/slice/6_vendor" in result.stdout
    assert "--masks-unit px --masks results/own/2_masks/masks.zarr" in result.stdout


def test_corrections_lie_beside_the_sheet_and_are_watched(snakemake: Snakemake, tmp_path):
    sheet = tmp_path / "sheets" / "sheet.tsv"
    sheet.parent.mkdir()
    (sheet.parent / "my corrections.csv").touch()
    header = "sample\tassay\tpath\tcorrections\n"
    sheet.write_text(header + "a\tmovie\t.\tmy corrections.csv\nb\tmovie\t.\t\n")
    result = snakemake(*detailed(tmp_path), "--config", f"samples={sheet}")
    path = sheet.parent / "my corrections.csv"
    assert result.stdout.count("--corrections") == 1
    assert f"--corrections '{path}'" in result.stdout
    # An input: a change runs the tracking again.
    assert re.search(rf"input: .*masks\.zarr.*, {re.escape(str(path))}", result.stdout)


def test_bulk_lies_beside_the_sheet_and_is_watched(snakemake: Snakemake, tmp_path):
    sheet = tmp_path / "sheets" / "sheet.tsv"
    sheet.parent.mkdir()
    (sheet.parent / "my tpm.tsv").touch()
    sheet.write_text("sample\tassay\tpath\na\tmerfish\t.\nb\tmovie\t.\n")
    result = snakemake(
        *detailed(tmp_path), "--config", f"samples={sheet}", "report={bulk: my tpm.tsv}"
    )
    path = sheet.parent / "my tpm.tsv"
    assert result.stdout.count(f"--bulk '{path}'") == 1  # of the tissue; movies have no genes
    assert f", {path}" in result.stdout  # an input: a change writes the report again


def test_the_benchmark_is_a_target_of_its_own(snakemake: Snakemake, tmp_path: Path):
    missing = snakemake("-n", "benchmark", "--config", "benchmark_data=my images")
    assert "config, benchmark_data: there is no folder my images" in missing.stdout
    (tmp_path / "my images").mkdir()
    config = ["benchmark_data=my images", "segment={weights: vit_b, preset: paper, tile_px: 256}"]
    result = snakemake("-n", "-p", "benchmark", "--config", *config)
    assert jobs(result) == {"benchmark": 1}
    options = "--data 'my images' --weights vit_b --preset paper --device auto"
    assert f"cellsam_core benchmark {options} --cell-diameter-px auto" in result.stdout
    assert "--tile-px 256 -o results/benchmark" in result.stdout
    assert "--data" not in snakemake("-n", "-p", "benchmark").stdout


def test_a_working_directory_has_its_own_config(snakemake: Snakemake, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("samples: mine.tsv\n")
    (tmp_path / "mine.tsv").write_text("sample\tassay\tpath\nmine\tseqfish\t.\n")
    assert jobs(snakemake("-n")) == expected(0, 1, batches=1)


def test_the_catalog_s_entry_point_runs_the_same_jobs(snakemake: Snakemake):
    config = CONFIGS / "movie" / "config.yaml"
    entry = ROOT / "workflow" / "Snakefile"
    assert jobs(snakemake("-n", "--snakefile", entry, "--configfile", config)) == expected(1, 0, 1)


@pytest.mark.parametrize(("format", "sheet"), [("", "rounds.csv"), ("merlin", "none.csv")])
def test_raw_rounds_are_decoded_first(snakemake: Snakemake, tmp_path, format: str, sheet: str):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("samples: mine.tsv\n")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / sheet).touch()
    row = f"mine\tseqfish\traw\t{format}\t1.6\n"
    header = "sample\tassay\tpath\tformat\tspot_sigma_px\n"
    (tmp_path / "mine.tsv").write_text(header + row)
    result = snakemake("-n", "-p")
    assert jobs(result) == expected(0, 1, batches=1) | {
        "align_colours": 1,
        "decode_batch": 1,
        "join_fields": 1,
    }
    assert "decode-batch raw --batch 1-of-1" in result.stdout.replace(f"{tmp_path}/", "")
    assert "--spot-sigma-px 1.6 -o results/mine/0_fields/1-of-1" in result.stdout
    assert (
        "--misidentification-rate 0.05 --stage-error-px 10.0 -o results/mine/0_decoded"
        in result.stdout
    )
    assert result.stdout.count("--format merlin") == 3 * (format == "merlin")
    assert "inspect results/mine/0_decoded --sample mine --assay seqfish -o" in result.stdout


def test_all_paths_of_a_module_have_its_prefix(snakemake: Snakemake, tmp_path: Path):
    (tmp_path / "drug.csv").touch()
    (tmp_path / "raw").mkdir()
    rows = ["sample,assay,path,ratio,condition,control,corrections"]
    rows += ["dmso,movie,raw,a/b,x,,", "drug,movie,raw,a/b,y,dmso,drug.csv"]
    rows += ["one,merfish,.,,,,", "two,merfish,.,,,,"]
    (tmp_path / "sheet.csv").write_text("\n".join(rows) + "\n")
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(
        f"""
module cellsam:
    snakefile: "{ROOT / "Snakefile"}"
    config: {{"samples": "sheet.csv"}}
    prefix: "my cells"

use rule * from cellsam as cellsam_*

for each in workflow.rules:
    each.message = None
workflow.default_target = "cellsam_all"
"""
    )
    result = snakemake("-n", "-p", "--snakefile", snakefile)
    counts = {name.removeprefix("cellsam_"): n for name, n in jobs(result).items()}
    together = {"conditions": 1, "replicates": 1}
    assert counts == expected(2, 2, batches=1) | together
    paths = re.findall(r"(my cells/)?\b(results|logs|benchmarks)/", result.stdout)
    assert len(paths) > 100
    assert all(prefix for prefix, _ in paths)
    assert (
        f"--corrections {tmp_path}/drug.csv" in result.stdout
    )  # files of the user are where they are


def test_new_frames_in_channel_sub_folders_are_seen(snakemake: Snakemake, tmp_path: Path):
    image = np.zeros((32, 32), np.uint16)
    for channel in ("GFP", "RFP"):
        (tmp_path / "movie" / channel).mkdir(parents=True)
        for frame in range(2):
            tifffile.imwrite(tmp_path / "movie" / channel / f"t{frame:03}.tif", image)
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("sample\tassay\tpath\na\tmovie\tmovie\n")
    target = ["results/a/0_manifest.json", "--config", f"samples={sheet}"]
    assert snakemake(*target).returncode == 0
    assert "Nothing to be done" in snakemake("-n", *target).stdout
    time.sleep(1.1)  # time stamps are whole seconds on some file systems
    for channel in ("GFP", "RFP"):
        tifffile.imwrite(tmp_path / "movie" / channel / "t002.tif", image)
    again = snakemake("-n", *target)
    assert jobs(again) == {"inspect": 1}
    refused = snakemake(*target, "traces={ratio: GFP/CFP}")
    assert refused.returncode == 1
    assert "option `ratio`: found 'GFP/CFP'" in refused.stdout
    assert not (tmp_path / "results/a/0_manifest.json").exists()


def test_files_that_are_written_anew_are_read_again(snakemake: Snakemake, tmp_path: Path):
    movie, tissue = tmp_path / "movie", tmp_path / "tissue"
    image = np.zeros((32, 32), np.uint16)
    for path in (movie / "t0.tif", movie / "t1.tif", tissue / "dapi.tif"):
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, image)
    transcripts = tissue / "transcripts.csv"
    transcripts.write_text("x_px,y_px,gene\n10,10,NANOG\n")
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(
        "sample\tassay\tpath\tpixel_size_um\nm\tmovie\tmovie\t\nt\tmerfish\ttissue\t0.5\n"
    )
    manifests = ["results/m/0_manifest.json", "results/t/0_manifest.json"]
    target = [*manifests, "--config", f"samples={sheet}"]
    first = snakemake(*target)
    assert first.returncode == 0, first.stdout
    time.sleep(1.1)  # time stamps are whole seconds on some file systems
    (movie / "notes.txt").write_text("mine")
    os.utime(movie, (0, 0))
    assert "Nothing to be done" in snakemake("-n", *target).stdout
    tifffile.imwrite(movie / "t0.tif", image + 1)
    transcripts.write_text("x_px,y_px,gene\n12,12,NANOG\n")
    assert jobs(snakemake("-n", *target)) == {"inspect": 2}


def test_weights_that_are_tuned_anew_segment_anew(snakemake: Snakemake, tmp_path: Path):
    weights = tmp_path / "results" / "finetune" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    shutil.copy(ROOT / "cellsam_core" / "segmentation" / "weights" / "tiny.safetensors", weights)
    movie = tmp_path / "movie"
    movie.mkdir()
    image = np.zeros((64, 64), np.uint16)
    image[20:44, 20:44] = 500
    tifffile.imwrite(movie / "t0.tif", image)
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("sample\tassay\tpath\tcell_diameter_px\nm\tmovie\tmovie\t24\n")
    section = "segment={weights: results/finetune/weights.safetensors, device: cpu}"
    target = ["results/m/2_masks/masks.zarr", "--config", f"samples={sheet}", section]
    first = snakemake(*target)
    assert first.returncode == 0, first.stdout
    assert "Nothing to be done" in snakemake("-n", *target).stdout
    time.sleep(1.1)  # time stamps are whole seconds on some file systems
    weights.touch()
    assert jobs(snakemake("-n", *target)) == {"segment": 1, "stitch": 1}


def test_exports_are_made_for_the_programs_that_are_named(snakemake: Snakemake):
    config = CONFIGS / "mixed" / "config.yaml"
    result = snakemake(
        "-n", "-p", "--configfile", config, "--config", "export={programs: 'qupath,imagej'}"
    )
    assert jobs(result) == expected(2, 1, batches=1) | {"export": 3}
    assert result.stdout.count("--programs imagej -o results/") == 2
    assert result.stdout.count("--programs qupath,imagej --expand-um") == 1


def test_a_table_of_corrections_adds_a_rule(snakemake: Snakemake, tmp_path: Path):
    config = CONFIGS / "mixed" / "config.yaml"
    tables = tmp_path / "corrections"
    tables.mkdir()
    (tables / "hela.cells.csv").write_text("operation,frame\n")
    (tables / "hela.tracks.csv").write_text("operation,frame,label,other_frame,other_label\n")
    result = snakemake("-n", "-p", "--configfile", config)
    assert jobs(result)["correct"] == 1
    corrected = "results/hela/2_masks/corrected/masks.zarr"
    assert f"track {corrected}" in result.stdout
    assert "--corrections corrections/hela.tracks.csv" in result.stdout
    assert "results/brain/2_masks/masks.zarr" in result.stdout
    assert "results/brain/2_masks/corrected" not in result.stdout
    (tables / "hela.cells.csv").unlink()
    (tmp_path / corrected).mkdir(parents=True)
    result = snakemake("-n", "--configfile", config)
    assert result.returncode != 0
    assert "expected a table of corrections of cells" in result.stdout
