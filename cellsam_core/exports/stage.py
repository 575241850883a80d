"""The stage ``export``: results of a sample in the formats of other programs."""

from __future__ import annotations

import logging
from pathlib import Path

from cellsam_core.assignment.options import AssignOptions
from cellsam_core.assignment.purity.masks import grown_um
from cellsam_core.errors import InputError
from cellsam_core.exports.imagej import write_imagej
from cellsam_core.exports.options import ExportOptions
from cellsam_core.exports.outlines import Sample
from cellsam_core.exports.qupath import write_qupath
from cellsam_core.exports.vpt import write_vpt
from cellsam_core.exports.xenium_ranger import write_xenium_ranger
from cellsam_core.files.atomic import atomic_path
from cellsam_core.options import options_of, refuse_no_path

log = logging.getLogger(__name__)


def export(
    results: str | Path,
    output: str | Path | None = None,
    options: ExportOptions | None = None,
    *,
    assignment: AssignOptions | None = None,
) -> dict[str, Path]:
    """Write the cells of a finished sample for QuPath, ImageJ, VPT and the programs of Xenium.

    Parameters
    ----------
    results
        Folder of a sample, such as ``results/cortex``.
    output
        Folder to write; ``5_export`` in the results folder without it.
    options
        Programs to export for.
    assignment
        Options that the transcripts were assigned with, which tell how cells were grown; without
        it, the cell table tells.

    Returns
    -------
    dict
        File or folder of each program.

    Raises
    ------
    InputError
        No program is named, a movie is not exported for it, a file of the results is missing, or
        the package that writes for Xenium Explorer is not installed.

    Examples
    --------
    >>> import cellsam_core as cc
    >>> options = cc.ExportOptions(programs="qupath,imagej")
    >>> paths = cc.export("results/cortex", options=options)  # doctest: +SKIP
    >>> paths["qupath"].name  # doctest: +SKIP
    'cortex.geojson'
    """
    refuse_no_path(output)
    options = options_of(ExportOptions, options)
    expand_um = options_of(AssignOptions, assignment, "assignment").expand_um
    sample = Sample.load(results)
    names = options.names()
    possible = options.names(is_movie=sample.is_movie)
    if not names or names != possible:
        raise InputError(
            "option `programs`",
            found=repr(options.programs),
            expected="imagej, for a movie" if sample.is_movie else "at least one program",
            remedy="for a movie, name imagej only"
            if sample.is_movie
            else "name the programs that you need, separated by commas",
        )
    folder = Path(output) if output is not None else sample.folder / "5_export"
    grown = grown_um(sample.folder, None if assignment is None else expand_um)
    made: dict[str, Path] = {}
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for name in names:
            path = temporary / _file_of(name, sample.name)
            n = _write(name, path, sample, grown)
            log.info("%s: %d in %s", name, n, path.name)
            made[name] = folder / path.name
    return made


def _file_of(name: str, sample: str) -> str:
    suffixes = {"qupath": f"{sample}.geojson", "imagej": f"{sample}_rois.zip"}
    return suffixes.get(name, name)


def _write(name: str, path: Path, sample: Sample, expand_um: float) -> int:
    if name == "qupath":
        return write_qupath(path, sample)
    if name == "imagej":
        return write_imagej(path, sample)
    if name == "vpt":
        return write_vpt(path, sample)
    if name == "xenium_ranger":
        return write_xenium_ranger(path, sample, expand_um)
    from cellsam_core.exports.xenium_explorer import write_xenium_explorer

    return write_xenium_explorer(path, sample, expand_um)
