from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from cellsam_core.cli import main
from cellsam_core.samples.manifest import Manifest


@pytest.fixture
def movie(tmp_path):
    folder = tmp_path / "movie"
    folder.mkdir()
    for t in range(3):
        for channel in ("DAPI", "YFP"):
            tifffile.imwrite(folder / f"{channel}_t{t}.tif", np.full((30, 40), t, np.uint16))
    return folder


def inspect(path, output, *options, assay="movie"):
    return main(
        ["inspect", str(path), "--sample", "s", "--assay", assay, "-o", str(output), *options]
    )


def test_manifest_is_written_and_summed_up(movie, tmp_path, capsys):
    output = tmp_path / "s" / "0_manifest.json"
    options = ("--pixel-size-um", "0.65", "--frame-interval-s", "60", "--channels", "YFP, DAPI")
    assert inspect(movie, output, *options) == 0
    manifest = Manifest.load(output)
    assert manifest.channels == ["YFP", "DAPI"]
    assert (manifest.pixel_size_um, manifest.frame_interval_s) == (0.65, 60)
    assert json.loads(output.read_text())["schema_version"] == 2
    text = capsys.readouterr().out
    assert "3 frame(s) of 30 x 40 px, uint16" in text
    assert "0.65 um" in text


def test_same_folder_gives_the_same_bytes(movie, tmp_path):
    for name in ("a.json", "b.json"):
        assert inspect(movie, tmp_path / name) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pixel-size-um", "-0.65"), "`pixel_size_um`: found -0.65"),
        (("--pixel-size-um", "nan"), "`pixel_size_um`: found nan"),
        (("--frame-interval-s", "0"), "`frame_interval_s`: found 0"),
        (("--channels", "DAPI,,YFP"), "channels: found 'DAPI,,YFP'"),
        (("--channels", "DAPI,CFP"), "correct the column `channels`"),
        (("--format", "czi"), "`format`: found 'czi'"),
    ],
)
def test_bad_options_give_one_sentence(movie, tmp_path, capsys, options, message):
    assert inspect(movie, tmp_path / "m.json", *options) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "m.json").exists()


def test_frame_interval_of_a_tissue_is_refused(movie, tmp_path, capsys):
    assert inspect(movie, tmp_path / "m.json", "--frame-interval-s", "5", assay="merfish") == 1
    assert "frame_interval_s" in capsys.readouterr().err
