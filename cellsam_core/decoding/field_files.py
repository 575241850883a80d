"""Folder of a decoded field, which one job writes and another one joins with the others."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import tifffile

from cellsam_core.decoding.align import as_json
from cellsam_core.decoding.field import Calls
from cellsam_core.decoding.options import OF_FIELDS
from cellsam_core.decoding.raw_images import ZARR_FILES
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.parquet import open_parquet, parquet_writer
from cellsam_core.files.plane import Plane
from cellsam_core.files.planes import read_plane
from cellsam_core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cellsam_core.decoding.colours import Colour
    from cellsam_core.decoding.decode_field import DecodedField
    from cellsam_core.decoding.experiment import RawExperiment, RawField
    from cellsam_core.decoding.options import DecodeOptions

BATCH_NAME = "batch.json"
FIELD_NAME = "field.json"
CALLS_NAME = "calls.parquet"
BEADS_NAME = "beads.npy"
CONTENT = 5
"""Version of what a field holds: one of another version is decoded again."""
SCHEMA = pa.schema(
    {
        "y_px": pa.float64(),
        "x_px": pa.float64(),
        "z": pa.int64(),
        "codeword": pa.int32(),
        "log_odds": pa.float32(),
        "distance": pa.float32(),
    }
)


@dataclass(frozen=True)
class FieldFiles:
    """Decoded field on disk.

    Attributes
    ----------
    folder
        Its folder.
    """

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Quality, names of the images, and the key of what it was made from."""
        try:
            return dict(json.loads((self.folder / FIELD_NAME).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise InputError(
                self.folder,
                found=f"no decoded field that can be read ({error})",
                expected="a folder as `decode-batch` wrote it",
                remedy="run `decode-batch` again",
            ) from error

    def is_of(self, key: str) -> bool:
        """Tell if the field was made from what a key of `field_key` describes."""
        try:
            return bool(self.facts.get("key") == key)
        except InputError:
            return False

    def calls(self) -> Calls:
        """Read all calls of the field."""
        with open_parquet(self.folder / CALLS_NAME) as file:
            table = file.read()
        return Calls(*(table[name].to_numpy() for name in SCHEMA.names))

    def n_words(self) -> NDArray[np.int64]:
        """Return the numbers of spots that are words, from :func:`.bit_order.count_words`."""
        return np.array(self.facts["quality"]["n_words"], dtype=np.int64)

    def beads_yx(self) -> NDArray[np.float64]:
        """Read the places of the beads of the first round, ``(n, 2)``."""
        beads: NDArray[np.float64] = np.load(self.folder / BEADS_NAME)
        return beads

    def image(self, name: str) -> NDArray[Any]:
        """Read the image of a stain, ``(y, x)``."""
        number = self.facts["images"].index(name)
        return read_plane(Plane(str(self.folder / f"image_{number}.tif")))


def write_field(
    folder: Path, field: DecodedField, key: str, settings: dict[str, Any]
) -> FieldFiles:
    """Write the folder of a decoded field.

    Parameters
    ----------
    folder
        To write; it appears when complete.
    field
        The field.
    key
        Description of what it was made from, from `field_key`.
    settings
        Settings that all fields of a slide share, from `field_settings`.
    """
    with atomic_path(folder) as root:
        root.mkdir()
        columns = [pa.array(column) for column in field.calls]
        with parquet_writer(root / CALLS_NAME, SCHEMA) as writer:
            writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
        np.save(root / BEADS_NAME, field.beads_yx)
        for number, image in enumerate(field.images.values()):
            path = root / f"image_{number}.tif"
            tifffile.imwrite(path, image, photometric="minisblack", software=False, metadata=None)
        facts = {"key": key, "settings": settings, "images": list(field.images)}
        facts |= {"quality": field.quality}
        (root / FIELD_NAME).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return FieldFiles(folder)


def field_settings(options: DecodeOptions, colours: Mapping[str, Colour]) -> dict[str, Any]:
    """Describe the settings that the decoded fields of a slide share.

    Parameters
    ----------
    options
        Options of decoding; those of joining do not matter.
    colours
        Transforms of the colours.
    """
    return {
        "options": {name: getattr(options, name) for name in sorted(OF_FIELDS)},
        "colours": [as_json(colour) for colour in colours.values()],
    }


def field_key(raw: RawExperiment, field: RawField, settings: dict[str, Any]) -> str:
    """Describe all that a decoded field depends on: another one is no longer that field.

    Parameters
    ----------
    raw, field
        The rounds, and the field of them.
    settings
        From `field_settings`.
    """
    planes = [plane for bits in field.bits for plane in bits]
    planes += [*field.fiducials.values(), *field.stains.values()]
    said = {
        "version": [__version__, CONTENT],
        "settings": settings,
        "field": [field.name, *map(_state, planes)],
        "rounds": [raw.round_of_bit, sorted(field.fiducials), raw.round_of_stain],
        "colours": [raw.colour_of_bit, raw.colour_of_stain],
        "axes": [raw.transpose, raw.flip_horizontal, raw.flip_vertical, *raw.shape_yx],
        "codebook": [raw.codebook.names, raw.codebook.bits.astype(int).tolist()],
    }
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _state(plane: Plane) -> list[Any]:
    """Name a plane and the state of its file."""
    path = Path(plane.path)
    inside = [path / name for name in ZARR_FILES if (path / name).is_file()]
    stat = (inside[0] if inside else path).stat()
    return [path.name, plane.page, plane.series, stat.st_size, stat.st_mtime_ns]


def fields_of(batches: Sequence[Path], n_fields: int) -> list[FieldFiles]:
    """List the decoded fields of all batches, in the order of the fields.

    Parameters
    ----------
    batches
        Folders that `decode-batch` wrote, in order.
    n_fields
        Number of fields of the rounds.

    Raises
    ------
    InputError
        The batches do not hold each field once, or were made with different settings.
    """
    found = [path.parent for batch in batches for path in batch.glob(f"*/{FIELD_NAME}")]
    by_number = {folder.name: folder for folder in found}
    names = [f"{number:06d}" for number in range(n_fields)]
    if sorted(folder.name for folder in found) != names:
        missing = [name for name in names if name not in by_number]
        lacks = f", without number {int(missing[0])}" if missing else ""
        raise InputError(
            batches[0].parent,
            found=f"{len(found)} decoded fields{lacks}",
            expected=f"each of the {n_fields} fields of the raw rounds once",
            remedy="run `decode-batch` for all batches again, with these raw rounds",
        )
    fields = [FieldFiles(by_number[name]) for name in names]
    for field in fields:
        if field.facts["settings"] != fields[0].facts["settings"]:
            raise InputError(
                field.folder,
                found="a field that was decoded with other options or colours than the first one",
                expected="the same settings in all batches",
                remedy="run `decode-batch` with the same options for all batches",
            )
    return fields
