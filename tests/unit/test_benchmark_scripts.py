"""The scripts that measure the figures of the documents can be run, each at its smallest size."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
NEEDS = {"starfish_decoding": "starfish", "measure_spotiflow": "spotiflow"}
SMALLEST = {
    "seams": ["--side-px", "1024", "--tiles", "512"],
    "measure_batches": ["--frames", "2"],
    "measure_dry_run": ["--samples", "2", "--batches", "2"],
    "measure_decoding": ["simulated", "--seeds", "1", "--fields", "1"],
    "kill_and_resume": ["--runs", "1"],
    "average_weights": ["tiny", "tiny", "-o", "{folder}/mean.safetensors"],
    "benchmark_assign": ["make", "{folder}", "--transcripts", "1000"],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_can_be_imported(name: str):
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"the package {NEEDS[name]} is not installed")
    importlib.import_module(name)


@pytest.mark.parametrize("name", SMALLEST)
def test_it_runs_at_its_smallest_size(name: str, tmp_path: Path):
    words = [word.format(folder=tmp_path) for word in SMALLEST[name]]
    command = [sys.executable, str(FOLDER / f"{name}.py"), *words]
    # Scripts that run Snakemake rely on the `python` of the same environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_the_table_lists_every_script():
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    missing = [
        p.name for p in FOLDER.glob("*.*") if p.suffix != ".md" and f"`{p.name}`" not in table
    ]
    assert not missing
