"""Checkpoints of a batch: it is written part by part, and a killed job goes on from there."""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cellsam_core.files.atomic import atomic_path, exclusive
from cellsam_core.segmentation.batch_files import BatchWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

PART_TILES = 16
"""Largest number of tiles that are lost when a job is killed."""


@contextmanager
def open_checkpoint(
    output: Path, settings: dict[str, Any], input_version: str, batch: tuple[int, int]
) -> Iterator[CheckpointedBatch]:
    """Lock the parts of a batch and open them; see :class:`CheckpointedBatch`."""
    with exclusive(_folder(output)):
        yield CheckpointedBatch(output, settings, input_version, batch)


class CheckpointedBatch:
    """The parts of one batch, in a folder beside its file until they are joined.

    Parameters
    ----------
    output
        File of the batch; the parts lie in ``<output>.parts``.
    settings
        Description of the model and its options.
    input_version
        Version of the images, which changes when they do.
    batch
        Number of the batch, and number of batches. Parts of other images, settings or tiles are
        deleted.
    """

    def __init__(
        self, output: Path, settings: dict[str, Any], input_version: str, batch: tuple[int, int]
    ) -> None:
        self.output = output
        self.folder = _folder(output)
        self.settings = settings
        key = {"settings": settings, "input": input_version, "batch": batch, "tiles": PART_TILES}
        self._key = json.dumps(key, sort_keys=True)
        key_file = self.folder / "key.json"
        if self.folder.exists() and not (key_file.exists() and key_file.read_text() == self._key):
            log.info("what an earlier run left in %s is of other tiles: begun anew", self.folder)
            shutil.rmtree(self.folder)
        with atomic_path(key_file) as temporary:
            temporary.write_text(self._key)

    def missing(self, n_tiles: int) -> Iterator[tuple[range, Path]]:
        """Yield the tile numbers and the file of each part that is missing."""
        for part, start in enumerate(range(0, n_tiles, PART_TILES)):
            path = self._path(part)
            if path.exists():
                log.info("part %d is there already", part)
                continue
            yield range(start, min(n_tiles, start + PART_TILES)), path

    def join(self, n_tiles: int) -> int:
        """Write the batch from its parts, remove them and return the number of cells."""
        parts = range(-(-n_tiles // PART_TILES))
        with (
            atomic_path(self.output) as temporary,
            BatchWriter(temporary, self.settings) as writer,
        ):
            n_cells = sum(writer.copy(self._path(part)) for part in parts)
        shutil.rmtree(self.folder)
        return n_cells

    def _path(self, part: int) -> Path:
        return self.folder / f"{part:06d}.parquet"


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.parts")
