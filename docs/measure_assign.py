"""Time the assignment beside plain numpy + scipy on the same simulated table, one thread.

``python docs/measure_assign.py FOLDER --rows 5000000`` writes labels (10,000 x 10,000 px, 20,000
cells) and a table of 500 genes into FOLDER, once, and prints CPU seconds and peak memory of each.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse

from cellsam_core.cli import main as cellsam_core
from cellsam_core.io import omezarr

SIDE_PX, CELL_PX, RADIUS_PX = 10_000, 70, 31
N_GENES = 500
PIXEL_SIZE_UM = 0.1
PIECE = 1_000_000


def write_inputs(folder: Path, n_rows: int) -> None:
    """Write discs on a grid as labels, and transcripts piece by piece."""
    folder.mkdir(parents=True, exist_ok=True)
    per_row = SIDE_PX // CELL_PX
    if not (folder / "masks.zarr").exists():
        store = omezarr.create(
            folder / "masks.zarr", shape=(SIDE_PX, SIDE_PX), axes="yx", dtype="uint32", channels=()
        )
        offset = np.arange(CELL_PX) - CELL_PX // 2
        disc = np.hypot(offset[:, None], offset) <= RADIUS_PX
        for row in range(per_row):
            ids = np.arange(1, per_row + 1, dtype=np.uint32) + np.uint32(row * per_row)
            band = np.zeros((CELL_PX, SIDE_PX), dtype=np.uint32)
            band[:, : per_row * CELL_PX] = np.tile(disc, per_row) * np.repeat(ids, CELL_PX)
            store.array[row * CELL_PX : (row + 1) * CELL_PX] = band
    table = folder / f"transcripts_{n_rows}.parquet"
    if table.exists():
        return
    rng = np.random.default_rng(0)
    names = pa.array([f"gene{i}" for i in range(N_GENES)])
    schema = pa.schema(
        [
            ("x_px", pa.float32()),
            ("y_px", pa.float32()),
            ("gene", pa.dictionary(pa.int32(), "string")),
        ]
    )
    with pq.ParquetWriter(table, schema) as writer:
        for start in range(0, n_rows, PIECE):
            n = min(PIECE, n_rows - start)
            xy = rng.uniform(0, SIDE_PX - 1, size=(2, n)).astype(np.float32)
            gene = pa.array(rng.integers(N_GENES, size=n, dtype=np.int32))
            gene = pa.DictionaryArray.from_arrays(gene, names)
            writer.write_batch(
                pa.RecordBatch.from_arrays([*map(pa.array, xy), gene], schema=schema)
            )


def plain(folder: Path, n_rows: int) -> None:
    """Count with numpy and scipy alone, everything in memory."""
    labels = np.asarray(omezarr.open_(folder / "masks.zarr").array[:])
    start = time.process_time()
    table = pq.read_table(folder / f"transcripts_{n_rows}.parquet")
    x, y = (np.rint(table[name].to_numpy()).astype(np.int64) for name in ("x_px", "y_px"))
    gene = table["gene"].combine_chunks().indices.to_numpy()
    cell = labels[y, x]
    owned = cell > 0
    shape = (int(labels.max()) + 1, N_GENES)
    ones = np.ones(int(owned.sum()), dtype=np.int32)
    counts = scipy.sparse.coo_matrix((ones, (cell[owned], gene[owned])), shape=shape).tocsr()
    print(f"counts {counts.sum()}, {time.process_time() - start:.2f} s", end="")


def ours(folder: Path, n_rows: int) -> None:
    """Run the command: every row is also written with its cell, cells outlined and measured."""
    files = ["--labels", str(folder / "masks.zarr")]
    files += ["--transcripts", str(folder / f"transcripts_{n_rows}.parquet")]
    start = time.process_time()
    options = ["--pixel-size-um", str(PIXEL_SIZE_UM), "-o", str(folder / "3_cells")]
    assert cellsam_core(["assign", *files, *options]) == 0
    print(f"{time.process_time() - start:.2f} s", end="")


def main() -> None:
    """Write the inputs, then measure each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", choices=("plain", "ours"))
    args = parser.parse_args()
    if args.only:
        (plain if args.only == "plain" else ours)(args.folder, args.rows)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f", peak {peak:.2f} GB")
        return
    write_inputs(args.folder, args.rows)
    for name in ("plain", "ours"):
        print(f"{name}: ", end="", flush=True)
        words = [args.folder, "--rows", args.rows, "--only", name]
        subprocess.run([sys.executable, __file__, *map(str, words)], check=True)


if __name__ == "__main__":
    main()
