"""Plan of a run for `snakemake plan`: numbers of jobs, hours of segmentation, disk space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from cellsam_core.models import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cellsam_core.run_plan.extent import Tiles

# Measured on one core of a 2-core virtual machine with tiles of 512 px (docs/model_card.md,
# docs/cluster.md).
CPU_SECONDS_PER_TILE = {"tiny": 0.88, "published": 27.6}
USUAL_TILE_AREA_PX = 512.0**2
CPU_START_UP_S = {"tiny": 15.8, "published": 9.7}
# Simulated examples and movies of 60 frames took 1.6 to 3.3 bytes a pixel without the report.
DISK_BYTES_PER_PX = 5.0
DISK_BYTES_PER_SAMPLE = 1.5e6


@dataclass(frozen=True)
class SampleWork:
    """Work that one sample needs.

    Attributes
    ----------
    sample
        Name of the sample.
    tiles
        Tiles of all frames; None if the size of the images is not known.
    n_pixels
        Number of pixels in all frames; None if it is not known.
    n_gpu_jobs, n_jobs
        Number of jobs of the rule ``segment``, and of all rules.
    weights
        Name or path of the model's weights.
    """

    sample: str
    tiles: Tiles | None
    n_pixels: int | None
    n_gpu_jobs: int
    n_jobs: int
    weights: str

    @property
    def n_tiles(self) -> int:
        """Number of tiles; 0 if it is not known."""
        return self.tiles.n if self.tiles else 0


@dataclass(frozen=True)
class Pilot:
    """Segmentation jobs that have run already, from which hours are estimated.

    Attributes
    ----------
    seconds
        Sum of their run times in seconds.
    n_tiles, n_jobs
        Number of tiles that they segmented, and of jobs.
    """

    seconds: float = 0.0
    n_tiles: int = 0
    n_jobs: int = 0


def n_jobs(
    n_batches: int,
    *,
    is_movie: bool,
    n_field_batches: int = 0,
    finds_nuclei: bool = False,
    takes_nuclei: bool = False,
) -> int:
    """Count the jobs of a sample: inspect, preprocess, stitch, report and those of its assay.

    Parameters
    ----------
    n_batches
        Number of segmentation jobs.
    is_movie
        True if the sample is a movie, False if it is a tissue.
    n_field_batches
        Number of jobs that decode fields of raw rounds; 0 for other samples.
    finds_nuclei
        True if nuclei are found beside cells.
    takes_nuclei
        True if nuclei of the user are paired with cells.
    """
    of_nuclei = n_batches + 2 if finds_nuclei else 2 * takes_nuclei
    of_rounds = n_field_batches + 2 if n_field_batches else 0
    return n_batches + 5 + is_movie + of_rounds + of_nuclei


def disk_gb(work: SampleWork) -> float:
    """Estimate the size of the results of a sample in gigabytes."""
    return ((work.n_pixels or 0) * DISK_BYTES_PER_PX + DISK_BYTES_PER_SAMPLE) / 1e9


def read_pilot(tiles_of: dict[str, int], benchmarks: Path) -> Pilot:
    """Add up the benchmark files that Snakemake has written for segmentation jobs.

    Parameters
    ----------
    tiles_of
        Number of tiles of each sample.
    benchmarks
        Folder with the files ``<sample>/segment/<K-of-N>.tsv``.
    """
    seconds, n_tiles, n_jobs = 0.0, 0, 0
    for sample, tiles in tiles_of.items():
        for path in (benchmarks / sample / "segment").glob("*-of-*.tsv"):
            batch, count = (int(word) for word in path.stem.split("-of-"))
            seconds += float(pd.read_csv(path, sep="\t")["s"].iloc[0])
            n_tiles += batch * tiles // count - (batch - 1) * tiles // count
            n_jobs += 1
    return Pilot(seconds, n_tiles, n_jobs)


def hours(work: SampleWork, pilot: Pilot) -> float:
    """Estimate the run time of a sample's segmentation jobs in hours, from the pilot if any.

    Without a pilot, the time of a model of another package is not known: NaN.
    """
    if work.tiles is None:
        return 0.0
    if pilot.n_tiles:
        return work.tiles.n * pilot.seconds / pilot.n_tiles / 3600
    model = kind_of(work.weights)
    if model == "backend":
        return float("nan")
    start_up_s = work.n_gpu_jobs * CPU_START_UP_S[model]
    per_tile_s = CPU_SECONDS_PER_TILE[model] * work.tiles.area_px / USUAL_TILE_AREA_PX
    return (work.tiles.n * per_tile_s + start_up_s) / 3600


def page(works: Iterable[SampleWork], pilot: Pilot) -> str:
    """Format the plan: one row a sample, the sum, and notes on how the figures were estimated."""
    works = list(works)
    rows = [
        (
            work.sample,
            work.n_tiles,
            work.n_gpu_jobs,
            work.n_jobs,
            hours(work, pilot),
            disk_gb(work),
        )
        for work in works
    ]
    rows.append(("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])))
    header = ["sample", "tiles", "GPU jobs", "jobs", "GPU hours", "disk (GB)"]
    table = pd.DataFrame(rows, columns=header)
    text = table.to_string(index=False, float_format=lambda value: f"{value:.3g}")
    notes = ["Tiles are those of cells of 30 px where cell_diameter_px is auto."]
    if pilot.n_tiles:
        notes.append(f"Hours are those of {pilot.n_jobs} jobs with {pilot.n_tiles} tiles run here.")
    else:
        notes.append("Hours are those of one CPU core; run one sample to have them measured here.")
    if any(hours(work, pilot) != hours(work, pilot) for work in works):
        notes.append("Hours of other packages' models are not known before a sample has run.")
    notes.append("Disk is what is kept at most, without the raw data.")
    unclear = [work.sample for work in works if work.tiles is None]
    if unclear:
        notes.append(f"No clear images, counted as one job without tiles: {', '.join(unclear)}.")
    return "\n".join([text, *notes])
