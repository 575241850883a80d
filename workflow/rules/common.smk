"""Config and sample sheet: read, checked, and turned into targets and command line flags."""

import csv
import difflib
import functools
import json
import math
import os
import shlex
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
TISSUES_ONLY = ("assign",)
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


def settings(sample, section):
    """The options of one stage for one sample: the sheet before the config before the schema."""
    values = {key: item["default"] for key, item in SECTIONS[section]["properties"].items()}
    values |= GIVEN.get(section, {})
    return values | {key: value for key, value in SAMPLES[sample].items() if key in values}


def as_flags(values):
    """Render options as quoted flags; null is an option that is not given."""
    words = []
    for key, value in values.items():
        if value is not None:
            words += [f"--{key.replace('_', '-')}", str(value)]
    return shlex.join(words)


def flags(section):
    """Params function: the section's options for the job's sample."""

    def render(wildcards):
        return as_flags(settings(wildcards.sample, section))

    return render


def preprocess_flags(wildcards):
    """Params function: the options of the contrast, with the weights that it is for."""
    options = settings(wildcards.sample, "preprocess")
    return as_flags(options | {"weights": settings(wildcards.sample, "segment")["weights"]})


def corrections_path(wildcards):
    """Input function: the sample's table of corrections, if it has one."""
    if "corrections" not in SAMPLES[wildcards.sample]:
        return []
    return given_path(wildcards.sample, "corrections", SAMPLES[wildcards.sample]["corrections"])


# Params functions don't take `input`: Snakemake then no longer sees that an option changed.
def track_flags(wildcards):
    """Params function: the options of the tracking, with the sample's corrections."""
    options = settings(wildcards.sample, "track")
    return as_flags(options | {"corrections": corrections_path(wildcards) or None})


def control_traces(wildcards):
    """Input function: the traces of the sample's control, if it has one."""
    control = settings(wildcards.sample, "traces")["control"]
    return [] if control is None else f"results/{control}/3_tracks/traces.parquet"


def trace_flags(wildcards):
    """Params function: the options of the traces, with the control's file for its name."""
    options = settings(wildcards.sample, "traces")
    return as_flags(options | {"control": control_traces(wildcards) or None})


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


def nuclei_path(wildcards):
    """Input function: the sample's nuclei, if it has any."""
    nuclei = settings(wildcards.sample, "assign")["nuclei"]
    return [] if nuclei is None else given_path(wildcards.sample, "nuclei", nuclei)


def assign_flags(wildcards):
    """Params function: the options of the assignment, with the path of the nuclei resolved."""
    options = settings(wildcards.sample, "assign")
    return as_flags(options | {"nuclei": nuclei_path(wildcards) or None})


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


def compared_samples():
    """Movies with a ratio and a condition."""
    return [
        name
        for name, row in SAMPLES.items()
        if row["assay"] == "movie" and "condition" in row and settings(name, "traces")["ratio"]
    ]


def condition_arguments(wildcards):
    """Params function: CONDITION=TRACES for each sample that is compared."""
    return shlex.join(
        f"{SAMPLES[sample]['condition']}=results/{sample}/3_tracks/traces.parquet"
        for sample in compared_samples()
    )


def sheet_flags(*columns):
    """Params function: the named columns of the job's sample, where they are filled in."""

    def render(wildcards):
        row = SAMPLES[wildcards.sample]
        return as_flags({key: row[key] for key in columns if key in row})

    return render


def inspect_flags(*columns):
    """Params function: as sheet_flags, less the format of raw rounds, which `decode` is told."""

    def render(wildcards):
        left_out = {"format"} if is_raw(wildcards.sample) else set()
        return sheet_flags(*(key for key in columns if key not in left_out))(wildcards)

    return render


def benchmark_flags(wildcards):
    """Params function: data, weights and device of the benchmark, which belongs to no sample."""
    defaults = {key: item["default"] for key, item in SECTIONS["segment"]["properties"].items()}
    model = defaults | GIVEN.get("segment", {})
    values = {"data": GIVEN.get("benchmark_data"), "weights": model["weights"]}
    return as_flags(values | {"device": model["device"]})


def finetune_data(wildcards):
    """Input function: the folder of labelled images; a relative path starts where you are."""
    path = GIVEN.get("finetune_data")
    if path is None:
        raise WorkflowError("config, finetune_data: name a folder of labelled images")
    if not os.path.isdir(path):
        raise WorkflowError(f"config, finetune_data: there is no folder {path}")
    return path


def sample_config(wildcards):
    """All that was decided for a sample, as JSON."""
    row = SAMPLES[wildcards.sample]
    skipped = TISSUES_ONLY if row["assay"] == "movie" else MOVIES_ONLY
    skipped += () if is_raw(wildcards.sample) else RAW_ROUNDS_ONLY
    ran = [name for name in SECTIONS if name not in skipped]
    stages = {section: settings(wildcards.sample, section) for section in ran}
    return json.dumps({"sample": row} | stages, sort_keys=True)


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


def raw_path(wildcards):
    """Input function: the sample's folder or file."""
    return given_path(wildcards.sample, "path", SAMPLES[wildcards.sample]["path"])


@functools.cache
def is_raw(sample):
    """Whether a sample starts with raw rounds of imaging: by its format, or by its sheets."""
    # Imported where needed: each job of a cluster reads this file anew.
    from cellsam_core.io.raw import FORMATS, find_format

    row = SAMPLES[sample]
    if row["assay"] == "movie":
        return False
    if row.get("format", "auto") != "auto":
        return row["format"] in FORMATS
    return find_format(SHEET.parent / row["path"]) is not None


@functools.cache
def extent(sample):
    """Size of a sample, by names and headers of its raw images; None if they are unclear.

    Results never count, so that every process of a run comes to the same batches.
    """
    from cellsam_core.io.extent import read_extent

    row = SAMPLES[sample]
    return read_extent(
        SHEET.parent / row["path"],
        is_movie=row["assay"] == "movie",
        n_channels=len(row["channels"].split(",")) if "channels" in row else None,
    )


@functools.cache
def n_tiles(sample):
    """Tiles of a sample, of its cells' given diameter or of 30 px; None if that is unclear."""
    from cellsam_core.segment.tiles import REFERENCE_PX, plan

    if extent(sample) is None:
        return None
    model = settings(sample, "segment")
    diameter = model["cell_diameter_px"]
    diameter = REFERENCE_PX if diameter == "auto" else float(diameter)
    return extent(sample).n_images * len(
        plan(1, extent(sample).shape_yx, diameter, model["tile_px"])
    )


def batches(sample):
    """Names of the segmentation jobs of a sample."""
    default = CONFIG_SCHEMA["properties"]["tiles_per_batch"]["default"]
    size = SAMPLES[sample].get("tiles_per_batch", GIVEN.get("tiles_per_batch", default))
    n_batches = math.ceil((n_tiles(sample) or 1) / size)
    return [f"{batch}-of-{n_batches}" for batch in range(1, n_batches + 1)]


def batch_files(wildcards):
    """Input function: what the segmentation jobs of a sample found."""
    sample = wildcards.sample
    return [f"results/{sample}/2_masks/batches/{batch}.parquet" for batch in batches(sample)]


def inspected_path(wildcards):
    """What `inspect` reads: the sample's folder, or what was decoded from it."""
    if is_raw(wildcards.sample):
        return f"results/{wildcards.sample}/0_decoded"
    return raw_path(wildcards)


def growing(base):
    """Resource function: memory or minutes that grow with each attempt."""
    return lambda wildcards, attempt: base * attempt


def sample_outputs(sample):
    """All that a sample's report is made of, and the user gets."""
    stages = [rules.preprocess, rules.stitch]
    movie = SAMPLES[sample]["assay"] == "movie"
    stages += [rules.track, rules.traces] if movie else [rules.assign]
    stages += [rules.decode] if is_raw(sample) else []
    return expand([path for stage in stages for path in stage.output], sample=sample)


def planned_page():
    """The text of `snakemake plan`."""
    from cellsam_core.workload import SampleWork, page, read_pilot

    works = [
        SampleWork(
            sample=sample,
            n_tiles=n_tiles(sample),
            n_pixels=(
                math.prod((extent(sample).n_images, *extent(sample).shape_yx))
                if extent(sample)
                else None
            ),
            n_gpu_jobs=len(batches(sample)),
            # Beside them: inspect, preprocess, stitch, report; track and traces, or assign; decode.
            n_jobs=len(batches(sample)) + 5 + (row["assay"] == "movie") + is_raw(sample),
            weights=settings(sample, "segment")["weights"],
        )
        for sample, row in SAMPLES.items()
    ]
    return page(works, read_pilot({w.sample: w.n_tiles or 0 for w in works}, Path("benchmarks")))


def report_inputs(wildcards):
    return sample_outputs(wildcards.sample)


def final_outputs(wildcards):
    """Every file that `rule all` promises, sample by sample."""
    targets = []
    for sample in SAMPLES:
        targets += sample_outputs(sample) + expand(rules.report.output, sample=sample)
        if GIVEN.get("spatialdata") and SAMPLES[sample]["assay"] != "movie":
            targets += expand(rules.spatialdata.output, sample=sample)
    if compared_samples():
        targets += rules.conditions.output
    return targets


check_controls()
check_corrections()
check_reporters()
