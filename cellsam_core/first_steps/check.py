"""Check of all samples and options together with the data, before anything is computed."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.config.check import check_sample
from cellsam_core.config.schema import finds_nuclei
from cellsam_core.errors import InputError
from cellsam_core.first_steps.config_files import read_config
from cellsam_core.first_steps.own_files import own_masks, own_nuclei
from cellsam_core.first_steps.raw_field import is_raw
from cellsam_core.models import backend_of, refuse_absent_backend
from cellsam_core.run_plan.extent import Extent, count_tiles
from cellsam_core.run_plan.plan import Pilot, SampleWork, disk_gb, hours, n_jobs
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.sources import words, words_of_unit
from cellsam_core.samples.stage import inspect
from cellsam_core.segmentation.tiles import REFERENCE_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.config.sheet import Config
    from cellsam_core.samples.manifest import Manifest


@dataclass(frozen=True)
class SampleCheck:
    """Result of the check of one sample.

    Attributes
    ----------
    sample
        Name of the sample.
    problem
        Sentence that says why the sample can't be run; empty if it can.
    facts
        Short descriptions of what was read: size, stains, scales.
    notes
        Sentences about what is possible but perhaps not meant.
    hours
        Estimated run time of the segmentation on one CPU core, in hours.
    disk_gb
        Estimated size of the results, in gigabytes.
    """

    sample: str
    problem: str = ""
    facts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hours: float = 0.0
    disk_gb: float = 0.0

    @property
    def line(self) -> str:
        """One line about the sample."""
        if self.problem:
            return f"{self.sample}: WRONG, {self.problem}"
        notes = "".join(f"; note: {sentence.rstrip('.')}" for sentence in self.notes)
        return f"{self.sample}: ok, {', '.join(self.facts)}{notes}"


@dataclass(frozen=True)
class Check:
    """Result of the check of a sample sheet and its config.

    Attributes
    ----------
    samples
        Result for each sample, in the order of the sheet.
    free_gb
        Free space of the disk that the results go to, in gigabytes.
    """

    samples: list[SampleCheck]
    free_gb: float

    @property
    def disk_gb(self) -> float:
        """Estimated size of all results, in gigabytes."""
        return sum(sample.disk_gb for sample in self.samples)

    @property
    def is_ready(self) -> bool:
        """True if every sample can be run and there is room for the results."""
        return not any(sample.problem for sample in self.samples) and self.disk_gb < self.free_gb

    def text(self) -> str:
        """Write one line for each sample, and the sums."""
        n_ready = sum(not sample.problem for sample in self.samples)
        time_h = sum(sample.hours for sample in self.samples)
        lines = [sample.line for sample in self.samples]
        told = f"{n_ready} of {len(self.samples)} samples can be run."
        if n_ready:
            told += (
                f" Segmentation takes about {duration(time_h)} on one CPU core, and the results"
                f" about {size(self.disk_gb)}; {size(self.free_gb)} are free."
            )
        lines.append(told)
        if self.disk_gb >= self.free_gb:
            lines.append("WRONG, the disk is too small: free some space, or use --directory.")
        return "\n".join(lines)


def check(configfiles: Sequence[str | Path] = (), *, folder: str | Path = ".") -> Check:
    r"""Check all samples and options of a project together with the data.

    Headers are read, no pixels are segmented; it takes seconds for a sample.

    Parameters
    ----------
    configfiles
        Config files that change keys of ``config/config.yaml``, as with Snakemake's
        ``--configfile``.
    folder
        Folder in which Snakemake will run.

    Returns
    -------
    Check
        One result for each sample: wrong with its reason, or what will be run.

    Raises
    ------
    InputError
        The config or the sample sheet itself is wrong.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> folder = tempfile.TemporaryDirectory()
    >>> root = Path(folder.name)
    >>> (root / "config").mkdir()
    >>> header, row = "sample,assay,path,ratio", "a,movie,../m,CFP/YFP"
    >>> _ = (root / "config" / "samples.tsv").write_text(f"{header}\n{row}\n")
    >>> (root / "m").mkdir()
    >>> for name in ("H2B_t0", "H2B_t1", "CFP_t0", "CFP_t1"):
    ...     tifffile.imwrite(root / "m" / f"{name}.tif", np.ones((32, 48), np.uint16))
    >>> result = cc.check(folder=root)
    >>> result.is_ready, result.samples[0].problem[:44]
    (False, "option `ratio`: found 'CFP/YFP', expected NU")
    >>> folder.cleanup()
    """
    config = read_config(configfiles, folder)
    samples = [check_one(config, name) for name in config.samples]
    return Check(samples, shutil.disk_usage(folder).free / 1e9)


def check_one(config: Config, sample: str) -> SampleCheck:
    """Check one sample; what is wrong becomes the problem of the result.

    Parameters
    ----------
    config
        Config and sample sheet.
    sample
        Name of the sample.
    """
    try:
        return _check(config, sample)
    except InputError as error:
        return SampleCheck(sample, str(error))
    except OSError as error:
        return SampleCheck(sample, f"{error.filename or sample}: {error.strerror or error}")


def _check(config: Config, sample: str) -> SampleCheck:
    row = config.samples[sample]
    path = Path(config.path_of(sample, "path", row["path"]))
    has_rounds = is_raw(path, row)
    settings = config.sections_of(sample, is_raw=has_rounds)
    _check_files(config, sample, settings)
    notes: list[str] = []
    if has_rounds:
        extent, facts = _read_raw(path, row)
    else:
        keys = [item.name for item in fields(InspectOptions)]
        options = InspectOptions(**{key: row[key] for key in keys if key in row})
        manifest = inspect(path, assay=row["assay"], sample=sample, options=options)
        check_sample(manifest, settings)
        is_given = "masks" in row
        nuclei = own_nuclei(config, sample, manifest)
        if nuclei:
            settings["segment"] = settings["segment"] | {"targets": "cell"}
        cells = own_masks(config, sample, manifest) if is_given else _stains(manifest, settings)
        facts = [*_facts(manifest), ", ".join([cells, *nuclei])]
        notes = [*manifest.warnings, *_notes(row, settings)]
        extent = Extent(manifest.n_frames, manifest.shape_yx)
    work = _work(config, sample, extent, is_raw=has_rounds)
    time_h, size_gb = 0.0 if "masks" in row else hours(work, Pilot()), disk_gb(work)
    told = "nothing is segmented" if "masks" in row else f"{work.n_tiles} tile(s)"
    told += f", about {duration(time_h)}" if time_h else ""
    if time_h and settings["segment"]["cell_diameter_px"] == "auto":
        told += f" if the cells measure {REFERENCE_PX:g} px (`preview` measures them)"
    facts.append(f"{told}, {size(size_gb)}")
    return SampleCheck(sample, "", tuple(facts), tuple(notes), time_h, size_gb)


def _check_files(config: Config, sample: str, settings: dict[str, dict[str, Any]]) -> None:
    """Read the tables that a row names, and look for its nuclei."""
    row = config.samples[sample]
    if "corrections" in row:
        from cellsam_core.tracking.corrections_table import read_corrections

        read_corrections(config.path_of(sample, "corrections", row["corrections"]))
    if nuclei := settings.get("assign", {}).get("nuclei"):
        config.path_of(sample, "nuclei", nuclei)
    if bulk := settings.get("report", {}).get("bulk"):
        from cellsam_core.comparison.bulk import read_bulk

        read_bulk(Path(config.path_of(sample, "bulk", bulk)))
    weights = settings["segment"]["weights"]
    if backend_of(weights):
        refuse_absent_backend(weights)
    elif Path(weights).suffix and not Path(weights).is_file():
        raise InputError(
            "option `weights`",
            found=f"no file {weights}",
            expected="the name of shipped weights, or the path of a file",
            remedy="correct the path, which starts at the working directory",
        )


def _read_raw(path: Path, row: dict[str, Any]) -> tuple[Extent, list[str]]:
    """Open raw rounds, which `inspect` reads only after they are decoded."""
    from cellsam_core.decoding.open_raw import open_raw

    raw = open_raw(path, row.get("format", "auto"), row.get("pixel_size_um"))
    height, width = raw.shape_yx
    return (
        Extent(len(raw.fields), raw.shape_yx),
        [f"{row['assay']}, raw rounds, {len(raw.fields)} fields of {height} x {width} px"],
    )


def _facts(manifest: Manifest) -> list[str]:
    height, width = manifest.shape_yx
    frames = f"{manifest.n_frames} frame(s) of " if manifest.assay == "movie" else ""
    facts = [f"{manifest.assay}, {frames}{height} x {width} px"]
    pixel, interval = manifest.pixel_size_um, manifest.frame_interval_s
    source = words(manifest.sources, "pixel_size_um")
    facts.append(f"{pixel:g} um a pixel{source}" if pixel else "pixel size not known")
    if manifest.assay == "movie" and manifest.n_frames > 1:
        uneven = "uneven frame times" if manifest.frame_times_s else "frame interval not known"
        source = words(manifest.sources, "frame_interval_s")
        facts.append(f"{interval:g} s a frame{source}" if interval else uneven)
    if manifest.transcripts is not None:
        unit = words_of_unit(manifest.transcripts)
        facts.append(f"{manifest.transcripts.n_rows} transcripts{unit}")
    return facts


def _stains(manifest: Manifest, settings: dict[str, dict[str, Any]]) -> str:
    """Say which channels are segmented, and if their roles are guessed."""
    from cellsam_core.preprocessing.channels import RGB, choose_roles, is_fused, name_stains
    from cellsam_core.preprocessing.images import images_of_manifest

    given = settings["preprocess"]
    names = given["nuclear_channel"], given["cell_channel"]
    roles = choose_roles(images_of_manifest(manifest), *names, settings["segment"]["weights"])
    if finds_nuclei(settings["segment"]) and len(roles) < 2:
        raise InputError(
            "option `targets`",
            found=f"nucleus,cell for a sample with the {next(iter(roles))} stain only",
            expected="a nuclear and a cell stain",
            remedy="set nuclear_channel and cell_channel, or leave the option out",
        )
    is_told = any(names) or len(manifest.channels) == 1 or RGB in roles.values()
    said = "" if is_told else " (guessed from the names)"
    said = " (a kit, by the names of its channels)" if said and manifest.kit else said
    parts = [
        f"{name_stains(stains)} as {role}{', fused' if is_fused(stains) else ''}"
        for role, stains in roles.items()
    ]
    return f"segments {' and '.join(parts)}{said}"


def _notes(row: dict[str, Any], settings: dict[str, dict[str, Any]]) -> list[str]:
    traces = settings.get("traces")
    if traces is not None and "condition" in row and traces["ratio"] is None:
        return ["the condition is not averaged, because there is no ratio"]
    return []


def _work(config: Config, sample: str, extent: Extent, *, is_raw: bool) -> SampleWork:
    model = config.settings(sample, "segment")
    tiles = count_tiles(extent, model["cell_diameter_px"], model["tile_px"], model["weights"])
    size = config.samples[sample].get("tiles_per_batch", config.value("tiles_per_batch"))
    n_batches = max(1, -(-tiles.n // size))
    height, width = extent.shape_yx
    is_movie = config.samples[sample]["assay"] == "movie"
    pairs = finds_nuclei(model)
    both = pairs and config.given_nuclei(sample) is None
    of_job = config.samples[sample].get("fields_per_batch", config.value("fields_per_batch"))
    n_field_batches = -(-extent.n_images // of_job) if is_raw else 0
    n_all = n_jobs(
        n_batches,
        is_movie=is_movie,
        n_field_batches=n_field_batches,
        finds_nuclei=both,
        takes_nuclei=pairs and not both,
    )
    n_pixels = extent.n_images * height * width
    times = 2 if both else 1
    tiles = tiles._replace(n=times * tiles.n)
    return SampleWork(sample, tiles, n_pixels, times * n_batches, n_all, model["weights"])


def duration(time_h: float) -> str:
    """Write a time in the unit that suits it.

    Parameters
    ----------
    time_h
        Time in hours; NaN if it is not known.

    Examples
    --------
    >>> duration(0.01), duration(0.3), duration(7.2)
    ('36 s', '18 min', '7.2 h')
    """
    if math.isnan(time_h):
        return "a time that is not known"
    if time_h < 1 / 60:
        return f"{time_h * 3600:.0f} s"
    return f"{time_h * 60:.0f} min" if time_h < 1 else f"{time_h:.1f} h"


def size(gigabytes: float) -> str:
    """Write a size in the unit that suits it.

    Parameters
    ----------
    gigabytes
        Size in gigabytes.

    Examples
    --------
    >>> size(0.0018), size(2.34)
    ('1.8 MB', '2.34 GB')
    """
    return f"{gigabytes * 1000:.3g} MB" if gigabytes < 1 else f"{gigabytes:.3g} GB"
