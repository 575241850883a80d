"""What the rules ask for: inputs and command line flags of a sample."""

import json
import os
import shlex
from snakemake.exceptions import WorkflowError


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
        return as_flags(CONFIG.settings(wildcards.sample, section))

    return render


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


def spots_environment(wildcards):
    """Conda function: the environment that has spotiflow, if it is to find the spots."""
    model = CONFIG.settings(wildcards.sample, "decode")["spotiflow"]
    return f"../../envs/{'core' if model is None else 'spotiflow'}.yaml"


def preprocess_flags(wildcards):
    """Params function: the options of the contrast, with the weights that it is for."""
    model = CONFIG.settings(wildcards.sample, "segment")
    options = CONFIG.settings(wildcards.sample, "preprocess")
    return as_flags(options | {key: model[key] for key in ("weights", "preset")})


def corrections_path(wildcards):
    """Input function: the sample's table of corrections, if it has one."""
    if "corrections" not in SAMPLES[wildcards.sample]:
        return []
    return given_path(wildcards.sample, "corrections", SAMPLES[wildcards.sample]["corrections"])


# Params functions don't take `input`: Snakemake then no longer sees that an option changed.
def track_flags(wildcards):
    """Params function: the options of the tracking, with the sample's corrections."""
    options = CONFIG.settings(wildcards.sample, "track")
    return as_flags(options | {"corrections": corrections_path(wildcards) or None})


def control_traces(wildcards):
    """Input function: the traces of the sample's control, if it has one."""
    control = CONFIG.settings(wildcards.sample, "traces")["control"]
    return [] if control is None else f"results/{control}/3_tracks/traces.parquet"


def trace_flags(wildcards):
    """Params function: the options of the traces, with the control's file for its name."""
    options = CONFIG.settings(wildcards.sample, "traces")
    return as_flags(options | {"control": control_traces(wildcards) or None})


def nuclei_path(wildcards):
    """Input function: the sample's nuclei, if it has any."""
    nuclei = CONFIG.settings(wildcards.sample, "assign")["nuclei"]
    return [] if nuclei is None else given_path(wildcards.sample, "nuclei", nuclei)


def assign_flags(wildcards):
    """Params function: the options of the assignment, with the path of the nuclei resolved."""
    options = CONFIG.settings(wildcards.sample, "assign")
    return as_flags(options | {"nuclei": nuclei_path(wildcards) or None})


def bulk_path(wildcards):
    """Input function: the table of bulk expression that a tissue is compared with, if any."""
    bulk = CONFIG.settings(wildcards.sample, "report")["bulk"]
    if bulk is None or SAMPLES[wildcards.sample]["assay"] == "movie":
        return []
    return given_path(wildcards.sample, "bulk", bulk)


def report_flags(wildcards):
    """Params function: the options of the report, with the path of the bulk table resolved."""
    return as_flags({"bulk": bulk_path(wildcards) or None})


def condition_arguments(wildcards):
    """Params function: CONDITION=TRACES for each sample that is compared."""
    return shlex.join(
        f"{SAMPLES[sample]['condition']}=results/{sample}/3_tracks/traces.parquet"
        for sample in CONFIG.compared_movies()
    )


def replicate_arguments(wildcards):
    """Params function: SAMPLE=H5AD for each tissue."""
    return shlex.join(
        f"{sample}=results/{sample}/3_cells/cells.h5ad" for sample in CONFIG.tissues()
    )


def given_folder(key):
    """The folder that a key of the config names, if it does; a relative path starts where you are."""
    path = CONFIG.value(key)
    if path is not None and not os.path.isdir(path):
        raise WorkflowError(f"config, {key}: there is no folder {path}")
    return path


def benchmark_flags(wildcards):
    """Params function: data and model of the benchmark, which belongs to no sample."""
    options = {"data": given_folder("benchmark_data")} | CONFIG.section("segment")
    del options["dark_cells"]  # of tissues
    return as_flags(options)


def finetune_data(wildcards):
    """Input function: the folder of labelled images."""
    path = given_folder("finetune_data")
    if path is None:
        raise WorkflowError("config, finetune_data: name a folder of labelled images")
    return path


def finetune_flags(wildcards):
    """Params function: only the device of the section; its weights may be what is tuned here."""
    return as_flags({"device": CONFIG.section("segment")["device"]})


def sample_config(wildcards):
    """All that was decided for a sample, as JSON."""
    stages = CONFIG.sections_of(wildcards.sample, is_raw=is_raw(wildcards.sample))
    return json.dumps({"sample": SAMPLES[wildcards.sample]} | stages, sort_keys=True)


def raw_path(wildcards):
    """Input function: the sample's folder or file."""
    return given_path(wildcards.sample, "path", SAMPLES[wildcards.sample]["path"])


def inspected_path(wildcards):
    """What `inspect` reads: the sample's folder, or what was decoded from it."""
    if is_raw(wildcards.sample):
        return f"results/{wildcards.sample}/0_decoded"
    return raw_path(wildcards)


def growing(base):
    """Resource function: memory or minutes that grow with each attempt."""
    return lambda wildcards, attempt: base * attempt
