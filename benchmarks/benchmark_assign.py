"""Time the assignment of transcripts to cells beside plain numpy, sopa and spatialdata.

    python benchmarks/benchmark_assign.py make FOLDER [--transcripts 5000000]
    python benchmarks/benchmark_assign.py run FOLDER [--peers PYTHON]

`script` writes the same files as the command, with numpy, scipy, scikit-image and pandas. `lean`
does less: its table has no shapes, and its outlines come from boxes that are known. Neither
measures the purity, which the command does.
`make` writes simulated data: 20,164 round cells on 10,000 x 10,000 px as an uncompressed label
image and as polygons, and transcripts of 500 features in random order. `run` starts each method in
a process of its own, one thread, and prints a table; sopa and spatialdata run under the Python that
`--peers` names. Seconds are of the processor, without imports and, in the next column, with them.
Memory is the peak of the whole process less the 0.4 GB of the label image, which ours and plain
numpy map.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    from numpy.typing import NDArray

SIDE_PX = 10_000
PITCH_PX = 70
RADIUS_PX = 27
JITTER_PX = 7
PX_PER_UM = 1 / 0.108
N_GENES, N_BLANKS = 490, 10
BLANK_SHARE = 0.02
PIECE = 1_000_000
VERTICES = 40  # of the polygons that the peers count in
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def make(folder: Path, n_transcripts: int) -> None:
    """Write ``labels.tif``, ``cells.parquet``, ``polygons.parquet`` and ``transcripts.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import tifffile

    from cellsam_core.labels.image import open_label_image
    from cellsam_core.labels.tiles import measure_cells

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    centres = np.argwhere(np.ones((SIDE_PX // PITCH_PX,) * 2)) * PITCH_PX + PITCH_PX // 2
    centres += rng.integers(-JITTER_PX, JITTER_PX + 1, size=centres.shape)
    labels = tifffile.memmap(folder / "labels.tif", shape=(SIDE_PX, SIDE_PX), dtype=np.uint32)
    y, x = np.mgrid[-RADIUS_PX : RADIUS_PX + 1, -RADIUS_PX : RADIUS_PX + 1]
    disc = y**2 + x**2 <= RADIUS_PX**2
    for label, (cy, cx) in enumerate(centres, start=1):
        window = labels[cy - RADIUS_PX :, cx - RADIUS_PX :][: len(disc), : len(disc)]
        window[disc] = label
    labels.flush()
    measure_cells(open_label_image(folder / "labels.tif").tiles).to_parquet(
        folder / "cells.parquet"
    )
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ring *= np.sqrt(disc.sum() / (VERTICES / 2 * np.sin(angle[1])))  # the area of the pixels
    vertices = ((centres[:, None, ::-1] + ring) / PX_PER_UM).reshape(-1, 2)
    polygons = {"vertex_x": vertices[:, 0], "vertex_y": vertices[:, 1]}
    pq.write_table(pa.table(polygons), folder / "polygons.parquet")
    names = pa.array([f"Gene{i}" for i in range(N_GENES)] + [f"Blank-{i}" for i in range(N_BLANKS)])
    share = rng.lognormal(0, 1, size=len(names))
    share[N_GENES:] *= BLANK_SHARE
    share /= share.sum()
    schema = pa.schema({"x_um": pa.float32(), "y_um": pa.float32(), "gene": pa.string()})
    with pq.ParquetWriter(folder / "transcripts.parquet", schema) as writer:
        for start in range(0, n_transcripts, PIECE):
            n = min(PIECE, n_transcripts - start)
            xy = rng.uniform(0, (SIDE_PX - 1) / PX_PER_UM, size=(2, n)).astype(np.float32)
            code = rng.choice(len(names), size=n, p=share).astype(np.int32)
            gene = pa.DictionaryArray.from_arrays(code, names).dictionary_decode()
            writer.write_table(pa.table([*xy, gene], schema=schema))


def plain_numpy(folder: Path) -> Callable[[], int]:
    """Look up and count with numpy and scipy: all rows at once, nothing checked."""
    import pyarrow.parquet as pq
    import scipy.sparse
    import tifffile

    path = folder / "transcripts.parquet"
    pq.read_table(path, columns=[])  # what it imports on first use

    def run() -> int:
        labels = tifffile.memmap(folder / "labels.tif", mode="r")
        table = pq.read_table(path, read_dictionary=["gene"])
        gene = table["gene"].unify_dictionaries().combine_chunks().indices.to_numpy()
        column, row = (
            np.floor(table[name].to_numpy().astype(np.float64) * PX_PER_UM + 0.5).astype(np.int64)
            for name in ("x_um", "y_um")
        )
        cell = labels[row, column]
        owned = cell > 0
        ones = np.ones(np.count_nonzero(owned), dtype=np.int32)
        return int(scipy.sparse.csr_matrix((ones, (cell[owned], gene[owned]))).sum())

    return run


def plain_script(folder: Path) -> Callable[[], int]:
    """Write what ``assign`` writes, with numpy, scipy, scikit-image and pandas; nothing checked."""
    import pandas as pd
    import tifffile
    from skimage.measure import regionprops_table

    shape = ["label", "area", "centroid", "bbox", "perimeter", "eccentricity", "orientation"]
    shape += ["axis_major_length", "axis_minor_length", "solidity", "image"]

    def run() -> int:
        labels = np.asarray(tifffile.memmap(folder / "labels.tif", mode="r"))
        cells = pd.DataFrame(regionprops_table(labels.astype(np.int32), properties=shape))
        masks = zip(cells.pop("image"), cells["bbox-0"], cells["bbox-1"], strict=True)
        return _count_and_write(folder, folder / "script", labels, cells, masks)

    return run


def lean_script(folder: Path) -> Callable[[], int]:
    """Look up, count, outline each cell in its box and write; nothing measured, nothing checked."""
    import pandas as pd
    import tifffile

    def run() -> int:
        labels = np.asarray(tifffile.memmap(folder / "labels.tif", mode="r"))
        cells = pd.read_parquet(folder / "cells.parquet")
        boxes = cells[["label", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]]
        masks = (
            (labels[y0:y1, x0:x1] == label, y0, x0)
            for label, y0, x0, y1, x1 in boxes.itertuples(index=False)
        )
        return _count_and_write(folder, folder / "lean", labels, cells, masks)

    return run


def _count_and_write(
    folder: Path,
    output: Path,
    labels: NDArray[np.uint32],
    cells: pd.DataFrame,
    masks: Iterable[tuple[NDArray[np.bool_], int, int]],
) -> int:
    """Count the transcripts in cells, write counts, transcripts and outlines; return the sum."""
    import anndata
    import pandas as pd
    import scipy.sparse
    import shapely
    from skimage.measure import find_contours

    output.mkdir(exist_ok=True)
    table = pd.read_parquet(folder / "transcripts.parquet")
    gene = table["gene"].astype("category")
    row, column = (
        np.floor(table[name].to_numpy() * PX_PER_UM + 0.5).astype(np.int64)
        for name in ("y_um", "x_um")
    )
    table["cell_id"] = cell = labels[row, column]
    owned = cell > 0
    ones = np.ones(np.count_nonzero(owned), dtype=np.int32)
    at = np.searchsorted(cells["label"], cell[owned]), gene.cat.codes[owned]
    size = len(cells), len(gene.cat.categories)
    counts = scipy.sparse.csr_matrix((ones, at), shape=size)
    genes = pd.DataFrame(index=gene.cat.categories.astype(str))
    obs = cells.set_index(cells.index.astype(str))
    anndata.AnnData(counts, obs, genes).write_h5ad(output / "cells.h5ad")
    table.to_parquet(output / "transcripts.parquet")
    polygons = []
    for mask, y0, x0 in masks:
        ring = find_contours(np.pad(mask, 1), 0.5)[0]
        ring += y0 - 1, x0 - 1
        polygons.append(shapely.Polygon(ring[:, ::-1] / PX_PER_UM))
    outlines = pd.DataFrame({"cell_id": cells["label"], "geometry": shapely.to_wkb(polygons)})
    outlines.to_parquet(output / "boundaries.parquet")
    return int(counts.sum())


def our_counts(folder: Path) -> Callable[[], int]:
    """Stream, check, look up and count, up to the matrix."""
    from cellsam_core.assignment.counts import CountTable, FeatureIndex
    from cellsam_core.labels.image import open_label_image
    from cellsam_core.labels.lookup import lookup
    from cellsam_core.samples.manifest import TranscriptSource
    from cellsam_core.samples.transcripts import iter_transcripts

    um_to_px = np.diag([PX_PER_UM, PX_PER_UM, 1.0]).tolist()
    path = str(folder / "transcripts.parquet")
    source = TranscriptSource(path, "x_um", "y_um", "gene", None, "um", um_to_px, 0)

    def run() -> int:
        tiles = open_label_image(folder / "labels.tif").tiles
        index, table = FeatureIndex(), CountTable()
        for batch in iter_transcripts(source):
            cell_id, _ = lookup(tiles, batch["x_px"].to_numpy(), batch["y_px"].to_numpy())
            codes, names = batch["feature"].indices, batch["feature"].dictionary.to_pylist()
            table.add(cell_id, index.add(codes.to_numpy(), names, [None] * len(names)))
        return int(table.matrix(table.cell_id, len(index.names)).sum())

    return run


def our_command(folder: Path) -> Callable[[], int]:
    """Run ``cellsam-core assign``: units tested, all four files written, outlines included."""
    from cellsam_core.assignment import (
        anndata,  # noqa: F401 (no part of the time)
        cells,  # noqa: F401 (no part of the time)
    )
    from cellsam_core.cli import main
    from cellsam_core.samples import placement  # noqa: F401 (no part of the time)

    command = ["assign", "--labels", str(folder / "labels.tif")]
    command += ["--cells", str(folder / "cells.parquet"), "-o", str(folder / "3_cells")]
    command += ["--transcripts", str(folder / "transcripts.parquet")]

    def run() -> int:
        assert main([*command, "--pixel-size-um", str(1 / PX_PER_UM)]) == 0
        quality = json.loads((folder / "3_cells/assign_qc.json").read_text())
        return int(quality["n_assigned"])

    return run


def as_spatialdata(folder: Path) -> Any:
    """Points that are read when they are needed, cells as polygons in memory."""
    import dask
    import dask.dataframe as dd
    import geopandas as gpd
    import pandas as pd
    import shapely
    from spatialdata import SpatialData
    from spatialdata.models import PointsModel, ShapesModel

    dask.config.set(scheduler="synchronous")
    rings = pd.read_parquet(folder / "polygons.parquet").to_numpy().reshape(-1, VERTICES, 2)
    cells = ShapesModel.parse(gpd.GeoDataFrame(geometry=shapely.polygons(rings)))
    table = dd.read_parquet(folder / "transcripts.parquet").categorize(columns=["gene"])
    table = table.rename(columns={"x_um": "x", "y_um": "y"})
    points = PointsModel.parse(table, feature_key="gene", sort=False)
    return SpatialData(points={"transcripts": points}, shapes={"cells": cells})


def sopa(folder: Path) -> Callable[[], int]:
    """Count with ``sopa.aggregation.count_transcripts``, up to the matrix."""
    from sopa.aggregation import count_transcripts

    data = as_spatialdata(folder)
    return lambda: int(count_transcripts(data, gene_column="gene", shapes_key="cells").X.sum())


def spatialdata(folder: Path) -> Callable[[], int]:
    """Count with ``SpatialData.aggregate``, up to the matrix."""
    data = as_spatialdata(folder)
    what: dict[str, Any] = {"value_key": "gene", "agg_func": "count"}
    return lambda: int(data.aggregate(values="transcripts", by="cells", **what)["table"].X.sum())


OURS = {
    "numpy": plain_numpy,
    "counts": our_counts,
    "lean": lean_script,
    "script": plain_script,
    "command": our_command,
}
PEERS = {"sopa": sopa, "spatialdata": spatialdata}


def measure(folder: Path, method: str) -> None:
    """Run one method in this process and print what it took."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    run = (OURS | PEERS)[method](folder)
    start = time.process_time()
    total = run()
    seconds = time.process_time() - start
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    found = {"seconds": seconds, "peak_gb": peak_gb, "total": total}
    print(json.dumps(found | {"with_imports": time.process_time()}))


def compare(folder: Path, peers: str | None) -> None:
    """Print a table of all methods; the peers' polygons are not exactly the pixels."""
    labels_gb = (folder / "labels.tif").stat().st_size / 1e9
    found = {}
    header = ("method", "CPU s", "with imports", "x numpy", "peak GB beside the labels")
    print("|", " | ".join([*header, "transcripts in cells"]), "|")
    print("|---" * (len(header) + 1) + "|")
    for method in [*OURS, *(PEERS if peers else [])]:
        python = sys.executable if method in OURS else str(peers)
        output = subprocess.run(
            [python, __file__, "measure", str(folder), method],
            env=os.environ | ONE_THREAD,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        found[method] = result = json.loads(output.splitlines()[-1])
        ratio = result["seconds"] / found["numpy"]["seconds"]
        memory = result["peak_gb"] - (labels_gb if method in OURS else 0)
        print(
            f"| {method} | {result['seconds']:.2f} | {result['with_imports']:.2f} | {ratio:.2f} "
            f"| {memory:.2f} "
            f"| {result['total']} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("make", "run", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("method", nargs="?", choices=[*OURS, *PEERS])
    parser.add_argument("--transcripts", type=int, default=5_000_000)
    parser.add_argument("--peers", metavar="PYTHON")
    args = parser.parse_args()
    if args.what == "make":
        make(args.folder, args.transcripts)
    elif args.what == "run":
        compare(args.folder, args.peers)
    else:
        measure(args.folder, args.method)
