"""Times and memory of the page's server on a large tissue: ``python benchmarks/view_speed.py``.

A square image (20,000 px by default) with 100,000 cells on a grid and a million transcripts is made
in a temporary folder, by another process; tiles are asked for as a browser would ask for them. The
memory is the largest of server and client, which share a process, so far.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import httpx
import numpy as np
import pandas as pd

import cellsam_core as cc
from cellsam_core.files import omezarr
from cellsam_core.files.pyramid import PyramidWriter
from cellsam_core.samples.manifest import Manifest, TranscriptSource

LOOK = "c=0:4d9bff:0:65535,1:ffb000:0:65535"


def main() -> None:
    """Make the tissue, ask for its parts, and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-px", type=int, default=20_000)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--transcripts", type=int, default=1_000_000)
    parser.add_argument("--tiles", type=int, default=200, help="tiles of each kind")
    parser.add_argument("--day", type=int, default=0, help="tiles of a day's work, at all levels")
    parser.add_argument("--keep", type=Path, help="folder to make the tissue in, and keep")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = args.keep or Path(temporary)
        if not (root / "results/large/0_manifest.json").is_file():
            made = (root / "results/large", args.size_px, args.cells, args.transcripts)
            maker = get_context("spawn").Process(target=make_tissue, args=made)
            maker.start()
            maker.join()
            if maker.exitcode:
                raise SystemExit("The tissue was not made: empty the folder, and try again.")
        page = cc.view(root / "results", corrections=root / "corrections")
        with httpx.Client(base_url=page.url + "api/", timeout=120) as client:
            measure(client, args.tiles)
            if args.day:
                work_a_day(client, args.day)
        page.close()


def make_tissue(folder: Path, size: int, n_cells: int, n_transcripts: int) -> None:
    """Write images, labels on a grid, a table of cells and transcripts."""
    rng = np.random.default_rng(1)
    side = max(4, size // int(np.ceil(np.sqrt(n_cells))))
    frames = omezarr.create(
        folder / "1_preprocessed/frames.zarr",
        shape=(2, size, size),
        axes="cyx",
        dtype="uint16",
        channels=("nuclear", "cell"),
        pixel_size_um=0.1,
    )
    masks = omezarr.create(
        folder / "2_masks/masks.zarr", shape=(size, size), axes="yx", dtype="uint32"
    )
    noise = rng.integers(0, 20_000, (1024, 1024)).astype(np.uint16)
    along = size // side
    with PyramidWriter(masks) as writer:
        for y0 in range(0, size, 1024):
            writer.write((), y0, labels_of(y0, size, side))
    with PyramidWriter(frames) as writer:
        for channel in (0, 1):
            for y0 in range(0, size, 1024):
                rows = 20_000 * (labels_of(y0, size, side) > 0)
                rows = rows + np.tile(noise, (1, -(-size // 1024)))[: len(rows), :size]
                writer.write((channel,), y0, rows.astype(np.uint16))
    cells = np.arange(along * along)
    table = pd.DataFrame({"frame": 0, "label": cells + 1})
    table["y"], table["x"] = (cells // along + 0.5) * side, (cells % along + 0.5) * side
    table["area_px"], table["score"] = (side - 2) ** 2, rng.uniform(0.4, 1, len(cells))
    table.to_parquet(folder / "2_masks/cells.parquet")
    (folder / "3_cells").mkdir()
    transcripts = pd.DataFrame(
        rng.uniform(0, size - 1, (n_transcripts, 2)), columns=["x_um", "y_um"]
    )
    names = [f"gene{k}" for k in range(300)]
    transcripts["feature"] = pd.Categorical.from_codes(rng.integers(0, 300, n_transcripts), names)
    transcripts.to_parquet(folder / "3_cells/transcripts.parquet")
    unit = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    source = TranscriptSource("t.csv", "x", "y", "gene", None, "um", unit, n_transcripts)
    manifest = Manifest(
        "large", "merfish", "simulated", ["nuclear", "cell"], 1, (size, size), "uint16", 0.1, None,
        [[None, None]], source,
    )  # fmt: skip
    (folder / "0_manifest.json").write_text(manifest.to_json())


def labels_of(y0: int, size: int, side: int) -> np.ndarray:
    """Return rows of square cells with gaps of 2 px."""
    along, x = size // side, np.arange(size)
    y = np.arange(y0, min(y0 + 1024, size))[:, None]
    gap = (y % side < 2) | (x % side < 2) | (y // side >= along) | (x // side >= along)
    return np.where(gap, 0, y // side * along + x // side + 1).astype(np.uint32)


def measure(client: httpx.Client, n_tiles: int) -> None:
    """Ask for every kind of data and print milliseconds, kilobytes and memory."""
    sample = client.get("state").json()["samples"][0]
    version, along = sample["version"], -(-sample["width"] // 512)
    rng = np.random.default_rng(2)
    places = [f"0/0/{x}/{y}" for x, y in rng.integers(0, along, (n_tiles, 2))]
    print(f"memory before the first request {peak_mb():.0f} MB", flush=True)
    report("cells", client, ["large/cells/0"])
    report("transcripts, first", client, ["large/transcripts"])
    report("transcripts, a gene", client, ["large/transcripts?g=5"])
    report("points of a square", client, [f"large/points/{version}/{k}/{k}" for k in range(along)])
    report("density, all", client, [f"large/density/{version}"])
    report("density, a gene", client, [f"large/density/{version}?g=5"])
    print(f"memory with the transcripts {peak_mb():.0f} MB", flush=True)
    for name, query in (("image", f"?{LOOK}"), ("ids", "")):
        addresses = [f"large/{name}/{version}/{place}{query}" for place in places]
        report(f"{name} tile, cold", client, addresses)
        report(f"{name} tile, again", client, addresses[-8:])
        last = sample["levels"] - 1
        report(f"{name} overview", client, [f"large/{name}/{version}/0/{last}/0/0{query}"])
    print(f"memory with tiles {peak_mb():.0f} MB", flush=True)


def peak_mb() -> float:
    """Return the largest memory of the process so far, MB."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def work_a_day(client: httpx.Client, n: int) -> None:
    """Ask for tiles all over the image, at every level, and print the memory now and then."""
    sample = client.get("state").json()["samples"][0]
    rng = np.random.default_rng(3)
    began = time.process_time()
    for k in range(n):
        level = int(rng.integers(sample["levels"]))
        columns, rows = (-(-(sample[side] >> level) // 512) for side in ("width", "height"))
        x, y = rng.integers(max(1, columns)), rng.integers(max(1, rows))
        kind, query = (("image", f"?{LOOK}"), ("ids", ""))[k % 2]
        client.get(f"large/{kind}/{sample['version']}/0/{level}/{x}/{y}{query}").raise_for_status()
        if (k + 1) % max(1, n // 5) == 0:
            ms = 1000 * (time.process_time() - began) / (k + 1)
            print(f"{k + 1} tiles, {ms:.1f} CPU ms a tile, memory {peak_mb():.0f} MB", flush=True)


def report(name: str, client: httpx.Client, addresses: list[str]) -> None:
    """Time some requests, one after another: by the clock, and of the processor.

    Server and client share the process, so that the time of the processor is that of both.
    """
    took, worked, sizes, statuses = [], [], [], set()
    for address in addresses:
        start, busy = time.perf_counter(), time.process_time()
        answer = client.get(address)
        took.append(1000 * (time.perf_counter() - start))
        worked.append(1000 * (time.process_time() - busy))
        sizes.append(len(answer.content) / 1000)
        statuses.add(answer.status_code)
    row = {"ms": took, "cpu_ms": worked, "kB": sizes}
    medians = {key: round(float(np.median(values)), 1) for key, values in row.items()}
    print(f"{name:22s} {json.dumps(medians)} n={len(took)} status {sorted(statuses)}", flush=True)


if __name__ == "__main__":
    main()
