"""The order of the jobs of several samples, and which of them share a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from harness import ROOT, Snakemake

pytestmark = pytest.mark.workflow
MOVIE = ("preprocess", "segment", "stitch", "track", "traces", "report")
TISSUE = ("preprocess", "segment", "stitch", "assign", "report")


def with_lines(directory: Path, *lines: str, before: str = "") -> Path:
    """Write a workflow that runs some lines after this one was read."""
    path = directory / "Snakefile.lines"
    end = 'workflow.default_target = "all"'
    path.write_text("\n".join((before, f'include: "{ROOT / "Snakefile"}"', *lines, end)) + "\n")
    return path


def test_a_sample_is_finished_before_the_next_is_begun(snakemake: Snakemake, tmp_path: Path):
    tell = ("for each in workflow.rules:", "    print('PRIORITY', each.name, each.priority)")
    result = snakemake("-n", "--snakefile", with_lines(tmp_path, *tell))
    words = [line.split() for line in result.stdout.splitlines() if line.startswith("PRIORITY")]
    priority = {name: int(number) for _, name, number in words}
    for path in (MOVIE, TISSUE):
        found = [priority[rule] for rule in path]
        assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("gpu_program", "options", "expected"),
    [
        (None, ("--resources", "gpu=1"), 0),
        ("/usr/bin/nvidia-smi", ("--resources", "gpu=1"), 1),
        ("/usr/bin/nvidia-smi", ("--resources", "gpu=1", "--config", "segment={device: cpu}"), 0),
        (None, ("--resources", "gpu=1", "--config", "segment={device: cuda}"), 1),
        (None, (), 1),  # the profile of a cluster does not limit the GPUs
    ],
)
def test_segmentation_asks_for_a_gpu_where_there_may_be_one(
    snakemake: Snakemake,
    tmp_path: Path,
    gpu_program: str | None,
    options: tuple[str, ...],
    expected: int,
):
    profile = tmp_path / "no limits"
    profile.mkdir()
    (profile / "profile.yaml").write_text("quiet: [reason]\n")
    snakefile = with_lines(
        tmp_path,
        "first = type('Wildcards', (), {'sample': next(iter(SAMPLES))})",
        "print('GPU', gpu_count(first) if callable(gpu_count) else gpu_count)",
        before=f"import shutil; shutil.which = lambda name: {gpu_program!r}",
    )
    result = snakemake("-n", "--snakefile", snakefile, "--workflow-profile", profile, *options)
    assert f"GPU {expected}" in result.stdout.splitlines(), result.stdout


def test_samples_of_different_models_keep_their_own_options(snakemake: Snakemake, tmp_path: Path):
    sheet = tmp_path / "sheet.tsv"
    (tmp_path / "raw").mkdir()
    for frame in range(2):
        tifffile.imwrite(tmp_path / "raw" / f"t{frame}.tif", np.zeros((64, 64), np.uint16))
    tiles = {"one": 256, "two": 512}
    rows = [f"{sample}\tmovie\traw\t{tile_px}" for sample, tile_px in tiles.items()]
    sheet.write_text("\n".join(["sample\tassay\tpath\ttile_px", *rows]) + "\n")
    result = snakemake("-n", "-p", "--config", f"samples={sheet}")
    for sample, tile_px in tiles.items():
        (command,) = (
            line
            for line in result.stdout.splitlines()
            if "segment-batch" in line and f"logs/{sample}/" in line
        )
        assert f"--tile-px {tile_px}" in command
