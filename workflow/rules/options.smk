"""Functions that give the rules the inputs and command line options of a sample."""

import functools
import inspect
import json
import os
import shlex
import shutil
from snakemake.exceptions import WorkflowError

# Options of segmentation that the rules carry out, and no single command.
OF_PAIRS = ("targets", "nucleus_diameter_px", "orphan_nuclei")


def signed(function):
    """Keep the signature of a function, which Snakemake asks for again and again for every job."""
    function.__signature__ = inspect.signature(function)
    return function


# Tells if all samples are segmented alike.
IS_ONE_MODEL = len({str(CONFIG.settings(sample, "segment")) for sample in SAMPLES}) == 1


def of_model(function):
    """Make a value for a rule of a function of the options of segmentation.

    It is the value itself if all samples have the same options, since Snakemake calls a function for
    each of thousands of segmentation jobs; else a function of wildcards, which remembers the sample.
    """

    @functools.cache
    def known(sample):
        return function(CONFIG.settings(sample, "segment"))

    @signed
    def of_wildcards(wildcards):
        return known(wildcards.sample)

    value = known(next(iter(SAMPLES))) if IS_ONE_MODEL else of_wildcards
    # Snakemake would read a brace in a text as the begin of a wildcard.
    return of_wildcards if set("{}") & set(str(value)) else value


def as_flags(values, left_out=()):
    """Write options as quoted command line arguments, but those that are None or left out."""
    words = []
    for key, value in values.items():
        if value is not None and key not in left_out:
            words += [f"--{key.replace('_', '-')}", str(value)]
    return shlex.join(words)


def flags(section):
    """Make a params function that returns the options of a section for the sample of the job."""

    @signed
    def render(wildcards):
        return as_flags(CONFIG.settings(wildcards.sample, section))

    return render


def sheet_flags(*columns):
    """Make a params function that returns the given columns of the sample sheet, if filled in."""

    @signed
    def render(wildcards):
        return filled_flags(wildcards.sample, columns)

    return render


def filled_flags(sample, columns):
    """Write the given columns of the sample sheet, if filled in, as command line options."""
    row = SAMPLES[sample]
    return as_flags({key: row[key] for key in columns if key in row})


def inspect_flags(*columns):
    """Make a params function like sheet_flags, but without the format if the sample is raw rounds.

    The format of raw rounds is an option of `decode`, not of `inspect`.
    """

    @signed
    def render(wildcards):
        left_out = {"format"} if is_raw(wildcards.sample) else set()
        return filled_flags(wildcards.sample, [key for key in columns if key not in left_out])

    return render


def spots_environment(wildcards):
    """Conda function: environment of decoding, with spotiflow if the config gives a model."""
    model = CONFIG.settings(wildcards.sample, "decode")["spotiflow"]
    return f"../../envs/{'core' if model is None else 'spotiflow'}.yaml"


def spot_flags(wildcards):
    """Params function: option of decoding that says how large a spot is."""
    options = CONFIG.settings(wildcards.sample, "decode")
    return as_flags({"spot_sigma_px": options["spot_sigma_px"]})


def field_flags(wildcards):
    """Params function: options of decoding that are those of each field for itself."""
    from cellsam_core.decoding.options import OF_JOINING

    return as_flags(CONFIG.settings(wildcards.sample, "decode"), OF_JOINING)


def join_flags(wildcards):
    """Params function: options of decoding that need all fields."""
    from cellsam_core.decoding.options import OF_FIELDS

    return as_flags(CONFIG.settings(wildcards.sample, "decode"), OF_FIELDS)


@of_model
def segment_environment(model):
    """Conda function: environment of segmentation, with the package whose model segments."""
    from cellsam_core.models import backend_of

    backend = backend_of(model["weights"])
    return f"../../envs/{backend.package if backend else 'segment'}.yaml"


@of_model
def gpu_count(model):
    """Resource function: 1 if the job may use a GPU.

    Jobs that ask for none run side by side, as many as there are cores for. The profile of a
    workstation limits the GPUs, that of a cluster does not: a cluster is asked for a GPU even if
    the machine that submits the jobs has none.
    """
    device = model["device"]
    is_workstation = "gpu" in workflow.global_resources
    has_none = is_workstation and shutil.which("nvidia-smi") is None
    return 0 if device == "cpu" or (device == "auto" and has_none) else 1


@of_model
def segment_flags(model):
    """Params function: options of segmentation of the cells."""
    return as_flags(model, OF_PAIRS)


@of_model
def segment_nuclei_flags(model):
    """Params function: options of segmentation of the nuclei."""
    of_nuclei = {"target": "nucleus", "cell_diameter_px": model["nucleus_diameter_px"]}
    return as_flags(model | of_nuclei, OF_PAIRS)


def paired_nuclei(wildcards):
    """Input function: nuclei with the numbers of the cells, if they are segmented as well."""
    found = wildcards.sample in BOTH_TARGETS
    return f"results/{wildcards.sample}/2_masks/nuclei/masks.zarr" if found else []


def nuclei_of_cells(wildcards):
    """Input function: table of the nuclei of each cell, if they are segmented as well."""
    found = wildcards.sample in BOTH_TARGETS
    return f"results/{wildcards.sample}/2_masks/nuclei/cells.parquet" if found else []


def pair_flags(wildcards):
    """Params function: options of pairing nuclei with cells."""
    return as_flags(
        {"orphan_nuclei": CONFIG.settings(wildcards.sample, "segment")["orphan_nuclei"]}
    )


def preprocess_flags(wildcards):
    """Params function: options of preprocessing, and the weights that the contrast depends on."""
    model = CONFIG.settings(wildcards.sample, "segment")
    options = CONFIG.settings(wildcards.sample, "preprocess")
    return as_flags(options | {key: model[key] for key in ("weights", "preset")})


def corrections_path(wildcards):
    """Input function: table of corrections of tracks of the sample, if it has one."""
    return user_table(wildcards.sample, "tracks")


def cell_corrections_path(wildcards):
    """Input function: table of corrections of cells of the sample, if it has one."""
    return user_table(wildcards.sample, "cells")


def final_masks(wildcards):
    """Input function: masks that are tracked or counted."""
    return f"results/{wildcards.sample}/2_masks/{corrected_folder(wildcards)}masks.zarr"


def final_cells(wildcards):
    """Input function: table of the cells that are tracked or counted."""
    return f"results/{wildcards.sample}/2_masks/{corrected_folder(wildcards)}cells.parquet"


def corrected_folder(wildcards):
    """Return the folder of the corrected masks of a sample in that of its masks, if it has them."""
    return "corrected/" if wildcards.sample in CORRECTED else ""


# Params functions do not take `input`: otherwise Snakemake does not notice that an option changed.
def track_flags(wildcards):
    """Params function: options of tracking, with the path of the corrections."""
    options = CONFIG.settings(wildcards.sample, "track")
    return as_flags(options | {"corrections": corrections_path(wildcards) or None})


def control_of(sample):
    """Return the name of the control of a movie; None if it has none, and for tissues."""
    if SAMPLES[sample]["assay"] != "movie":
        return None
    return CONFIG.settings(sample, "traces")["control"]


def control_traces(wildcards):
    """Input function: traces of the control of the sample, if it has one."""
    control = control_of(wildcards.sample)
    return [] if control is None else f"results/{control}/3_tracks/traces.parquet"


def trace_flags(wildcards):
    """Params function: options of the traces, with the file of the control instead of its name."""
    options = CONFIG.settings(wildcards.sample, "traces")
    control = control_traces(wildcards)
    nuclei = paired_nuclei(wildcards)
    nuclei = f"{PREFIX}{nuclei}" if nuclei else None
    return as_flags(
        options | {"control": f"{PREFIX}{control}" if control else None, "nuclei": nuclei}
    )


def masks_path(wildcards):
    """Input function: masks of the user that take the place of a segmentation."""
    return given_path(wildcards.sample, "masks", SAMPLES[wildcards.sample]["masks"])


def given_nuclei(wildcards):
    """Input function: nuclei that the user gives, as they are."""
    nuclei = CONFIG.given_nuclei(wildcards.sample)
    return [] if nuclei is None else given_path(wildcards.sample, "nuclei", nuclei)


def nuclei_path(wildcards):
    """Input function: label image of the nuclei; outlines of them are drawn by a rule first."""
    from cellsam_core.given_masks.kinds import is_outlines, is_rois

    nuclei = given_nuclei(wildcards)
    if wildcards.sample in BOTH_TARGETS:
        return paired_nuclei(wildcards)
    if nuclei and (is_rois(Path(nuclei)) or is_outlines(Path(nuclei))):
        return f"results/{wildcards.sample}/2_masks/nuclei.zarr"
    return nuclei


def nuclei_unit(wildcards):
    """Params function: unit of the outlines of the nuclei, as an option of `import-masks`."""
    return as_flags({"masks_unit": SAMPLES[wildcards.sample].get("nuclei_unit")})


def assign_flags(wildcards):
    """Params function: options of the assignment, with the resolved path of the nuclei."""
    options = CONFIG.settings(wildcards.sample, "assign")
    nuclei = nuclei_path(wildcards) or None
    if nuclei and nuclei != given_nuclei(wildcards):
        nuclei = f"{PREFIX}{nuclei}"
    paired = nuclei_of_cells(wildcards)
    paired = f"{PREFIX}{paired}" if paired else None
    return as_flags(options | {"nuclei": nuclei, "nuclei_of_cells": paired})


def bulk_path(wildcards):
    """Input function: table of bulk expression that a tissue is compared with, if there is one."""
    bulk = CONFIG.settings(wildcards.sample, "report")["bulk"]
    if bulk is None or SAMPLES[wildcards.sample]["assay"] == "movie":
        return []
    return given_path(wildcards.sample, "bulk", bulk)


def report_flags(wildcards):
    """Params function: options of the report, with the resolved path of the bulk table."""
    return as_flags({"bulk": bulk_path(wildcards) or None})


def exported_programs(sample):
    """List the programs that a sample is exported for."""
    from cellsam_core.exports.options import ExportOptions

    options = ExportOptions(**CONFIG.settings(sample, "export"))
    return options.names(is_movie=SAMPLES[sample]["assay"] == "movie")


def export_environment(wildcards):
    """Conda function: environment of the export, with sopa if Xenium Explorer is asked for."""
    needs_sopa = "xenium_explorer" in exported_programs(wildcards.sample)
    return f"../../envs/{'explorer' if needs_sopa else 'core'}.yaml"


def export_flags(wildcards):
    """Params function: programs, and how cells of a tissue were grown."""
    values = {"programs": ",".join(exported_programs(wildcards.sample))}
    if SAMPLES[wildcards.sample]["assay"] != "movie":
        values["expand_um"] = CONFIG.settings(wildcards.sample, "assign")["expand_um"]
    return as_flags(values)


def exported_files(wildcards):
    """Input function: the tables that outlines and counts are read from."""
    movie = SAMPLES[wildcards.sample]["assay"] == "movie"
    return [] if movie else expand(rules.assign.output, sample=wildcards.sample)


def condition_arguments(wildcards):
    """Params function: argument CONDITION=TRACES for each sample that is compared."""
    return shlex.join(
        f"{SAMPLES[sample]['condition']}={PREFIX}results/{sample}/3_tracks/traces.parquet"
        for sample in CONFIG.compared_movies()
    )


def replicate_arguments(wildcards):
    """Params function: argument SAMPLE=H5AD for each tissue."""
    return shlex.join(
        f"{sample}={PREFIX}results/{sample}/3_cells/cells.h5ad" for sample in CONFIG.tissues()
    )


def given_folder(key):
    """Return the folder given by a key of the config, or None.

    A relative path starts at the working directory.
    """
    path = CONFIG.value(key)
    if path is not None and not os.path.isdir(path):
        raise WorkflowError(f"config, {key}: there is no folder {path}")
    return path


def benchmark_flags(wildcards):
    """Params function: data and model of the benchmark, which does not depend on a sample."""
    options = {"data": given_folder("benchmark_data")} | CONFIG.section("segment")
    return as_flags(options, ("dark_cells", *OF_PAIRS))  # these are of samples


def finetune_data(wildcards):
    """Input function: folder of labelled images."""
    path = given_folder("finetune_data")
    if path is None:
        raise WorkflowError("config, finetune_data: name a folder of labelled images")
    return path


def finetune_flags(wildcards):
    """Params function: device of the section `segment`.

    Its weights are left out, since they may be the output of this rule.
    """
    return as_flags({"device": CONFIG.section("segment")["device"]})


def sample_config(wildcards):
    """Params function: all settings of a sample, as JSON.

    The paths of tables of corrections start at the folder of the run, where the page looks for them.
    """
    row = SAMPLES[wildcards.sample]
    tables = {
        column: given_path(wildcards.sample, column, row[column])
        for column in SHEET_COLUMNS.values()
        if column in row
    }
    stages = CONFIG.sections_of(wildcards.sample, is_raw=is_raw(wildcards.sample))
    return json.dumps({"sample": row | tables} | stages, sort_keys=True)


def raw_path(wildcards):
    """Input function: folder or file of the sample."""
    return given_path(wildcards.sample, "path", SAMPLES[wildcards.sample]["path"])


def inspected_path(wildcards):
    """Input function: path that `inspect` reads, the folder of the sample or its decoded rounds."""
    if is_raw(wildcards.sample):
        return f"results/{wildcards.sample}/0_decoded"
    return raw_path(wildcards)


def growing(base):
    """Make a resource function: memory (MB) or time (minutes), multiplied by the attempt."""
    return signed(lambda wildcards, attempt: base * attempt)
