"""Manifest of a sample, the contents of its files: ``inspect`` writes it, every stage reads it."""

from __future__ import annotations

import functools
import itertools
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.plane import PROJECTIONS, Plane
from cellsam_core.version import SCHEMA_VERSION

if TYPE_CHECKING:
    from cellsam_core.mosaic import Layout


@dataclass(frozen=True)
class Fields:
    """Fields of view that are parts of one image; see :class:`~cellsam_core.mosaic.Layout`.

    Attributes
    ----------
    column
        Column of the transcript table with the number of the field.
    numbers
        Numbers of the fields, ascending.
    offset_yx
        First pixel of each field in the image.
    shape_yx
        Height and width of a field in pixels.
    """

    column: str
    numbers: tuple[int, ...]
    offset_yx: tuple[tuple[int, int], ...]
    shape_yx: tuple[int, int]

    @functools.cached_property
    def layout(self) -> Layout:
        """Places of the fields as arrays."""
        import numpy as np

        from cellsam_core.mosaic import Layout

        return Layout(np.array(self.offset_yx), self.shape_yx)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Fields:
        """Build it from lists in the place of tuples; ValueError if they contradict each other."""
        offsets = tuple(tuple(offset) for offset in values["offset_yx"])
        numbers, shape = tuple(values["numbers"]), tuple(values["shape_yx"])
        counts = [*numbers, *(n for offset in offsets for n in offset), *(n - 1 for n in shape)]
        is_sound = all(map(_is_count, counts)) and list(numbers) == sorted(set(numbers))
        lengths = len(shape), *map(len, offsets)
        if not (is_sound and numbers and len(numbers) == len(offsets) and {*lengths} == {2}):
            raise ValueError("the entry fields")
        return cls(str(values["column"]), numbers, offsets, shape)


@dataclass(frozen=True)
class TranscriptSource:
    """A transcript table and how its coordinates meet the image.

    Attributes
    ----------
    path
        csv, csv.gz, tsv or parquet.
    x, y, gene
        Column names of coordinates and feature name.
    z
        Column name of the z plane, None for two-dimensional data.
    unit
        ``"um"`` or ``"px"``: of the `x` and `y` columns.
    um_to_px
        3x3 affine, row-major, micrometres ``(x, y, 1)`` to image pixels ``(x, y, 1)``.
        Pixel centres are at integer coordinates.
    n_rows
        Rows of the table that are kept, header not counted.
    feature_type, cell
        Column names of the class of each feature and of the vendor's cell ids; None for none.
    keep
        Column and the number that a row must have in it; None keeps all rows.
    fields
        Where `x` and `y` are pixels of a field of view's own image; None for one image.
    qv, min_qv
        Column name of the quality of each transcript; rows with less are left out. None for none.
    crop
        Height and width of the image, of which rows outside are left out; None leaves none out.
    mirror
        For x and y, the sum of a pixel and the one that it is in the image; None where they are
        the same.
    panel
        Files that name the features of the whole panel.
    unit_from
        Why plain columns were taken in this unit; empty where the names of columns tell it.
    """

    path: str
    x: str
    y: str
    gene: str
    z: str | None
    unit: str
    um_to_px: list[list[float]]
    n_rows: int
    feature_type: str | None = None
    cell: str | None = None
    keep: tuple[str, float] | None = None
    fields: Fields | None = None
    qv: str | None = None
    min_qv: float | None = None
    crop: list[int] | None = None
    mirror: list[float | None] = field(default_factory=lambda: [None, None])
    panel: list[str] = field(default_factory=list)
    unit_from: str = ""


@dataclass(frozen=True)
class Manifest:
    """One sample, as found on disk.

    Attributes
    ----------
    sample, assay, format
        Name; ``movie``, ``merfish`` or ``seqfish``; name of the reader that fitted.
    channels
        Names of the image channels, in file order.
    n_frames, shape_yx, dtype
        Number of frames, height and width in pixels, and pixel type in native byte order.
    pixel_size_um, frame_interval_s
        Side of a pixel in micrometres and time between frames in seconds; None where neither the
        files nor the sample sheet say.
    planes
        ``planes[frame][channel]``; ``planes[field][channel]`` where `fields` make up the image.
        None where a channel was not imaged in a frame.
    transcripts
        Spatial samples only.
    boundaries, labels
        Vendor cell polygons and label image beside a spatial sample, if any.
    warnings
        Sentences for the report.
    frame_times_s
        Seconds of each frame since the first; None where only the interval is known, or nothing.
    saturation_values
        Grey value from which a pixel of each channel is saturated, None for the largest of its
        type; None for a sample that was not looked at.
    sources
        Sources of ``pixel_size_um`` and ``frame_interval_s``, in words; without a value that
        is not known.
    kit
        Channels of each role, ``nuclear`` and ``cell``, where they are those of a vendor's kit of
        several stains.
    """

    sample: str
    assay: str
    format: str
    channels: list[str]
    n_frames: int
    shape_yx: tuple[int, int]
    dtype: str
    pixel_size_um: float | None
    frame_interval_s: float | None
    planes: list[list[Plane | None]]
    transcripts: TranscriptSource | None = None
    boundaries: str | None = None
    labels: str | None = None
    warnings: list[str] = field(default_factory=list)
    frame_times_s: list[float] | None = None
    saturation_values: list[float | None] | None = None
    sources: dict[str, str] = field(default_factory=dict)
    kit: dict[str, list[str]] = field(default_factory=dict)

    @property
    def times_s(self) -> list[float] | None:
        """Seconds of each frame, by its own time or by the interval; None where unknown."""
        if self.frame_times_s is not None:
            return self.frame_times_s
        interval = self.frame_interval_s
        return None if interval is None else [t * interval for t in range(self.n_frames)]

    @property
    def fields(self) -> Fields | None:
        """Fields of view that make up the image, if it is not one file."""
        return None if self.transcripts is None else self.transcripts.fields

    def to_json(self) -> str:
        """Serialise; the same manifest gives the same bytes."""
        return json.dumps({"schema_version": SCHEMA_VERSION} | asdict(self), indent=1) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the manifest as JSON; the file appears when it is complete."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Manifest:
        """Read a manifest written by ``inspect``.

        Raises
        ------
        InputError
            `path` is missing, no manifest of this version, or contradicts itself.
        """
        try:
            raw: dict[str, Any] = dict(json.loads(Path(path).read_text(encoding="utf-8")))
            if raw.pop("schema_version") != SCHEMA_VERSION:
                raise ValueError("another schema_version")
            raw["planes"] = [[_plane(p) for p in frame] for frame in raw["planes"]]
            raw["shape_yx"] = tuple(raw["shape_yx"])
            if raw["transcripts"] is not None:
                keep = raw["transcripts"].get("keep")
                raw["transcripts"]["keep"] = None if keep is None else tuple(keep)
                fields = raw["transcripts"].get("fields")
                raw["transcripts"]["fields"] = None if fields is None else Fields.from_json(fields)
                raw["transcripts"] = TranscriptSource(**raw["transcripts"])
            manifest = cls(**raw)
            _check(manifest)
            return manifest
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                path,
                found=f"no manifest ({error})",
                expected=f"a 0_manifest.json of schema_version {SCHEMA_VERSION}",
                remedy="run `cellsam-core inspect` again",
            ) from error

    @classmethod
    def load_tissue(cls, path: str | Path) -> tuple[Manifest, TranscriptSource]:
        """Read the manifest of a sample that has transcripts, and these; see :meth:`load`.

        Raises
        ------
        InputError
            As `load`, or the sample has none.
        """
        manifest = cls.load(path)
        return manifest, manifest.require_transcripts(path)

    def require_transcripts(self, where: str | Path) -> TranscriptSource:
        """Return the sample's transcripts.

        Raises
        ------
        InputError
            It has none; the message begins with `where`.
        """
        if self.transcripts is None:
            raise InputError(
                where,
                found=f"a sample of assay {self.assay} without transcripts",
                expected="a merfish or seqfish sample",
                remedy="correct assay in the sample sheet",
            )
        return self.transcripts


def _plane(entry: dict[str, Any] | None) -> Plane | None:
    if entry is None:
        return None
    stack = tuple((str(path), int(page)) for path, page in entry.get("stack", ()))
    return Plane(**entry | {"also": tuple(entry.get("also", ())), "stack": stack})


def _check(manifest: Manifest) -> None:
    """Raise ValueError that names the first entry that no manifest of `inspect` has."""
    planes = [plane for frame in manifest.planes for plane in frame if plane is not None]
    n_channels = len(manifest.channels)
    fields = manifest.fields
    n_rows = manifest.n_frames if fields is None else len(fields.numbers)
    names = [manifest.sample, manifest.assay, manifest.format, manifest.dtype]
    scales = [manifest.pixel_size_um, manifest.frame_interval_s]
    checks = {
        "names": all(isinstance(name, str) for name in names),
        "channels": n_channels > 0 and len({*map(str, manifest.channels)}) == n_channels,
        "shape_yx": len(manifest.shape_yx) == 2 and all(_is_count(n, 1) for n in manifest.shape_yx),
        "n_frames": _is_count(manifest.n_frames, 1) and n_rows == len(manifest.planes),
        "fields": fields is None or fields.layout.shape_yx == manifest.shape_yx,
        "pixel_size_um, frame_interval_s": all(v is None or _is_positive(v) for v in scales),
        "planes": all(len(frame) == n_channels for frame in manifest.planes),
        "path": all(isinstance(plane.path, str) for plane in planes),
        "page": all(_is_count(plane.page) for plane in planes),
        "sample": all(plane.sample is None or _is_count(plane.sample) for plane in planes),
        "series": all(isinstance(plane.series, str) for plane in planes),
        "stack": all(_is_count(page) for plane in planes for _, page in plane.stack),
        "projection": all(plane.projection in PROJECTIONS for plane in planes),
        "zoom": all(_is_count(plane.zoom, 1) for plane in planes),
        "frame_times_s": _are_times(manifest.frame_times_s, manifest.n_frames),
        "saturation_values": manifest.saturation_values is None
        or (
            len(manifest.saturation_values) == n_channels
            and all(v is None or _is_positive(v) for v in manifest.saturation_values)
        ),
        "sources": all(isinstance(v, str) for pair in manifest.sources.items() for v in pair),
        "kit": set(manifest.kit) <= {"nuclear", "cell"}
        and {*itertools.chain(*manifest.kit.values())} <= {*manifest.channels},
        "boundaries": isinstance(manifest.boundaries, str | None),
        "warnings": all(isinstance(sentence, str) for sentence in manifest.warnings),
        "transcripts": manifest.transcripts is None or _is_sound(manifest.transcripts),
    }
    wrong = next((name for name, is_right in checks.items() if not is_right), None)
    if wrong is not None:
        raise ValueError(f"the entry {wrong}")


def _are_times(times: list[float] | None, n_frames: int) -> bool:
    if times is None:
        return True
    is_rising = all(b > a for a, b in itertools.pairwise(times))
    return len(times) == n_frames and all(map(_is_number, times)) and is_rising


def _is_sound(source: TranscriptSource) -> bool:
    names = [source.path, source.x, source.y, source.gene]
    rows = source.um_to_px
    is_affine = len(rows) == 3 and all(len(row) == 3 and all(map(_is_number, row)) for row in rows)
    return (
        all(isinstance(name, str) for name in names)
        and isinstance(source.z, str | None)
        and source.unit in ("um", "px")
        and isinstance(source.unit_from, str)
        and _is_count(source.n_rows)
        and (source.min_qv is None or (isinstance(source.qv, str) and _is_number(source.min_qv)))
        and (source.crop is None or (len(source.crop) == 2 and all(map(_is_count, source.crop))))
        and len(source.mirror) == 2
        and all(value is None or _is_number(value) for value in source.mirror)
        and all(isinstance(path, str) for path in source.panel)
        and is_affine
        and rows[2] == [0, 0, 1]
        and rows[0][0] * rows[1][1] != rows[0][1] * rows[1][0]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
