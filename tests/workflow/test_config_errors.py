"""Errors in the config or the sample sheet are named before any job starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Snakemake

pytestmark = pytest.mark.workflow
SHEET = "sample\tassay\tpath\na\tmovie\t.\n"


@pytest.mark.parametrize(
    ("config", "sheet", "named"),
    [
        ("track: {sigma_ioo: 0.2}", SHEET, ["track", "'sigma_ioo'", "did you mean 'sigma_iou'?"]),
        ("traces: {ratio: GFP}", SHEET, ["'a'", "ratio: found 'GFP'", "NUM/DEN"]),
        ("traces: {ratio: GFP, reporter: ktr}", SHEET, ["'a'", "ring_px", "for example to 4"]),
        (
            "track: {division_area_min: 1.6}",
            SHEET,
            ["'a'", "`division_area_min`: found 1.6, above `division_area_max`"],
        ),
        ("tracking: {}", SHEET, ["'tracking'"]),
        ("track: {sigma_iou: high}", SHEET, ["sigma_iou", "'high'"]),
        ("segment: {cell_diameter_px: -3}", SHEET, ["cell_diameter_px", "-3"]),
        ("", SHEET + "a\tmerfish\t.\n", ["'a'", "twice"]),
        ("", SHEET.replace("movie", "film"), ["assay", "'film'", "movie, merfish"]),
        ("", SHEET.replace("path", "paht"), ["'paht'", "did you mean 'path'?"]),
        ("", SHEET.replace("a\tm", "../a\tm"), ["'../a'"]),
        ("", SHEET.replace("\t.", "\tday {1}"), ["'a'", "path", "day {1}"]),
        ("", SHEET.replace("\t.", "\tno such folder"), ["'a'", "path", "no such folder"]),
        (
            "",
            "sample\tassay\tpath\tpixel_size_um\na\tmovie\t.\t-0.5\n",
            ["'a'", "pixel_size_um", "-0.5"],
        ),
        ("", "sample\tassay\tpath\tpixel_size_um\na\tmovie\t.\tnan\n", ["pixel_size_um", "'nan'"]),
        ("", SHEET.replace("movie\t.", "movie\t.\textra"), ["more cells than columns"]),
        ("", "sample\tassay\tpath\n", ["no samples"]),
        (
            "",
            "sample\tassay\tpath\tcorrections\na\tmovie\t.\tgone.csv\n",
            ["'a'", "corrections", "gone.csv"],
        ),
        (
            "",
            "sample\tassay\tpath\tcorrections\na\tmovie\t.\tsheet.tsv\n",
            ["'a'", "sheet.tsv beside corrections/a.tracks.csv", "one table of corrections"],
        ),
        (
            "",
            "sample\tassay\tpath\tcorrections\na\tmerfish\t.\tsheet.tsv\n",
            ["'a'", "corrections", "only movies"],
        ),
    ],
)
def test_it_is_named(
    snakemake: Snakemake, tmp_path: Path, config: str, sheet: str, named: list[str]
):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(f"samples: sheet.tsv\n{config}\n")
    (tmp_path / "corrections").mkdir()
    (tmp_path / "corrections" / "a.tracks.csv").touch()
    (tmp_path / "sheet.tsv").write_text(sheet)
    result = snakemake("-n")
    assert result.returncode == 1
    message = result.stdout.partition("WorkflowError")[2]
    assert all(word in message for word in named), result.stdout
    assert "site-packages" not in message
