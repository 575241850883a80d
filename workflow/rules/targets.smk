"""Batches of tiles, final files, and the plan of a run."""

import functools
import math
from pathlib import Path


@functools.cache
def extent(sample):
    """Read the size of a sample from names and headers of its raw images; None if it is unclear.

    Results are not used, so that every process of a run computes the same batches.
    """
    from cellsam_core.run_plan.extent import read_extent
    from cellsam_core.samples.positions import movie_options

    row = SAMPLES[sample]
    return read_extent(
        CONFIG.sheet.parent / row["path"],
        is_movie=row["assay"] == "movie",
        n_channels=len(row["channels"].split(",")) if "channels" in row else None,
        fov=row.get("fov"),
        movie=movie_options(row) if row["assay"] == "movie" else None,
    )


@functools.cache
def tiles(sample):
    """Count the tiles of a sample, with the given cell diameter or 30 px; None if it is unclear."""
    from cellsam_core.run_plan.extent import count_tiles

    if extent(sample) is None:
        return None
    model = CONFIG.settings(sample, "segment")
    return count_tiles(
        extent(sample), model["cell_diameter_px"], model["tile_px"], model["weights"]
    )


def tiles_of_targets(sample):
    """Count the tiles of a sample that are segmented: twice as many if nuclei are found as well."""
    if tiles(sample) is None:
        return None
    times = 0 if sample in GIVEN_MASKS else 2 if sample in FOUND_NUCLEI else 1
    return tiles(sample)._replace(n=times * tiles(sample).n)


def batches(sample):
    """List the names of the segmentation jobs of a sample; none if it has masks of its own."""
    if sample in GIVEN_MASKS:
        return []
    size = SAMPLES[sample].get("tiles_per_batch", CONFIG.value("tiles_per_batch"))
    n_tiles = tiles(sample).n if tiles(sample) else 1
    n_batches = math.ceil(n_tiles / size)
    return [f"{batch}-of-{n_batches}" for batch in range(1, n_batches + 1)]


def field_batches(sample):
    """List the names of the jobs that decode the fields of a sample with raw rounds."""
    size = SAMPLES[sample].get("fields_per_batch", CONFIG.value("fields_per_batch"))
    n_fields = extent(sample).n_images if extent(sample) else 1
    n_batches = math.ceil(n_fields / size)
    return [f"{batch}-of-{n_batches}" for batch in range(1, n_batches + 1)]


def field_batch_folders(wildcards):
    """Input function: folders of the decoding jobs of a sample."""
    sample = wildcards.sample
    return [f"results/{sample}/0_fields/{batch}" for batch in field_batches(sample)]


def batch_files(wildcards):
    """Input function: output files of the segmentation jobs of a sample."""
    sample = wildcards.sample
    return [f"results/{sample}/2_masks/batches/{batch}.parquet" for batch in batches(sample)]


def nuclei_batch_files(wildcards):
    """Input function: output files of the segmentation of the nuclei of a sample."""
    sample = wildcards.sample
    folder = f"results/{sample}/2_masks/nuclei/batches"
    return [f"{folder}/{batch}.parquet" for batch in batches(sample)]


def sample_outputs(sample):
    """List the results of a sample that its report needs."""
    stages = [rules.preprocess, rules.stitch]
    movie = SAMPLES[sample]["assay"] == "movie"
    stages += [rules.track, rules.traces] if movie else [rules.assign]
    stages += [rules.join_fields] if is_raw(sample) else []
    stages += [rules.correct] if sample in CORRECTED else []
    stages += [rules.pair] if sample in BOTH_TARGETS else []
    return expand([path for stage in stages for path in stage.output], sample=sample)


def report_inputs(wildcards):
    """Input function: all files that the report of a sample shows."""
    return sample_outputs(wildcards.sample)


def final_outputs(wildcards):
    """Input function: the results of every sample and of the comparisons."""
    targets = []
    for sample in SAMPLES:
        targets += sample_outputs(sample) + expand(rules.report.output, sample=sample)
        if CONFIG.value("spatialdata") and SAMPLES[sample]["assay"] != "movie":
            targets += expand(rules.spatialdata.output, sample=sample)
        if may_have_vendor_cells(sample):
            targets += expand(rules.vendor.output, sample=sample)
        if exported_programs(sample):
            targets += expand(rules.export.output, sample=sample)
    return targets + comparison_outputs(wildcards) + missing_overview()


def missing_overview():
    """List the page of all samples if only that is missing or old: a run was killed at its end.

    Otherwise the end of the run writes it; Snakemake calls no hook where nothing is to be done.
    """
    files = [Path(file) for file in rules.overview.input]
    page = Path(rules.overview.output[0])
    if not all(file.exists() for file in files):
        return []
    newest = max((file.stat().st_mtime for file in files), default=0)
    return [] if page.exists() and page.stat().st_mtime >= newest else [str(page)]


# Rules that make them.
COMPARISONS = ["conditions", "replicates"]


def comparison_outputs(wildcards):
    """Input function: the results that are made from several samples."""
    targets = []
    if CONFIG.compared_movies():
        targets += rules.conditions.output
    if len(CONFIG.tissues()) > 1:
        targets += rules.replicates.output
    return targets


def planned_page():
    """Return the text that `snakemake plan` prints."""
    from cellsam_core.run_plan.plan import SampleWork, n_jobs, page, read_pilot

    works = [
        SampleWork(
            sample=sample,
            tiles=tiles_of_targets(sample),
            n_pixels=(
                math.prod((extent(sample).n_images, *extent(sample).shape_yx))
                if extent(sample)
                else None
            ),
            n_gpu_jobs=len(batches(sample)) * (1 + (sample in FOUND_NUCLEI)),
            n_jobs=n_jobs(
                len(batches(sample)),
                is_movie=row["assay"] == "movie",
                n_field_batches=len(field_batches(sample)) if is_raw(sample) else 0,
                finds_nuclei=sample in FOUND_NUCLEI,
                takes_nuclei=sample in GIVEN_NUCLEI,
            ),
            weights=CONFIG.settings(sample, "segment")["weights"],
        )
        for sample, row in SAMPLES.items()
    ]
    return page(
        works, read_pilot({w.sample: w.n_tiles for w in works}, Path(f"{PREFIX}benchmarks"))
    )
