from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import tifffile
from harness import ROOT, Snakemake, run_snakemake

SIZES = {
    "movie": ["--frames", "4", "--size-px", "128", "--cells", "6"],
    "merfish": ["--size-px", "192", "--cells", "12", "--transcripts", "500"],
}

# Every Python process of the run imports this first.
NO_NETWORK = """
import pathlib, socket
folder = pathlib.Path(__file__).parent
(folder / "imported").touch()
def refuse(self, address):
    (folder / "used").write_text(repr(address))
    raise OSError("no network in this test")
socket.socket.connect = socket.socket.connect_ex = refuse
"""


def write_vendor_cells(folder: Path) -> None:
    """Draw the vendor's cells: a circle at the centre of each true cell, in um on the slide."""
    labels = tifffile.imread(folder / "truth/labels.tif")
    um_to_px = np.loadtxt(folder / "images/micron_to_mosaic_pixel_transform.csv")
    ids = np.unique(labels[labels > 0])
    yx = np.array([np.argwhere(labels == each).mean(axis=0) for each in ids])
    xy_um = (yx[:, ::-1] - um_to_px[:2, 2]) / um_to_px[[0, 1], [0, 1]]
    columns = {
        "EntityID": ids.astype(np.int64) + 2_667_026_000_000_000_000,
        "ZIndex": np.zeros(len(ids), np.int64),
        "Geometry": shapely.to_wkb(shapely.buffer(shapely.points(xy_um), 2.5)),
    }
    table = pa.table(columns).replace_schema_metadata({"geo": "{}"})
    pq.write_table(table, folder / "cell_boundaries.parquet")


@pytest.fixture
def snakemake(tmp_path: Path) -> Snakemake:
    """Snakemake on this workflow in a working directory of its own, `tmp_path`."""
    return functools.partial(run_snakemake, tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Working directory of a run that succeeded; its raw folders have an awkward name."""
    directory = tmp_path_factory.mktemp("run")
    raw = directory / "raw dåta; 'a' & \"b\" $c"
    for kind, sizes in SIZES.items():
        command = [sys.executable, "-m", "cellsam_core", "simulate", kind, "--seed", "1"]
        subprocess.run([*command, *sizes, "-o", str(raw / kind)], check=True)
    write_vendor_cells(raw / "merfish")
    (directory / "config").mkdir()
    config = (ROOT / "config" / "config.yaml").read_text()
    assert "tiles_per_batch: 500" in config
    text = config.replace("tiles_per_batch: 500", "tiles_per_batch: 2")
    (directory / "config" / "config.yaml").write_text(text)
    sheet = (ROOT / "config" / "samples.tsv").read_text()
    assert "../example/" in sheet
    header, movie, tissue = sheet.replace("example/", f"{raw.name}/").splitlines()
    lines = [f"{header}\ttargets", f"{movie}\tcell", f"{tissue}\tnucleus,cell"]
    (directory / "config" / "samples.tsv").write_text("\n".join(lines) + "\n")
    (directory / "guard").mkdir()
    (directory / "guard" / "sitecustomize.py").write_text(NO_NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(directory / "guard"), prepend=os.pathsep)
        result = run_snakemake(directory)
    assert result.returncode == 0, result.stdout
    return directory
