"""Batches of segmented cells as Parquet: one row a cell, its mask as packed bits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cellsam_core.errors import InputError
from cellsam_core.files.parquet import open_parquet, parquet_writer
from cellsam_core.files.tables import table_errors
from cellsam_core.segmentation.instances import Instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("y0", pa.int32()),
        ("x0", pa.int32()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("score", pa.float32()),
        ("predicted_iou", pa.float32()),
        ("margin", pa.float32()),
        ("mask", pa.binary()),
    ]
)


class BatchWriter:
    """Write the tiles of one batch as they come.

    Parameters
    ----------
    path
        File to write, inside an :func:`cellsam_core.files.atomic.atomic_path`.
    settings
        Description of the model and its options, which is copied to ``masks.zarr`` and to the
        provenance.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        metadata = {"cellsam": json.dumps(settings, sort_keys=True)}
        self._file = parquet_writer(path, SCHEMA.with_metadata(metadata))

    def __enter__(self) -> BatchWriter:
        self._writer = self._file.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._file.__exit__(*exception)

    def add(self, frame: int, instances: Iterable[Instance]) -> None:
        """Append the cells of one tile."""
        rows = [
            {
                "frame": frame,
                "y0": i.y0,
                "x0": i.x0,
                "height": i.mask.shape[0],
                "width": i.mask.shape[1],
                "score": i.score,
                "predicted_iou": i.predicted_iou,
                "margin": i.margin,
                "mask": np.packbits(i.mask).tobytes(),
            }
            for i in instances
        ]
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, self._writer.schema))

    def copy(self, path: Path) -> int:
        """Append the cells of another batch; return their number."""
        with open_parquet(path) as file:
            for group in range(file.num_row_groups):
                self._writer.write_table(file.read_row_group(group))
            return int(file.metadata.num_rows)


def read_settings(paths: list[Path]) -> dict[str, Any]:
    """Return the settings that all batches share.

    Raises
    ------
    InputError
        A file is not a batch, or batches were made with different settings.
    """
    found: dict[str, Any] | None = None
    for path in paths:
        try:
            metadata = pq.read_schema(path).metadata or {}
            settings: dict[str, Any] = json.loads(metadata[b"cellsam"])
        except (pa.ArrowInvalid, KeyError, OSError) as error:
            raise _no_batch(path, "no batch of cells") from error
        if found is not None and settings != found:
            changed = sorted(k for k in settings if settings[k] != found.get(k))
            raise InputError(
                path,
                found=f"another {', '.join(changed)} than in {paths[0]}",
                expected="all batches of a sample made with the same settings",
                remedy="delete the batches and run again",
            )
        found = settings
    return found or {}


def _no_batch(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="a file written by `cellsam-core segment-batch`",
        remedy="delete it and make it again",
    )


def iter_frames(paths: list[Path], n_frames: int) -> Iterator[list[Instance]]:
    """Yield the cells of each frame; only one frame is held in memory.

    Parameters
    ----------
    paths
        Batches in order; frames must not decrease from row to row.
    n_frames
        Number of frames; those without cells yield an empty list.
    """
    current = 0
    held: list[Instance] = []
    for path in paths:
        for row in _rows(path):
            if row["frame"] is None or row["frame"] < current:
                raise _no_batch(path, f"frame {row['frame']} after frame {current}")
            if row["frame"] >= n_frames:
                raise InputError(
                    path,
                    found=f"cells of frame {row['frame']}",
                    expected=f"frames 0 to {n_frames - 1}",
                    remedy="give the batches of this sample",
                )
            while row["frame"] > current:
                yield held
                current, held = current + 1, []
            held.append(_instance(path, row))
    while current < n_frames:
        yield held
        current, held = current + 1, []


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with table_errors(path), open_parquet(path) as file:
        if not file.schema_arrow.equals(SCHEMA):
            raise _no_batch(path, "no batch of cells")
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group).to_pylist()


def _instance(path: Path, row: dict[str, Any]) -> Instance:
    shape = row["height"], row["width"]
    if None in row.values() or min(shape) < 1 or len(row["mask"]) != -(-shape[0] * shape[1] // 8):
        raise _no_batch(path, f"a damaged cell in frame {row['frame']}")
    bits = np.unpackbits(np.frombuffer(row["mask"], np.uint8), count=shape[0] * shape[1])
    return Instance(
        row["y0"],
        row["x0"],
        bits.reshape(shape).astype(bool),
        row["score"],
        row["predicted_iou"],
        row["margin"],
    )
