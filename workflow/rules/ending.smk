"""End of a run: which samples finished, which failed and why, and the comparison of the finished."""

import json
import os
import subprocess
import sys
import tempfile


def sample_jobs(sample):
    """List the jobs of a sample in order, each with its log and the files that it leaves."""
    from cellsam_core.run_plan.outcome import Job

    def job(stage):
        outputs = expand(getattr(rules, stage).output, sample=sample)
        return Job(stage, Path(f"logs/{sample}/{stage}.log"), (tuple(map(Path, outputs)),))

    masks = job("stitch").outputs
    # A batch is deleted once it is stitched.
    found = [
        Job(
            "segment",
            Path(f"logs/{sample}/segment/{batch}.log"),
            ((Path(f"results/{sample}/2_masks/batches/{batch}.parquet"),), *masks),
        )
        for batch in batches(sample)
    ]
    if sample in FOUND_NUCLEI:
        nuclei = job("stitch_nuclei").outputs
        found += [
            Job(
                "segment_nuclei",
                Path(f"logs/{sample}/segment_nuclei/{batch}.log"),
                ((Path(f"results/{sample}/2_masks/nuclei/batches/{batch}.parquet"),), *nuclei),
            )
            for batch in batches(sample)
        ]
    decoded = []
    if is_raw(sample):
        joined = job("join_fields")
        # The colours are a file of their own, which stays.
        decoded = [job("align_colours")]
        decoded += [
            Job(
                "decode_batch",
                Path(f"logs/{sample}/decode_batch/{batch}.log"),
                ((Path(f"results/{sample}/0_fields/{batch}"),), *joined.outputs),
            )
            for batch in field_batches(sample)
        ]
        decoded.append(joined)
    before = [*decoded, *map(job, ["inspect", "preprocess"])]
    masks_by = "import_masks" if sample in GIVEN_MASKS else "stitch"
    masked = [masks_by, *(["correct"] if sample in CORRECTED else [])]
    nuclei_by = "import_nuclei_to_pair" if sample in GIVEN_NUCLEI else "stitch_nuclei"
    masked += [nuclei_by, "pair"] if sample in BOTH_TARGETS else []
    after = [*masked, "track", "traces"]
    if SAMPLES[sample]["assay"] != "movie":
        after = [*masked, "assign", *(["spatialdata"] if CONFIG.value("spatialdata") else [])]
    return [*before, *found, *map(job, [*after, "report"])]


def tell_ending(has_failed):
    """Print which samples failed and where the reports are; compare those that finished."""
    from cellsam_core.run_plan.outcome import outcome_of, outcome_table

    outcomes = [outcome_of(sample, sample_jobs(sample)) for sample in SAMPLES]
    # After `snakemake plan` in a new folder there is nothing to tell.
    if not has_failed and all(outcome.state == "not run" for outcome in outcomes):
        return
    finished = {outcome.sample for outcome in outcomes if outcome.state == "finished"}
    pages = [Path(f"results/{sample}/4_report/report.html") for sample in SAMPLES]
    told = outcome_table(outcomes, [page for page in pages if page.exists()])
    print(f"\n{told}", file=sys.stderr)
    tell_overview(outcomes)
    waiting = [outcome.sample for outcome in outcomes if outcome.state in ("not run", "stopped")]
    # A sample whose control failed could not run; others were not run because the run was stopped.
    held_back = [name for name in waiting if control_of(name) not in (None, *finished)]
    failed = [name for name in SAMPLES if name not in finished]
    if finished and failed and waiting == held_back and comparison_outputs(None):
        compare_finished(failed)


def tell_overview(outcomes):
    """Write the table and the page of all samples; a fault in it does not hide the end of the run."""
    from cellsam_core.errors import InputError
    from cellsam_core.reporting.overview import PAGE_FILE, overview

    if not Path("results").is_dir():
        return
    try:
        overview("results", outcomes=outcomes)
    except (InputError, OSError) as error:
        print(f"There is no page of all samples: {error}", file=sys.stderr)
    else:
        print(f"All samples: results/{PAGE_FILE}", file=sys.stderr)


def compare_finished(failed):
    """Run the comparisons without the samples that failed, as `snakemake comparisons` does."""
    without = ",".join([*CONFIG.left_out, *failed])
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "config.json"
        settings.write_text(json.dumps({**config, "without": without}), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "comparisons", "--snakefile"]
        command += [workflow.main_snakefile, "--configfile", str(settings), "--cores", "1"]
        # The files of the samples are inputs as they are; the lock is that of the run that ends.
        command += ["--allowed-rules", "comparisons", *COMPARISONS, "--nolock", "--no-hooks"]
        command += [
            "--workflow-profile",
            "none",
            "--show-failed-logs",
            "--quiet",
            "progress",
            "reason",
            "host",
        ]
        done = subprocess.run(command, check=False)
    if done.returncode == 0:
        print(f"The comparisons were made without {', '.join(failed)}.", file=sys.stderr)


def refuse_read_only():
    """Refuse results that can't be written before any job; Snakemake itself ends in a traceback."""
    folder = f"{PREFIX}results"
    if os.path.isdir(folder) and not os.access(folder, os.W_OK):
        raise WorkflowError(
            f"{folder}: found a folder that can't be written (Read-only file system, or a folder of"
            " someone else), expected room for the results; make it writable, or name another"
            " working directory with --directory"
        )


onstart:
    refuse_read_only()


onsuccess:
    tell_ending(has_failed=False)


onerror:
    tell_ending(has_failed=True)
