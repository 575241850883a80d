"""Full disks, read-only folders, two writers and damaged results give one sentence of error."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from good_data import assign, cut, run, stitch, traces, write_good_data

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path, exclusive

PACKAGE = Path(__file__).resolve().parents[2] / "cellsam_core"
NAMESPACE = ["unshare", "--mount", "--map-root-user"]
# Runs commands one by one, each into an empty file system of a few kilobytes in memory.
SMALL_DISK = """
import contextlib, io, json, os, shutil, sys
from pathlib import Path
from cellsam_core.cli import main
disk, kilobytes, lines = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
for words in lines:
    (disk / "filler").write_bytes(b"")
    with open(disk / "filler", "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(1024)):
                pass
        file.truncate(max(0, file.tell() - 1024 * kilobytes))
    status = main(words)
    left = [str(p) for p in disk.rglob("*") if p.is_file() and p.name != "filler"]
    print(json.dumps([words[0], status, left]), flush=True)
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_good_data(root)
    return root


def in_small_disk(folder: Path, options: str, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command where `folder` is a file system of its own, which nobody else sees."""
    mount = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    shell = [*NAMESPACE, "sh", "-c", mount, folder, *command]
    result = subprocess.run(
        [str(word) for word in shell],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in result.stderr or "mount:" in result.stderr:
        pytest.skip(f"no private file system can be mounted here: {result.stderr.strip()}")
    return result


def commands(data: Path, out: Path) -> list[list[str]]:
    """One command for each kind of writer: text, csv, Parquet, Zarr, TIFF, GEFF, HDF5, PNG."""
    lines = [
        ["inspect", data / "movie", "--sample", "s", "--assay", "movie", "-o", "OUT/m.json"],
        ["preprocess", data / "movie.json", "-o", "OUT/f.zarr"],
        stitch(data, *sorted((data / "batches").iterdir())),
        ["track", data / "masks.zarr", "-o", "OUT"],
        traces(data),
        assign(data),
        [
            "simulate",
            "movie",
            "--frames",
            "2",
            "--size-px",
            "64",
            "--cells",
            "2",
            "-o",
            "OUT/movie",
        ],
    ]
    return [[str(word).replace("OUT", f"{out}/results", 1) for word in line] for line in lines]


@pytest.mark.parametrize("kilobytes", [0, 12])
def test_a_full_disk_is_one_sentence_and_nothing_is_left(data, tmp_path, kilobytes):
    disk = tmp_path / "disk"
    disk.mkdir()
    lines = commands(data, disk)
    script = [sys.executable, "-c", SMALL_DISK, disk, kilobytes, json.dumps(lines)]
    result = in_small_disk(disk, "size=256k", *script)
    done = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    assert [name for name, _, _ in done] == [words[0] for words in lines], result.stderr
    said = [line for line in result.stderr.splitlines() if line.startswith("cellsam-core ")]
    assert "Traceback" not in result.stderr
    refused = [name for name, status, _ in done if status == 1]
    assert [line.split()[1].rstrip(":") for line in said] == refused
    assert len(refused) >= len(lines) - (1 if kilobytes else 0)  # a manifest fits into 12 kB
    assert all("No space left on device" in line and "free some room" in line for line in said)
    for name, status, left in done:
        hidden = [path for path in left if Path(path).name.startswith(".")]
        assert status == 0 or not hidden, (name, left)


def test_a_folder_that_can_only_be_read_is_one_sentence(data, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (command, *_) = commands(data, disk)
    result = in_small_disk(disk, "ro", sys.executable, "-m", "cellsam_core", *command)
    assert result.returncode == 1
    assert result.stderr.startswith("cellsam-core inspect: ")
    assert "can't be written (Read-only file system)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_mapped_images_of_a_full_disk_end_no_process(data, tmp_path):
    """Writing to a mapped file without room is a signal, not an error, unless it is asked for."""
    raw, disk = tmp_path / "raw", tmp_path / "disk"
    disk.mkdir()
    size = ("--size-px", 64, "--cells", 4, "--transcripts", 80, "--z-planes", 1, "--seed", 2)
    run("simulate", "merfish", "--raw-rounds", *size, "-o", raw)
    decode = [sys.executable, "-m", "cellsam_core", "decode", raw, "-o", disk / "decoded"]
    result = in_small_disk(disk, "size=16k", *decode)
    assert result.returncode == 1
    assert "No space left on device" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_two_writers_of_one_output_exclude_each_other(tmp_path):
    output = tmp_path / "a.csv"
    with atomic_path(output) as temporary:
        temporary.write_text("first")
        with (
            pytest.raises(InputError, match="another process is writing it"),
            atomic_path(output),
        ):
            pytest.fail("it is held")
    assert output.read_text() == "first"
    assert list(tmp_path.iterdir()) == [output]


def test_what_a_killed_process_left_is_removed(tmp_path):
    output = tmp_path / "a.csv"
    script = (
        "import os, signal, sys\n"
        "from cellsam_core.files.atomic import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path:\n"
        "    path.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(output)], check=False)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert len(left) == 2
    other = tmp_path / ".a.b.host-1.tmp.csv"  # of a.b.csv, which may be being written
    other.touch()
    with atomic_path(output) as temporary:
        temporary.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([output, other])
    assert output.read_text() == "whole"


def test_a_lock_ends_with_its_holder(tmp_path):
    with exclusive(tmp_path / "a") as was_killed:
        assert not was_killed
    (tmp_path / ".a.lock").touch()
    with exclusive(tmp_path / "a") as was_killed:
        assert was_killed
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_claims_an_absurd_size_is_refused_before_memory_is_taken(tmp_path, capsys):
    path = tmp_path / "huge.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint16), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tif.pages[0].tags[name].overwrite(60_000)
    command = ["inspect", path, "--sample", "s", "--assay", "movie", "-o", tmp_path / "m.json"]
    assert main([str(word) for word in command]) == 1
    assert "huge.tif: found" in capsys.readouterr().err


def test_a_cut_anndata_file_is_named(data, tmp_path, capsys):
    results = tmp_path / "results"
    run(
        "assign",
        "--labels",
        data / "labels.tif",
        "--manifest",
        data / "merfish.json",
        "-o",
        results / "3_cells",
    )
    (results / "0_manifest.json").write_text((data / "merfish.json").read_text())
    report = ["report", results, "-o", results / "r.html", "--provenance", results / "p.json"]
    table = results / "3_cells/cells.h5ad"
    whole = table.read_bytes()
    cut(table, 0.7)
    capsys.readouterr()
    assert main([str(word) for word in report]) == 1
    error = capsys.readouterr().err
    assert "cells.h5ad: found no table that can be read" in error
    assert not (results / "r.html").exists()
    table.write_bytes(whole)
    assert main([str(word) for word in report]) == 0


# Calls that write, and functions that are given a temporary, or write below one of atomic_path.
WRITES = {"write_text", "write_bytes", "to_csv", "to_parquet", "savefig", "imwrite", "memmap"}
WRITES |= {"ParquetWriter", "parquet_writer", "write_arrays", "dump"}
IN_TEMPORARY = {
    "files/planes.py": {"_read_virtual_page"},  # reads
    "files/dax.py": {"read_page"},  # reads
    "files/parquet.py": {"parquet_writer"},
    "simulation/folders.py": {"_write_movie_truth", "_write_imagej", "_write_ome", "write_tiff"}
    | {"_write_labels", "write_csv", "write_json"},
    "simulation/rounds_folder.py": {"write_csv_without_header"},
    "traces/files.py": {"write_traces", "write_wide"},
    "segmentation/batch_files.py": {"__init__"},
    "decoding/decoded.py": {"__enter__", "_image", "finish", "_write_codebook"}
    | {"_write_transcripts"},
    "assignment/assigned.py": {"assign_transcripts"},
    "cli/inspect.py": {"run"},  # calls Manifest.save, which has a temporary
    "cli/overview.py": {"run"},  # prints
    "corrections/cells_file.py": {"write_cells"},
    "corrections/table.py": {"_write"},
    "exports/qupath.py": {"write_qupath"},
    "exports/vpt.py": {"write_vpt", "_write_tables"},
    "exports/xenium_explorer.py": {"write_xenium_explorer"},
    "exports/xenium_ranger.py": {"write_xenium_ranger", "_write_labels"},
    "first_steps/page.py": {"_encode"},  # into memory
    "viewer/points.py": {"_column"},  # into a file without a name
    "training/collect.py": {"_write_region", "_write_channels"},
    "training/history.py": {"flush"},  # a log that grows
    "reporting/pictures/crops.py": {"picture"},  # into memory
    "reporting/figures/common.py": {"encode"},  # into memory
    "benchmark/stages.py": {"write_random_checkpoint"},  # into a folder that is removed
}


def test_no_writer_goes_round_the_temporary_name():
    """Every call that writes is inside `with atomic_path`, or in a function listed above."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        loose = {
            function.name
            for function in ast.walk(ast.parse(path.read_text()))
            if isinstance(function, ast.FunctionDef) and loose_writes(function)
        }
        if loose:
            found[name] = loose
    assert found == IN_TEMPORARY


def loose_writes(function: ast.FunctionDef) -> list[int]:
    """Lines of a function that write outside of `with atomic_path`."""
    guarded = {
        id(node)
        for block in ast.walk(function)
        if isinstance(block, ast.With) and "atomic_path" in ast.unparse(block)
        for node in ast.walk(block)
    }
    calls = [n for n in ast.walk(function) if isinstance(n, ast.Call) and id(n) not in guarded]
    return [call.lineno for call in calls if _writes(call)]


def _writes(call: ast.Call) -> bool:
    function = call.func
    name = getattr(function, "attr", None) or getattr(function, "id", "")
    mode = [a.value for a in call.args if isinstance(a, ast.Constant)]
    opens = name == "open" and any(isinstance(m, str) and set(m) & set("wax") for m in mode[-1:])
    # `save` alone is that of this package, `torch.save` and its like are not.
    return name in WRITES or opens or (name == "save" and isinstance(function, ast.Attribute))
