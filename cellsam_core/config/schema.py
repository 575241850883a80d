"""Config and sample sheet of the workflow: their keys, defaults and limits.

Every key is an option of a stage (``<stage>/options.py``) or is defined here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellsam_core.assignment.options import AssignOptions
from cellsam_core.assignment.purity.options import PurityOptions
from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.exports.options import ExportOptions
from cellsam_core.files.options import StoreOptions
from cellsam_core.given_masks.options import GivenMasksOptions
from cellsam_core.nuclei.options import PairOptions
from cellsam_core.options import Options, json_schema, option, options
from cellsam_core.preprocessing.options import PreprocessOptions
from cellsam_core.samples.options import InspectOptions, SampleOptions, SheetOptions
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions, TargetOptions
from cellsam_core.traces.options import TraceOptions
from cellsam_core.tracking.options import TrackOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

DRAFT = "https://json-schema.org/draft/2020-12/schema"


@options
class WorkflowOptions(Options):
    """Keys of the config that belong to no stage."""

    samples: str = option(
        "config/samples.tsv",
        "Path of the sample sheet. A relative path starts at the working directory; if there is"
        " no such file, it starts at the folder of the Snakefile.",
    )
    without: str | None = option(
        None,
        "Names of samples of the sheet that are left out of the run, separated by commas. Their"
        " results stay as they are.",
    )
    tiles_per_batch: int = option(
        500,
        "Number of tiles that one segmentation job takes, see docs/cluster.md. A smaller number"
        " gives more jobs for each sample.",
        minimum=1,
    )
    fields_per_batch: int = option(
        20,
        "Raw rounds: number of fields of view that one decoding job takes, see docs/cluster.md. A"
        " smaller number gives more jobs for each sample.",
        minimum=1,
    )
    benchmark_data: str | None = option(
        None,
        "Folder with the labelled images that the shipped manifest lists, for `snakemake"
        " benchmark`. If it is not given, a small set of simulated images is scored.",
    )
    finetune_data: str | None = option(
        None,
        "Folder of 1 to 20 labelled images, for `snakemake finetune`. Each image `<id>.tif` or"
        " `<id>.png` has its labels in a second image named `<id>_label`.",
    )
    spatialdata: bool = option(
        False,
        "Tissues: `true` also writes 3_cells/spatialdata.zarr. The package spatialdata must be"
        " installed (`envs/spatialdata.yaml`).",
    )


@options
class ControlOptions(Options):
    """Key of the section ``traces`` that names another sample."""

    control: str | None = option(
        None,
        "Movie sample without drug. The decay of its ratio by bleaching is divided out of the"
        " ratios of this sample.",
    )


@options
class NucleiOptions(Options):
    """Key of the section ``assign`` that names a file of the user."""

    nuclei: str | None = option(
        None,
        "Nuclei of a sample: label image, mask, ROIs of ImageJ, GeoJSON or outlines, see"
        " docs/masks.md. The transcripts in nuclei are then counted as well. With `targets:"
        " nucleus,cell` they are paired with the cells, in movies too. A relative path in the"
        " sample sheet starts at the sheet.",
    )


@options
class BulkOptions(Options):
    """Key of the section ``report`` that names a file of the user."""

    bulk: str | None = option(
        None,
        "Table of bulk expression for a sample, csv or tsv, with the columns gene and value (e.g."
        " TPM). A relative path in the sample sheet starts at the sheet.",
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
        "Raw rounds: `cellsam-core decode` registers the rounds, finds the spots and decodes them.",
        (DecodeOptions,),
    ),
    "preprocess": Section(
        "`cellsam-core preprocess` clips and equalises the channels that are segmented.",
        (PreprocessOptions, StoreOptions),
    ),
    "segment": Section(
        "`cellsam-core segment-batch` finds cells with CellSAM.",
        (ModelOptions, SegmentOptions, TargetOptions, PairOptions),
        without=(*_OF_STITCH, "target"),
    ),
    "stitch": Section(
        "`cellsam-core stitch` merges the cells found in tiles into label images.",
        (SegmentOptions,),
        without=_OF_SEGMENT,
    ),
    "assign": Section(
        "Tissues: `cellsam-core assign` gives transcripts to cells.",
        (AssignOptions, PurityOptions, NucleiOptions),
    ),
    "report": Section(
        "`cellsam-core report` writes the report of a sample. For tissues, it compares the"
        " transcripts with bulk expression.",
        (BulkOptions,),
    ),
    "export": Section(
        "`cellsam-core export` writes the cells for other programs, see docs/exports.md.",
        (ExportOptions,),
    ),
    "track": Section("Movies: `cellsam-core track` links cells through time.", (TrackOptions,)),
    "traces": Section(
        "Movies: `cellsam-core traces` measures reporter intensities and ratios of each cell.",
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
        for cls in (InspectOptions, SheetOptions, GivenMasksOptions)
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


def finds_nuclei(segment: Mapping[str, Any]) -> bool:
    """Tell whether nuclei are found beside cells, from the settings of the segmentation."""
    return segment.get("targets") == "nucleus,cell"


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
            made = cls(**{key: values[key] for key in keys if key in values})
            if isinstance(made, TraceOptions):
                made.refuse_no_cytoplasm(has_nuclei=finds_nuclei(settings.get("segment", {})))


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
