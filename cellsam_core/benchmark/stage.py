"""Comparison of segmentation methods on labelled images."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.benchmark.images import MANIFEST, manifest_entries, simulated_entries
from cellsam_core.benchmark.methods import CELLSAM, FOREIGN, Method, cellsam, choose_methods
from cellsam_core.benchmark.options import BenchmarkOptions
from cellsam_core.benchmark.page import build_page, picture_sections
from cellsam_core.benchmark.score import (
    image_table,
    run_methods,
    summary_table,
    without_repeats,
)
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path, exclusive
from cellsam_core.models import clahe_clip_limit_of
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.benchmark.images import Entry
    from cellsam_core.benchmark.score import Diameter

SPLITS = "validation,test"

BENCHMARK, MODEL, SEGMENT = BenchmarkOptions(), ModelOptions(), SegmentOptions()
"""Options where none are given."""


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Scores and speed of segmentation methods.

    Attributes
    ----------
    summary
        One row a split, modality, set and method; see :func:`.score.summary_table`.
    images
        One row an image and method.
    speed
        One row a method, or None where the speed was not measured.
    stages
        One row a preset of the published CellSAM and step of it, or None.
    page
        The results as an HTML page, with pictures.
    """

    summary: pd.DataFrame
    images: pd.DataFrame
    speed: pd.DataFrame | None
    stages: pd.DataFrame | None
    page: str

    def text(self) -> str:
        """Return the tables as text for a terminal."""
        tables = [without_repeats(self.summary), self.speed, self.stages]
        return "\n\n".join(_text(table) for table in tables if table is not None)

    def write(self, folder: str | Path) -> Path:
        """Write ``benchmark.tsv``, ``images.tsv``, ``speed.tsv``, ``stages.tsv`` and the page.

        Parameters
        ----------
        folder
            Folder to write the files to.

        Returns
        -------
        Path
            The page, ``benchmark.html``.
        """
        tables = {"benchmark": self.summary, "images": self.images}
        if self.stages is not None and self.speed is not None:
            tables |= {"stages": self.stages, "speed": self.speed}
        for name, table in tables.items():
            with atomic_path(Path(folder) / f"{name}.tsv") as temporary:
                table.to_csv(temporary, sep="\t", index=False, float_format="%.4f")
        path = Path(folder) / "benchmark.html"
        with atomic_path(path) as temporary:
            temporary.write_text(self.page, encoding="utf-8")
        return path


def benchmark(
    output: str | Path | None = None,
    options: BenchmarkOptions = BENCHMARK,
    *,
    manifest: str | Path | None = None,
    data: str | Path | None = None,
    model: ModelOptions = MODEL,
    segment: SegmentOptions = SEGMENT,
) -> Benchmark:
    """Compare segmentation methods on labelled images.

    Parameters
    ----------
    output
        Folder for the tables and the page; without it no file is written.
    options
        Methods, images and diameter; whether the speed is measured.
    manifest
        Table of the labelled images: set, image, label, modality, split; without it, that of the
        shipped weights.
    data
        Folder that the paths of the manifest start from; without it, a small simulated set is
        scored.
    model
        Weights of the method ``cellsam``.
    segment
        Options of the method ``cellsam``; its cell diameter is that of `options`.

    Returns
    -------
    Benchmark
        Tables and page.

    Raises
    ------
    InputError
        A method is not installed, an image can't be used, an option would have no effect, or
        `output` can't be written.

    Examples
    --------
    >>> from cellsam_core.benchmark.options import BenchmarkOptions
    >>> otsu = BenchmarkOptions(methods="otsu_watershed", speed=False)
    >>> found = benchmark(options=otsu)  # doctest: +SKIP
    >>> found.summary["f1_50"].mean()  # doctest: +SKIP
    0.37
    """
    names = choose_methods(_names(options.methods))
    entries = _entries(options, manifest, data)
    if options.clahe and CELLSAM not in names:
        raise InputError(
            "option `clahe`",
            found=f"the methods {', '.join(names)}",
            expected=f"{CELLSAM}, which it is for",
            remedy="leave it out",
        )
    loaders = {
        name: partial(load_method, name, model, segment, clahe=options.clahe) for name in names
    }
    methods = {name: load() for name, load in loaders.items()}
    # A folder that can't be written is found before anything is scored.
    with nullcontext() if output is None else exclusive(Path(output) / "benchmark"):
        given = options.cell_diameter_px
        diameter_px: Diameter = None if given == "auto" else given
        results = run_methods(entries, methods, diameter_px)
        summary = summary_table(results)
        pictures = picture_sections(results, names[0], methods[names[0]], diameter_px)
        speed = stages = None
        if options.speed:
            from cellsam_core.benchmark.speed import speed_tables

            speed, stages = speed_tables(loaders)
        page = build_page(summary, speed, pictures)
        found = Benchmark(summary, image_table(results), speed, stages, page)
        if output is not None:
            found.write(output)
    return found


def load_method(
    name: str, model: ModelOptions, segment: SegmentOptions, *, clahe: bool = False
) -> Method:
    """Load a method; picklable, so that its speed can be measured in a process of its own.

    Parameters
    ----------
    name
        Name of the method.
    model
        Weights of the method ``cellsam``; the device is that of all methods.
    segment
        Options of the method ``cellsam``.
    clahe
        True shows the method ``cellsam`` images after CLAHE, whatever the weights need.
    """
    if name == CELLSAM:
        from cellsam_core.segmentation.stage import load_model

        loaded = load_model(model.weights, preset=model.preset, device=model.device)
        return cellsam(
            loaded.segmenter(segment),
            tile_px=segment.tile_px,
            min_area_px=segment.min_area_px,
            clahe=clahe or clahe_clip_limit_of(model.weights, model.preset) > 0,
        )
    if name == "otsu_watershed":
        from cellsam_core.benchmark.otsu import segment_otsu_watershed

        return Method(segment_otsu_watershed)
    from cellsam_core.segmentation.weights import choose_device

    return Method(FOREIGN[name].load(choose_device(model.device)))


def _entries(
    options: BenchmarkOptions, manifest: str | Path | None, data: str | Path | None
) -> list[Entry]:
    if data is None:
        _refuse(
            "manifest", manifest, "the option `data`", "name the folder that its paths start from"
        )
        _refuse(
            "split", options.split, "no split of the simulated set", "leave it out, or give `data`"
        )
        return simulated_entries(options.seed or 0)
    _refuse("seed", options.seed, "no seed beside `data`", "leave it out")
    splits = _names(SPLITS if options.split is None else options.split)
    if not splits:
        _refuse("split", options.split, f"splits such as {SPLITS}", "name one")
    return manifest_entries(MANIFEST if manifest is None else Path(manifest), Path(data), splits)


def _names(given: str | tuple[str, ...]) -> list[str]:
    """Cut a text at commas; blanks around a name are no part of it."""
    parts = given.split(",") if isinstance(given, str) else given
    return [name for part in parts if (name := part.strip())]


def _refuse(option: str, value: object, expected: str, remedy: str) -> None:
    """Refuse an option that was given where it would do nothing."""
    if value is not None:
        raise InputError(f"option `{option}`", found=str(value), expected=expected, remedy=remedy)


def _text(table: pd.DataFrame) -> str:
    return str(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
