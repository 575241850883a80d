"""Speed on one simulated image of 512 px with 100 cells, beside the floor of a ViT-B pipeline.

The official CellSAM runs SAM's ViT-B encoder twice at 1024 px, once for the detector and once
for the masks, and SAM's decoder once a box. Where it is not installed, just that is timed, with
random weights: its detection transformer, resizing and painting are left out, so the
official code takes longer than this floor. The presets of our own build of it run with random
weights, too, and everything included; see :mod:`stages`.
"""

from __future__ import annotations

import re
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from cellsam_core.benchmark.methods import CELLSAM
from cellsam_core.models import PUBLISHED_CLAHE_CLIP_LIMIT
from cellsam_core.preprocessing.contrast import preprocess_plane
from cellsam_core.simulation.cells import render_field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cellsam_core.benchmark.methods import Method
    from cellsam_core.benchmark.stages import Stage

    Load = Callable[[], Method]

T = TypeVar("T")

SIDE_PX = 512
DIAMETER_PX = 34.0
DENSITY = 0.4
"""With `SEED`, these give 100 cells."""

SEED = 1
REPEATS = 5
SLOW_S = 2.0
PRESETS = ("official", "fast")
FLOOR = "ViT-B floor (random weights, encoder twice + decoder per box)"


@dataclass(frozen=True)
class Timing:
    """Medians for one image, cells found, and the peak memory of a process that did it."""

    name: str
    seconds: float
    cpu_seconds: float
    n_cells: int
    peak_rss_mb: float


def simulated_field() -> tuple[NDArray[np.float32], int]:
    """Render the image that is timed: raw ``(2, y, x)`` and its number of cells."""
    field = render_field(
        np.random.default_rng(SEED),
        (SIDE_PX, SIDE_PX),
        style="fluo",
        diameter_px=DIAMETER_PX,
        density=DENSITY,
    )
    return field.image, int(field.labels.max())


def speed_tables(loaders: Mapping[str, Load]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Time methods, presets and the ViT-B floor, each in a process of its own, one by one.

    Parameters
    ----------
    loaders
        By name; picklable. Loading is not timed, contrast enhancement is.

    Returns
    -------
    DataFrame
        ``name, seconds, cpu_seconds`` (of all threads), ``n_cells, peak_rss_mb,
        images_per_second, times_faster`` than the official code if it is among the methods,
        else than the floor: in CPU seconds, which other work on the machine hardly changes.
    DataFrame
        ``preset`` and the fields of :class:`Stage`.
    """
    timings = []
    for name, load in loaders.items():
        timings.append(_in_process(time_method, name, load, None))
        if name == CELLSAM:
            timings.append(_in_process(time_method, f"{name}, diameter given", load, DIAMETER_PX))
    stages: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "random.pt"
        _in_process(_write_random_checkpoint, weights)
        for preset in PRESETS:
            timing, steps = _in_process(time_preset, preset, weights)
            timings.append(timing)
            stages.extend({"preset": preset} | step._asdict() for step in steps)
    timings.append(_in_process(time_floor, simulated_field()[1]))
    table = pd.DataFrame([asdict(t) for t in timings])
    reference = "official" if "official" in loaders else FLOOR
    cpu_seconds = table["cpu_seconds"][table["name"] == reference].item()
    table = table.assign(
        images_per_second=1 / table["seconds"], times_faster=cpu_seconds / table["cpu_seconds"]
    )
    return table, pd.DataFrame(stages)


def _in_process(function: Callable[..., T], *arguments: Any) -> T:
    """Call in a fresh process, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def time_method(name: str, load: Load, diameter_px: float | None) -> Timing:
    """Time a method from raw pixels to labels, after a first run to warm up."""
    raw, _ = simulated_field()
    method = load()
    clip_limit = PUBLISHED_CLAHE_CLIP_LIMIT if method.clahe else 0.0

    def once() -> int:
        pixels = np.stack([preprocess_plane(p, clahe_clip_limit=clip_limit) for p in raw])
        return len(np.unique(method.segment(pixels, diameter_px))) - 1

    n_cells = once()
    seconds, cpu_seconds = _median_seconds(once)
    return Timing(name, seconds, cpu_seconds, n_cells, peak_rss_mb())


def _write_random_checkpoint(path: Path) -> None:
    from cellsam_core.benchmark.stages import write_random_checkpoint

    write_random_checkpoint(path)


def time_preset(preset: str, weights: Path) -> tuple[Timing, list[Stage]]:
    """Time one preset of our build of the published CellSAM, once, with random weights."""
    from cellsam_core.benchmark.stages import time_stages

    raw, n_cells = simulated_field()
    stages, seconds = time_stages(raw, preset, n_cells, weights)
    cpu_seconds = sum(stage.cpu_seconds for stage in stages)
    name = f"vit_b, preset {preset} (random weights)"
    return Timing(name, seconds, cpu_seconds, n_cells, peak_rss_mb()), stages


def time_floor(n_boxes: int) -> Timing:
    """Time SAM's ViT-B encoder, which counts twice, and its decoder on boxes one by one."""
    import torch
    from segment_anything import sam_model_registry

    torch.manual_seed(SEED)
    sam = sam_model_registry["vit_b"]().eval()
    image = torch.zeros(1, 3, sam.image_encoder.img_size, sam.image_encoder.img_size)
    box = torch.tensor([[[100.0, 100.0, 160.0, 160.0]]])

    def decode() -> None:
        for _ in range(n_boxes):
            sparse, dense = sam.prompt_encoder(points=None, boxes=box, masks=None)
            sam.mask_decoder(
                image_embeddings=features,
                image_pe=sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )

    with torch.inference_mode():
        features = sam.image_encoder(image)
        encoder = _median_seconds(lambda: sam.image_encoder(image))
        decoder = _median_seconds(decode)
    seconds, cpu_seconds = (2 * e + d for e, d in zip(encoder, decoder, strict=True))
    return Timing(FLOOR, seconds, cpu_seconds, n_boxes, peak_rss_mb())


def _median_seconds(once: Callable[[], object]) -> tuple[float, float]:
    """Median wall-clock and CPU seconds of a few runs; what is slow runs once."""
    runs: list[tuple[float, float]] = []
    while not runs or (runs[0][0] < SLOW_S and len(runs) < REPEATS):
        start, cpu_start = time.perf_counter(), time.process_time()
        once()
        runs.append((time.perf_counter() - start, time.process_time() - cpu_start))
    wall, cpu = zip(*runs, strict=True)
    return statistics.median(wall), statistics.median(cpu)


def peak_rss_mb() -> float:
    """Peak memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts the parent's memory into getrusage's maximum
        kilobytes = re.search(r"VmHWM:\s+(\d+)", status.read_text())
        if kilobytes:
            return int(kilobytes[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
