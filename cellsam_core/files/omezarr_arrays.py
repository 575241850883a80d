"""Arrays of an OME-Zarr that this pipeline writes, and the metadata that describe them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.files.lazy import numcodecs, zarr
from cellsam_core.files.suffixes import ARRAY_FILES

if TYPE_CHECKING:
    from pathlib import Path


AXIS_TYPES = {"t": "time", "c": "channel", "y": "space", "x": "space"}
CHUNK_PX = 1024
OWN_KEY = "cellsam_core"
WHITE, CYAN, MAGENTA = "FFFFFF", "00FFFF", "FF00FF"


def metadata(
    axes: str, dtype: str, channels: tuple[str, ...], scale: dict[str, float | None]
) -> dict[str, Any]:
    """Describe an image of one level, with the step along each axis, as NGFF does."""
    is_label = "c" not in axes
    units = {"t": "second", "y": "micrometer", "x": "micrometer"}
    ngff_axes = [
        {"name": a, "type": AXIS_TYPES[a]} | ({"unit": units[a]} if scale.get(a) else {})
        for a in axes
    ]
    transform = {"type": "scale", "scale": [float(scale.get(a) or 1.0) for a in axes]}
    ome: dict[str, Any] = {
        "multiscales": [
            {
                "name": "labels" if is_label else "image",
                "type": "mode" if is_label else "mean",
                "axes": ngff_axes,
                "datasets": [{"path": "0", "coordinateTransformations": [transform]}],
            }
        ],
    }
    if is_label:
        ome["image-label"] = {"source": {"image": "../../1_preprocessed/frames.zarr"}}
        return ome
    top = float(np.iinfo(dtype).max)
    window = {"min": 0.0, "max": top, "start": 0.0, "end": top}
    colors = [WHITE] if len(channels) == 1 else [CYAN, MAGENTA, WHITE]
    ome["omero"] = {
        "channels": [
            {"label": name, "active": True, "color": colors[min(i, 2)], "window": window}
            for i, name in enumerate(channels)
        ],
        "rdefs": {"defaultT": 0, "defaultZ": 0, "model": "color"},
    }
    return ome


def create_array(
    group: zarr.Group, name: str, shape: tuple[int, ...], axes: str, dtype: Any
) -> zarr.Array[Any]:
    """Create one level of an image, in chunks of one plane; see :func:`create`."""
    chunks = tuple(
        min(size, CHUNK_PX) if axis in "yx" else 1 for size, axis in zip(shape, axes, strict=True)
    )
    options: dict[str, Any]
    if group.metadata.zarr_format == 3:
        compressors = (
            zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
            zarr.codecs.Crc32cCodec(),
        )
        options = {"dimension_names": list(axes), "compressors": compressors}
    else:
        compressor = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE)
        key = {"name": "v2", "separator": "/"}
        options = {"compressors": compressor, "chunk_key_encoding": key}
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        fill_value=0,
        config={"write_empty_chunks": True},
        **options,
    )


def declare_levels(path: Path, axes: str, n_levels: int) -> None:
    """Add the levels ``1`` to ``n_levels - 1``, which are written, to the metadata of an image."""
    group = zarr.open_group(str(path), mode="r+")
    attributes: dict[str, Any] = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    datasets = ome["multiscales"][0]["datasets"]
    first = datasets[0]["coordinateTransformations"][0]["scale"]
    for k in range(1, n_levels):
        steps = [2**k if axis in "yx" else 1 for axis in axes]
        scale = [step * size for step, size in zip(steps, first, strict=True)]
        # The centre of the first pixel of a level lies between the pixels that it stands for.
        shift = [(step - 1) / 2 * size for step, size in zip(steps, first, strict=True)]
        transforms = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": shift},
        ]
        datasets.append({"path": str(k), "coordinateTransformations": transforms})
    names = [str(k) for k in range(1, n_levels)]
    sums = [sha256_of_array(path, name) for name in names]
    attributes[OWN_KEY] = attributes[OWN_KEY] | {"level_sha256": sums}
    group.attrs.put(attributes)


def sha256_of_array(path: Path, name: str) -> str:
    """Checksum of the metadata of an array."""
    found = next(path / name / file for file in ARRAY_FILES if (path / name / file).exists())
    return hashlib.sha256(found.read_bytes()).hexdigest()
