"""Workflow from a microscope folder to tables that can be published.

`snakemake -n` lists every job.
"""

from pathlib import Path
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.14")


# If the working directory has no config, the shipped config is used.
own, shipped = "config/config.yaml", workflow.source_path("config/config.yaml")
if Path(own).exists():
    try:
        Path(own).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WorkflowError(
            f"{own}: found {error}, expected text in UTF-8; write it anew"
        ) from error


configfile: own if Path(own).exists() else shipped


report: "workflow/report/workflow.rst"


# The limit of GPUs holds for jobs on this machine only, not for a whole cluster.
resource_scopes:
    gpu="local",


include: "workflow/rules/sheet.smk"
include: "workflow/rules/options.smk"
include: "workflow/rules/watch.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/decode.smk"
include: "workflow/rules/inspect.smk"
include: "workflow/rules/preprocess.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/correct.smk"
include: "workflow/rules/track.smk"
include: "workflow/rules/assign.smk"
include: "workflow/rules/spatialdata.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/vendor.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/plan.smk"
include: "workflow/rules/overview.smk"
include: "workflow/rules/ending.smk"


# Type snakemake comparisons --config without=SAMPLE to compare the samples that are finished.
rule comparisons:
    input:
        comparison_outputs,
    localrule: True
    message:
        "all comparisons"


rule all:
    default_target: True
    input:
        final_outputs,
    localrule: True
    message:
        "all results"
