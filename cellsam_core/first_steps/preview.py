"""Preview of a sample: a few crops, segmented at three diameters, and the cost of the whole."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cellsam_core.config.schema import SECTIONS
from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.errors import InputError, shortened
from cellsam_core.first_steps.check import duration, size
from cellsam_core.first_steps.config_files import OWN, read_config
from cellsam_core.first_steps.crops import Crop, choose_crops, read_regions
from cellsam_core.first_steps.project import SHEET, row_text, used_columns
from cellsam_core.first_steps.proposal import Proposal, propose
from cellsam_core.first_steps.raw_field import RawPart, decode_part, is_raw
from cellsam_core.options import json_schema
from cellsam_core.preprocessing.channels import name_stains
from cellsam_core.preprocessing.images import images_of_manifest
from cellsam_core.preprocessing.options import PreprocessOptions
from cellsam_core.run_plan.extent import Extent, count_tiles
from cellsam_core.run_plan.plan import CPU_START_UP_S, Pilot, SampleWork, disk_gb, hours
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.stage import inspect
from cellsam_core.segmentation.image import TISSUE_DIAMETER_UM, drops_dark_cells, segment_tile
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions
from cellsam_core.segmentation.tiles import REFERENCE_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.segmentation.instances import Instance
    from cellsam_core.segmentation.segmenter import TileSegmenter

FACTORS = (0.5, 1.0, 2.0)
N_SHOWN = 6
"""Diameters of the preview, as multiples of the measured or given one."""


@dataclass(frozen=True)
class Preview:
    """Preview of a sample.

    Attributes
    ----------
    path
        HTML page with the crops.
    sample
        Name of the sample.
    stains
        Role, ``nuclear`` or ``cell``, to the name of its channel.
    diameter_px
        Typical cell diameter in pixels, as measured or given.
    n_cells
        Number of cells in all crops, for half the diameter, the diameter and its double.
    seconds_per_tile
        Run time of one tile on this machine, in seconds.
    hours, disk_gb
        Estimated run time of the segmentation of the whole sample in hours, and size of its
        results in gigabytes.
    row
        Header and row of the sample sheet, separated by tabs.
    decoded
        Sentence on the part of raw rounds that was decoded; empty for other samples.
    """

    path: Path
    sample: str
    stains: dict[str, str]
    diameter_px: float
    n_cells: tuple[int, int, int]
    seconds_per_tile: float
    hours: float
    disk_gb: float
    row: str
    decoded: str = ""

    def text(self) -> str:
        """Write the figures, one line each."""
        half, own, double = self.n_cells
        stains = ", ".join(f"{name} as {role}" for role, name in self.stains.items())
        decoded = [f"  {self.decoded}"] if self.decoded else []
        return "\n".join(
            (
                f"{self.sample}: segments {stains}",
                *decoded,
                f"  cell diameter {self.diameter_px:.3g} px: {own} cells in the crops"
                f" ({half} at half of it, {double} at its double)",
                f"  {self.seconds_per_tile:.2g} s a tile; the whole sample takes about"
                f" {duration(self.hours)} and {size(self.disk_gb)}",
            )
        )


@dataclass(frozen=True)
class _Job:
    """Sample and the options with which it is previewed."""

    row: dict[str, Any]
    path: Path
    settings: dict[str, dict[str, Any]]

    def options(self, cls: Any, section: str, **more: Any) -> Any:
        """Make the options of a class from a section of the config."""
        keys = [key for key in json_schema(cls) if key in self.settings[section]]
        return cls(**{key: self.settings[section][key] for key in keys} | more)


def preview(
    sample: str | Path,
    output: str | Path | None = None,
    configfiles: Sequence[str | Path] = (),
    *,
    folder: str | Path = ".",
) -> Preview:
    """Segment a few crops of a sample and show them on one page.

    Each crop is shown as the model sees it, and with the outlines of the cells that are found at
    the measured cell diameter, at half of it and at its double. Of raw rounds, one plane of the
    middle field is decoded, and its transcripts are shown, too.

    Parameters
    ----------
    sample
        Name of a sample of the sheet, or path of a folder or file of one experiment.
    output
        HTML page to write; ``preview_<sample>.html`` in `folder` without it.
    configfiles
        Config files that change keys of ``config/config.yaml``.
    folder
        Folder of the project, with ``config/config.yaml`` and the sample sheet. It needs none if
        `sample` is a path.

    Returns
    -------
    Preview
        Path of the page, diameter, numbers of cells, and the cost of the whole sample.

    Raises
    ------
    InputError
        There is no such sample or path, its files can't be read, or the stain to segment is not
        clear.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> folder = tempfile.TemporaryDirectory()
    >>> y, x = np.mgrid[:96, :96]
    >>> disc = 100 + 900 * (np.hypot(y - 48, x - 40) < 12)
    >>> tifffile.imwrite(f"{folder.name}/nuclei.tif", disc.astype(np.uint16))
    >>> page = cc.preview(f"{folder.name}/nuclei.tif", folder=folder.name)
    >>> page.stains, page.path.name
    ({'cell': 'nuclei'}, 'preview_nuclei.html')
    >>> folder.cleanup()
    """
    job = _open(str(sample), configfiles, Path(folder))
    page = Path(output) if output else Path(folder) / f"preview_{job.row['sample']}.html"
    if not is_raw(job.path, job.row):
        return _preview(job, _manifest(job), page, Path(folder))
    with TemporaryDirectory() as scratch:
        part = decode_part(job.path, job.row, job.options(DecodeOptions, "decode"), Path(scratch))
        return _preview(job, part.manifest, page, Path(folder), part)


def _preview(
    job: _Job, manifest: Manifest, path: Path, folder: Path, part: RawPart | None = None
) -> Preview:
    """Segment crops of the files of a manifest, and write the page."""
    from cellsam_core.first_steps.page import write_page
    from cellsam_core.segmentation.stage import load_model

    loading = job.options(ModelOptions, "segment")
    model = load_model(loading.weights, preset=loading.preset, device=loading.device)
    options = job.options(SegmentOptions, "segment")
    weights = model.weights.given
    regions, roles = read_regions(
        images_of_manifest(manifest),
        job.options(PreprocessOptions, "preprocess"),
        weights,
        model.preset,
    )
    segmenter = model.segmenter(options)
    is_measured = options.cell_diameter_px == "auto"
    diameter_px = (
        segmenter.measure_diameter_px([r.pixels for r in regions], _limits_px(manifest))
        if is_measured
        else float(options.cell_diameter_px)
    )
    crops = choose_crops(regions, diameter_px)
    drops_dark = drops_dark_cells(options, is_tissue=manifest.assay != "movie")
    found, seconds = _segment(segmenter, crops, diameter_px, drops_dark=drops_dark)
    n_cells = [sum(len(cells) for cells in column) for column in zip(*found, strict=True)]
    extent = Extent(manifest.n_frames, manifest.shape_yx) if part is None else part.extent
    work = _work(job, extent, diameter_px, options.tile_px)
    assert work.tiles is not None
    per_tile = seconds * work.tiles.area_px
    made = Preview(
        path,
        str(job.row["sample"]),
        {role: name_stains(names) for role, names in roles.items()},
        diameter_px,
        (n_cells[0], n_cells[1], n_cells[2]),
        per_tile,
        hours(work, Pilot(per_tile, 1, 1))
        + CPU_START_UP_S["tiny"] / 3600
        + (0.0 if part is None else part.hours),
        disk_gb(work),
        _row(job, folder),
        "" if part is None else part.text,
    )
    spots = () if part is None else tuple(part.spots_in(crop) for crop in crops)
    write_page(made, crops, found, manifest, is_measured=is_measured, spots=spots, regions=regions)
    return made


def _open(sample: str, configfiles: Sequence[str | Path], folder: Path) -> _Job:
    """Find a sample in the sheet, or propose a row for a path."""
    is_project = bool(configfiles) or any((folder / name).exists() for name in (OWN, SHEET))
    if is_project:
        config = read_config(configfiles, folder)
        if sample in config.samples:
            row = config.samples[sample]
            path = Path(config.path_of(sample, "path", row["path"]))
            return _Job(row, path, config.sections_of(sample, is_raw=is_raw(path, row)))
    if not Path(sample).exists():
        known = (
            f"one of {shortened([*config.samples], N_SHOWN)}, or a path" if is_project else "a path"
        )
        raise InputError(
            sample,
            found="no such sample, folder or file",
            expected=known,
            remedy="correct the name or the path",
        )
    proposal = propose(Path(sample))
    if proposal.problem:
        raise InputError(
            f"{sample}, {', '.join(proposal.to_fill) or 'files'}",
            found=proposal.problem.rstrip("."),
            expected="files that can be read as they are",
            remedy=f"type: cellsam-core init {sample} -o my_project, fill in the sheet, and preview"
            " the sample by its name",
        )
    settings = {name: dict(section.defaults) for name, section in SECTIONS.items()}
    for section in settings.values():
        section |= {key: value for key, value in proposal.row.items() if key in section}
    return _Job(proposal.row, Path(sample), settings)


def _manifest(job: _Job) -> Manifest:
    keys = [item.name for item in fields(InspectOptions)]
    given = {key: job.row[key] for key in keys if key in job.row}
    if job.row["assay"] == "movie" and "position" not in given:
        from cellsam_core.samples.positions import positions_of

        names = {"format": given.get("format", "auto"), "pattern": given.get("pattern")}
        positions = positions_of(job.path, **names)
        given |= {"position": positions[0].key} if len(positions) > 1 else {}
    sample, assay = job.row["sample"], job.row["assay"]
    return inspect(job.path, assay=assay, sample=sample, options=InspectOptions(**given))


def _limits_px(manifest: Manifest) -> tuple[float, float] | None:
    """Return the limits between which the workflow searches for the diameter of this sample."""
    if manifest.assay == "movie" or manifest.pixel_size_um is None:
        return None
    low, high = TISSUE_DIAMETER_UM
    return low / manifest.pixel_size_um, high / manifest.pixel_size_um


def _segment(
    segmenter: TileSegmenter, crops: list[Crop], diameter_px: float, *, drops_dark: bool
) -> tuple[list[list[list[Instance]]], float]:
    """Segment each crop at three diameters; return the seconds for a pixel of the model, too."""
    found, seconds, model_px = [], 0.0, 0.0
    for crop in crops:
        row = []
        for factor in FACTORS:
            start = time.perf_counter()
            size_px = factor * diameter_px
            row.append(segment_tile(segmenter, crop.pixels, size_px, drops_dark=drops_dark))
            seconds += time.perf_counter() - start
            _, height, width = crop.pixels.shape
            model_px += height * width * (REFERENCE_PX / size_px) ** 2
        found.append(row)
    return found, seconds / model_px


def _work(job: _Job, extent: Extent, diameter_px: float, tile_px: int) -> SampleWork:
    height, width = extent.shape_yx
    weights = job.settings["segment"]["weights"]
    tiles = count_tiles(extent, diameter_px, tile_px, weights)
    sample = str(job.row["sample"])
    n_pixels = extent.n_images * height * width
    return SampleWork(sample, tiles, n_pixels, 1, 1, weights)


def _row(job: _Job, folder: Path) -> str:
    """Write the row of the sheet, with its header."""
    proposal = Proposal(job.row | {"path": str(job.path)})
    columns = used_columns([proposal])
    return "\n".join(("\t".join(columns), row_text(proposal, columns, folder / OWN.parent)))
