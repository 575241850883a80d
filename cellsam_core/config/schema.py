"""Config and sample sheet of the workflow: their keys, defaults and limits.

Every key is an option of a stage (``<stage>/options.py``) or is defined here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from cellsam_core.assignment.options import AssignOptions
from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.options import Options, json_schema, option, options
from cellsam_core.preprocessing.options import PreprocessOptions
from cellsam_core.samples.options import InspectOptions, SampleOptions, SheetOptions
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions
from cellsam_core.traces.options import TraceOptions
from cellsam_core.tracking.options import TrackOptions

DRAFT = "https://json-schema.org/draft/2020-12/schema"


@options
class WorkflowOptions(Options):
    """Keys of the config that belong to no stage."""

    samples: str = option(
        "config/samples.tsv",
        "Sample sheet; a relative path starts at the working directory, else beside the Snakefile.",
    )
    tiles_per_batch: int = option(
        500,
        "Tiles that one segmentation job takes, see docs/cluster.md; fewer for more jobs a sample.",
        minimum=1,
    )
    benchmark_data: str | None = option(
        None,
        "Folder with the labelled images of the shipped manifest, for `snakemake benchmark`; null"
        " scores a small simulated set.",
    )
    finetune_data: str | None = option(
        None,
        "Folder of 1 to 20 labelled images, `<id>.tif` or `.png` with `<id>_label`, for `snakemake"
        " finetune`.",
    )
    spatialdata: bool = option(
        False,
        "Tissues - write 3_cells/spatialdata.zarr as well, for which the package spatialdata must"
        " be there (`envs/spatialdata.yaml`).",
    )


@options
class ControlOptions(Options):
    """Key of the section ``traces`` that names another sample."""

    control: str | None = option(
        None,
        "A movie sample without drug; the decay of its ratio by bleaching is divided out.",
    )


@options
class NucleiOptions(Options):
    """Key of the section ``assign`` that names a file of the user."""

    nuclei: str | None = option(
        None,
        "Labels or mask of a sample's nuclei, for nuclear counts; a relative path starts at the"
        " sample sheet.",
    )


@options
class BulkOptions(Options):
    """Key of the section ``report`` that names a file of the user."""

    bulk: str | None = option(
        None,
        "Bulk expression of a sample, csv or tsv with the columns gene and value (e.g. TPM); a"
        " relative path starts at the sample sheet.",
    )


@dataclass(frozen=True)
class Section:
    """One section of the config.

    Attributes
    ----------
    text
        One sentence of help.
    classes
        Options classes whose fields are the keys of the section.
    without
        Fields that belong to another section.
    """

    text: str
    classes: tuple[type[Options], ...]
    without: tuple[str, ...] = ()

    @functools.cached_property
    def properties(self) -> dict[str, Any]:
        """Keys of the section, as the ``properties`` of a JSON schema."""
        keys = {key: item for cls in self.classes for key, item in json_schema(cls).items()}
        return {key: item for key, item in keys.items() if key not in self.without}

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """Keys of the section with their defaults."""
        return {key: item["default"] for key, item in self.properties.items()}


WORKFLOW_DEFAULTS = {k: item["default"] for k, item in json_schema(WorkflowOptions).items()}

_OF_STITCH = ("min_area_px",)
_OF_SEGMENT = tuple(key for key in json_schema(SegmentOptions) if key not in _OF_STITCH)

SECTIONS = {
    "decode": Section(
        "Raw rounds - register, detect and decode spots (`cellsam-core decode`).", (DecodeOptions,)
    ),
    "preprocess": Section(
        "Clip and equalise the channels that are segmented (`cellsam-core preprocess`).",
        (PreprocessOptions,),
    ),
    "segment": Section(
        "Find cells with CellSAM (`cellsam-core segment-batch`).",
        (ModelOptions, SegmentOptions),
        without=_OF_STITCH,
    ),
    "stitch": Section(
        "Merge the tiles to label images (`cellsam-core stitch`).",
        (SegmentOptions,),
        without=_OF_SEGMENT,
    ),
    "assign": Section(
        "Transcripts - give them to cells (`cellsam-core assign`).", (AssignOptions, NucleiOptions)
    ),
    "report": Section(
        "Transcripts - what the report compares them with (`cellsam-core report`).", (BulkOptions,)
    ),
    "track": Section("Movies - link cells through time (`cellsam-core track`).", (TrackOptions,)),
    "traces": Section(
        "Movies - reporter intensities and ratios of each cell (`cellsam-core traces`).",
        (TraceOptions, ControlOptions),
    ),
}
"""Sections of the config, in the order in which config/README.md shows them."""


def config_schema() -> dict[str, Any]:
    """Describe the whole config as a JSON schema."""
    sections = {
        name: {
            "type": "object",
            "additionalProperties": False,
            "description": section.text,
            "properties": section.properties,
        }
        for name, section in SECTIONS.items()
    }
    return {
        "$schema": DRAFT,
        "description": "Options of the workflow, one section a stage.",
        "type": "object",
        "additionalProperties": False,
        "properties": json_schema(WorkflowOptions) | sections,
    }


def sheet_schema() -> dict[str, Any]:
    """Describe one row of the sample sheet as a JSON schema, without the keys of the config."""
    required = json_schema(SampleOptions)
    columns = {
        key: _as_column(item)
        for cls in (InspectOptions, SheetOptions)
        for key, item in json_schema(cls).items()
    }
    return {
        "$schema": DRAFT,
        "description": "One row of the sample sheet. Keys of the config's sections may be columns.",
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": required | columns,
    }


def _as_column(item: dict[str, Any]) -> dict[str, Any]:
    """Describe an option as a column, whose empty cell stands for null."""
    types = [name for name in [item["type"]] if isinstance(name, str)] or [
        name for name in item["type"] if name != "null"
    ]
    column = {key: value for key, value in item.items() if key not in ("type", "default")}
    if "enum" in column:
        column["enum"] = [word for word in column["enum"] if word is not None]
    return {"type": types[0] if len(types) == 1 else types} | column


def check_settings(settings: dict[str, dict[str, Any]]) -> None:
    """Refuse settings of a sample that are out of range or contradict each other.

    Parameters
    ----------
    settings
        Section to its keys and values, as the sheet, the config and the defaults give them.

    Raises
    ------
    InputError
        The message names the option.
    """
    for name, values in settings.items():
        section = SECTIONS[name]
        for cls in section.classes:
            keys = [key for key in json_schema(cls) if key not in section.without]
            cls(**{key: values[key] for key in keys if key in values})


def accepted_values(item: dict[str, Any]) -> str:
    """Say in words which values a key of a schema accepts, as config/README.md shows it."""
    if "enum" in item:
        return ", ".join(str(value) for value in item["enum"])
    types = item["type"] if isinstance(item["type"], list) else [item["type"]]
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    limits = ", ".join(f"{sign} {item[key]}" for key, sign in signs.items() if key in item)
    words = {"integer": "whole number", "string": "text"}
    if "pattern" in item and "number" in types:
        words["string"] = item["pattern"].strip("^$")
    return " or ".join(
        f"{words.get(name, name)} {limits if name in ('number', 'integer') else ''}".strip()
        for name in types
    )
