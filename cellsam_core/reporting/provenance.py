"""Provenance of results: versions, configuration, weights and inputs, without a date."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.version import SCHEMA_VERSION, __version__

if TYPE_CHECKING:
    from cellsam_core.reporting.results import Results

PACKAGES = (
    "anndata",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-image",
    "scipy",
    "snakemake",
    "spotiflow",
    "tifffile",
    "torch",
    "zarr",
)


def package_versions() -> dict[str, str | None]:
    """Return the versions of packages that results depend on; None for one that is absent."""
    versions: dict[str, str | None] = {"cellsam_core": __version__}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def input_files(results: Results) -> list[dict[str, Any]]:
    """List the name and size in bytes of every input file; None for one that no longer exists."""
    manifest = results.manifest
    planes = [plane for frame in manifest.planes for plane in frame if plane is not None]
    names = {path for plane in planes for path in (plane.path, *plane.also)}
    names |= {path for plane in planes for path, _ in plane.stack if path}
    if manifest.transcripts is not None:
        names.add(manifest.transcripts.path)
    others = (manifest.boundaries, manifest.labels, results.bulk)
    names.update(str(name) for name in others if name is not None)
    paths = [Path(name) for name in sorted(names)]
    return [
        {"name": path.name, "bytes": path.stat().st_size if path.is_file() else None}
        for path in paths
    ]


def provenance(results: Results, config: dict[str, Any]) -> dict[str, Any]:
    """Collect the provenance of a sample.

    Parameters
    ----------
    results
        Results of the sample.
    config
        Configuration of the workflow.
    """
    manifest_bytes = (results.folder / "0_manifest.json").read_bytes()
    return {
        "schema_version": SCHEMA_VERSION,
        "sample": results.manifest.sample,
        "python": platform.python_version(),
        "packages": package_versions(),
        "config": config,
        "segmentation": results.segmentation_parameters(),
        "manifest_sha256": hashlib.sha256(manifest_bytes).hexdigest(),
        "inputs": input_files(results),
    }
