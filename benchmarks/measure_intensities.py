"""Time and memory of the intensities of a large image of many channels.

``python benchmarks/measure_intensities.py [--size-px 20000] [--channels 20]``

Pixels are made when they are read, so that no disk is needed: the figures are those of the
measurement.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.assignment.stains import measure_stains
from cellsam_core.labels.tiles import LabelTiles
from cellsam_core.preprocessing.images import RawImages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window

PITCH_PX = 32
CELL_PX = 24


def main() -> None:
    """Measure, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-px", type=int, default=20_000)
    parser.add_argument("--channels", type=int, default=20)
    args = parser.parse_args()
    size, n_side = args.size_px, args.size_px // PITCH_PX

    def labels(rows: slice, columns: slice) -> NDArray[np.uint32]:
        y, x = np.arange(size)[rows][:, None], np.arange(size)[columns][None]
        inside = (y % PITCH_PX < CELL_PX) & (x % PITCH_PX < CELL_PX)
        whole = (y // PITCH_PX < n_side) & (x // PITCH_PX < n_side)
        number = (y // PITCH_PX) * n_side + x // PITCH_PX + 1
        return np.where(inside & whole, number, 0).astype(np.uint32)

    noise = np.random.default_rng(0).integers(0, 4000, (1024, size)).astype(np.uint16)

    def read(_frame: int, names: Sequence[str], window: Window | None) -> NDArray[Any]:
        y0, y1, x0, x1 = window or (0, size, 0, size)
        band = noise[: y1 - y0, x0:x1]
        return np.stack([band + np.uint16(int(name)) for name in names])

    names = [str(c) for c in range(args.channels)]
    raw = RawImages("simulated", names, 1, (size, size), is_movie=False, read=read)
    cell_id = np.arange(1, n_side**2 + 1, dtype=np.uint32)
    start = time.process_time()
    found = measure_stains(raw, LabelTiles(labels, (size, size)), cell_id)
    seconds = time.process_time() - start
    assert (found.n_px == CELL_PX**2).all()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{size} x {size} px, {args.channels} channels, {len(cell_id)} cells:"
        f" {seconds:.0f} s of CPU, {memory:.2f} GB"
    )


if __name__ == "__main__":
    main()
