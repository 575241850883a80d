"""Config and sample sheet: read, and checked before anything runs."""

import csv
import difflib
import functools
import math
import os
import yaml
from fnmatch import fnmatch
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pathlib import Path
from snakemake.exceptions import WorkflowError


def load_schema(name):
    path = workflow.source_path(f"../schemas/{name}.schema.yaml")
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def check(values, schema, where):
    """Refuse, in one sentence, values that do not fit the schema; name the key."""
    error = best_match(Draft202012Validator(schema).iter_errors(values))
    if error is None:
        return
    place = ", ".join([where, *(str(key) for key in error.absolute_path)])
    message = error.message
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = [key for key in error.instance if key not in known]
        close = difflib.get_close_matches(str(unknown[0]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
        message = f"unknown key {unknown[0]!r}; {hint}"
    raise WorkflowError(f"{place}: {message} (every key is explained in config/README.md)")


def parse_text(text, types):
    """Turn the text of a cell, or of `--config`, into the type asked for, if it can be one."""
    if "null" in types and text == "null":
        return None
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    for name, number in (("integer", int), ("number", float)):
        if name in types:
            try:
                value = number(text)
            except ValueError:
                continue
            if math.isfinite(value):
                return value
    return text


def typed(values, properties):
    """Parse those values that are text but should be something else."""
    types = {key: properties.get(key, {}).get("type", "string") for key in values}
    return {k: parse_text(v, types[k]) if isinstance(v, str) else v for k, v in values.items()}


def find_sheet(path):
    """Look for the sample sheet in the working directory, then beside the Snakefile."""
    places = [Path(path), ROOT / path]
    for place in places:
        if place.is_file():
            return place
    found = " or ".join(str(place.absolute()) for place in dict.fromkeys(places))
    raise WorkflowError(f"config, samples: there is no file {found}; name your sample sheet")


def read_cells(path):
    """Read the non-empty cells of each row of a tab-separated sheet."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", strict=True))
    except UnicodeDecodeError as error:
        raise WorkflowError(f"{path}: not UTF-8 text; save it as tab-separated UTF-8") from error
    except csv.Error as error:  # a quote that is never closed would swallow the rows below it
        raise WorkflowError(f"{path}: {error}; look for a quote that is not closed") from error
    for row in rows:
        if None in row:
            raise WorkflowError(f"{path}: more cells than columns in the row {row}")
    stripped = [{key: (cell or "").strip() for key, cell in row.items()} for row in rows]
    return [
        {key: cell for key, cell in row.items() if cell} for row in stripped if any(row.values())
    ]


def read_samples(path):
    """Read and check the sample sheet; any key of a config section may be a column."""
    schema = load_schema("samples")
    for section in SECTIONS.values():
        schema["properties"] |= section["properties"]
    samples = {}
    for cells in read_cells(path):
        row = typed(cells, schema["properties"])
        check(row, schema, f"{path}, sample {cells.get('sample', '?')!r}")
        if row["sample"] in samples:
            raise WorkflowError(
                f"{path}, sample {row['sample']!r}: named twice; give each row its own name"
            )
        samples[row["sample"]] = row
    if not samples:
        raise WorkflowError(f"{path}: no samples; add one row for each experiment")
    return samples


ROOT = Path(
    os.path.normpath(workflow.current_basedir.join("../..").get_path_or_uri(secret_free=True))
)
CONFIG_SCHEMA = load_schema("config")
SECTIONS = {k: v for k, v in CONFIG_SCHEMA["properties"].items() if v["type"] == "object"}
MOVIES_ONLY = ("track", "traces")
TISSUES_ONLY = ("assign", "report")
RAW_ROUNDS_ONLY = ("decode",)
GIVEN = {
    key: (
        typed(value, SECTIONS[key]["properties"])
        if key in SECTIONS and isinstance(value, dict)
        else typed({key: value}, CONFIG_SCHEMA["properties"])[key]
    )
    for key, value in config.items()
    if value is not None
}
check(GIVEN, CONFIG_SCHEMA, "config")
SHEET = find_sheet(GIVEN.get("samples", CONFIG_SCHEMA["properties"]["samples"]["default"]))
SAMPLES = read_samples(SHEET)


wildcard_constraints:
    sample="[A-Za-z0-9][A-Za-z0-9._-]*",
    batch="[0-9]+-of-[0-9]+",


def section_options(section):
    """The options of one stage for rules that belong to no sample: the config before the schema."""
    values = {key: item["default"] for key, item in SECTIONS[section]["properties"].items()}
    return values | GIVEN.get(section, {})


def settings(sample, section):
    """The options of one stage for one sample: the sheet before the config before the schema."""
    values = section_options(section)
    return values | {key: value for key, value in SAMPLES[sample].items() if key in values}


def given_path(sample, column, text):
    """The file or folder that a column names; a relative path starts at the sheet."""
    path = os.path.normpath(SHEET.parent / text)
    if not os.path.exists(path):
        raise WorkflowError(
            f"{SHEET}, sample {sample!r}, {column}: there is no file or folder {path}"
            " (a relative path starts at the sample sheet)"
        )
    if not workflow.local_exec and set(path) & set("'\\"):
        raise WorkflowError(
            f"{SHEET}, sample {sample!r}, {column}: Snakemake can't hand {path} to a cluster;"
            " use a path, or a symbolic link, without single quote and backslash"
        )
    return path


@functools.cache
def is_raw(sample):
    """Whether a sample starts with raw rounds of imaging: by its format, or by its sheets."""
    # Imported where needed: each job of a cluster reads this file anew.
    from cellsam_core.samples.raw_rounds import FORMATS, find_format

    row = SAMPLES[sample]
    if row["assay"] == "movie":
        return False
    if row.get("format", "auto") != "auto":
        return row["format"] in FORMATS
    return find_format(SHEET.parent / row["path"]) is not None


def tissues():
    """Samples with transcripts."""
    return [name for name, row in SAMPLES.items() if row["assay"] != "movie"]


def compared_samples():
    """Movies with a ratio and a condition."""
    return [
        name
        for name, row in SAMPLES.items()
        if row["assay"] == "movie" and "condition" in row and settings(name, "traces")["ratio"]
    ]


def check_controls():
    """Refuse a control that is no other movie, or that has a control itself."""
    movies = [name for name, row in SAMPLES.items() if row["assay"] == "movie"]
    for name in movies:
        control = settings(name, "traces")["control"]
        if control is None:
            continue
        if control not in movies or settings(control, "traces")["control"] is not None:
            raise WorkflowError(
                f"{SHEET}, sample {name!r}, control: {control!r} is no movie sample without a"
                " control of its own; name an untreated movie, in the treated samples' rows only"
            )


def check_corrections():
    """Refuse a table of corrections for a sample that is not tracked."""
    for name, row in SAMPLES.items():
        if "corrections" in row and row["assay"] != "movie":
            raise WorkflowError(
                f"{SHEET}, sample {name!r}, corrections: only movies are tracked; empty the cell"
            )


def check_reporters():
    """Refuse a ratio that does not fit its reporter."""
    for name in SAMPLES:
        traces = settings(name, "traces")
        if traces["ratio"] is None or SAMPLES[name]["assay"] != "movie":
            continue
        if traces["reporter"] == "ratiometric" and not fnmatch(traces["ratio"], "?*/?*"):
            raise WorkflowError(
                f"sample {name!r}, ratio: {traces['ratio']!r} is not NUM/DEN; name two channels,"
                " or set `reporter` to ktr"
            )
        if traces["reporter"] == "ktr" and traces["ring_px"] == 0:
            raise WorkflowError(
                f"sample {name!r}, ring_px: a ktr is measured in a ring around the nucleus; give"
                " its width in pixels, e.g. 4"
            )


def check_divisions():
    """Refuse limits of a division that no daughters fulfil."""
    for name in SAMPLES:
        track = settings(name, "track")
        low, high = track["division_area_min"], track["division_area_max"]
        if SAMPLES[name]["assay"] == "movie" and low > high:
            raise WorkflowError(
                f"sample {name!r}, division_area_min: {low:g} is above division_area_max, {high:g};"
                " lower it, or raise division_area_max"
            )


check_controls()
check_corrections()
check_reporters()
check_divisions()
