# In a run, only `segment` and `stitch` import torch. Each segment job loads the model once and segments one
# batch of tiles.
rule segment:
    input:
        frames="results/{sample}/1_preprocessed/frames.zarr",
        weights=weights_path,
    output:
        temp("results/{sample}/2_masks/batches/{batch}.parquet"),
    log:
        "logs/{sample}/segment/{batch}.log",
    benchmark:
        "benchmarks/{sample}/segment/{batch}.tsv"
    priority: 1
    conda:
        segment_environment
    threads: 4
    resources:
        gpu=gpu_count,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        options=segment_flags,
    message:
        "{wildcards.sample}: segment, batch {wildcards.batch}, log in {log}"
    shell:
        "python -m cellsam_core segment-batch {input.frames:q} --batch {wildcards.batch}"
        " {params.options} -o {output:q} > {log:q} 2>&1"


rule stitch:
    input:
        frames="results/{sample}/1_preprocessed/frames.zarr",
        batches=batch_files,
    output:
        masks=directory("results/{sample}/2_masks/masks.zarr"),
        cells="results/{sample}/2_masks/cells.parquet",
    log:
        "logs/{sample}/stitch.log",
    benchmark:
        "benchmarks/{sample}/stitch.tsv"
    wildcard_constraints:
        sample=only(sample for sample in SAMPLES if sample not in GIVEN_MASKS),
    priority: 2
    conda:
        "../../envs/segment.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        options=flags("stitch"),
    message:
        "{wildcards.sample}: stitch, log in {log}"
    shell:
        "python -m cellsam_core stitch {input.frames:q} {input.batches:q} {params.options}"
        " --masks {output.masks:q} --cells {output.cells:q} > {log:q} 2>&1"


# The next three rules run if the config sets `targets: nucleus,cell`.
rule segment_nuclei:
    input:
        frames="results/{sample}/1_preprocessed/frames.zarr",
        weights=weights_path,
    output:
        temp("results/{sample}/2_masks/nuclei/batches/{batch}.parquet"),
    log:
        "logs/{sample}/segment_nuclei/{batch}.log",
    benchmark:
        "benchmarks/{sample}/segment_nuclei/{batch}.tsv"
    wildcard_constraints:
        sample=only(FOUND_NUCLEI),
    priority: 1
    conda:
        segment_environment
    threads: 4
    resources:
        gpu=gpu_count,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        options=segment_nuclei_flags,
    message:
        "{wildcards.sample}: segment nuclei, batch {wildcards.batch}, log in {log}"
    shell:
        "python -m cellsam_core segment-batch {input.frames:q} --batch {wildcards.batch}"
        " {params.options} -o {output:q} > {log:q} 2>&1"


rule stitch_nuclei:
    input:
        frames="results/{sample}/1_preprocessed/frames.zarr",
        batches=nuclei_batch_files,
    output:
        masks=directory("results/{sample}/2_masks/nuclei/found.zarr"),
        cells="results/{sample}/2_masks/nuclei/found.parquet",
    log:
        "logs/{sample}/stitch_nuclei.log",
    benchmark:
        "benchmarks/{sample}/stitch_nuclei.tsv"
    wildcard_constraints:
        sample=only(FOUND_NUCLEI),
    priority: 2
    conda:
        "../../envs/segment.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        options=flags("stitch"),
    message:
        "{wildcards.sample}: stitch nuclei, log in {log}"
    shell:
        "python -m cellsam_core stitch {input.frames:q} {input.batches:q} {params.options}"
        " --masks {output.masks:q} --cells {output.cells:q} > {log:q} 2>&1"


rule pair:
    input:
        cells=final_masks,
        nuclei="results/{sample}/2_masks/nuclei/found.zarr",
    output:
        masks=directory("results/{sample}/2_masks/nuclei/masks.zarr"),
        nuclei="results/{sample}/2_masks/nuclei/nuclei.parquet",
        cells="results/{sample}/2_masks/nuclei/cells.parquet",
    log:
        "logs/{sample}/pair.log",
    benchmark:
        "benchmarks/{sample}/pair.tsv"
    wildcard_constraints:
        sample=only(BOTH_TARGETS),
    priority: 3
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        options=pair_flags,
        folder=subpath(output[0], parent=True),
    message:
        "{wildcards.sample}: pair nuclei and cells, log in {log}"
    shell:
        "python -m cellsam_core pair {input.cells:q} {input.nuclei:q} {params.options}"
        " -o {params.folder:q} > {log:q} 2>&1"


# This rule takes the place of `segment` and `stitch` for a sample with masks of its own.
rule import_masks:
    input:
        manifest="results/{sample}/0_manifest.json",
        frames="results/{sample}/1_preprocessed/frames.zarr",
        given=masks_path,
        content=masks_content,
    output:
        masks=directory("results/{sample}/2_masks/masks.zarr"),
        cells="results/{sample}/2_masks/cells.parquet",
    log:
        "logs/{sample}/import_masks.log",
    benchmark:
        "benchmarks/{sample}/import_masks.tsv"
    wildcard_constraints:
        sample=only(GIVEN_MASKS),
    priority: 1
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        options=sheet_flags("masks_unit"),
    message:
        "{wildcards.sample}: import masks, log in {log}"
    shell:
        "python -m cellsam_core import-masks {input.given:q} --manifest {input.manifest:q}"
        " --frames {input.frames:q} {params.options} --masks {output.masks:q}"
        " --cells {output.cells:q} > {log:q} 2>&1"


# This rule runs for nuclei that are outlines; `assign` reads label images and masks as they are.
rule import_nuclei:
    input:
        manifest="results/{sample}/0_manifest.json",
        frames="results/{sample}/1_preprocessed/frames.zarr",
        given=given_nuclei,
    output:
        nuclei=directory("results/{sample}/2_masks/nuclei.zarr"),
        table="results/{sample}/2_masks/nuclei.parquet",
    log:
        "logs/{sample}/import_nuclei.log",
    benchmark:
        "benchmarks/{sample}/import_nuclei.tsv"
    priority: 1
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        options=nuclei_unit,
    message:
        "{wildcards.sample}: import nuclei, log in {log}"
    shell:
        "python -m cellsam_core import-masks {input.given:q} --manifest {input.manifest:q}"
        " --frames {input.frames:q} {params.options} --masks {output.nuclei:q}"
        " --cells {output.table:q} > {log:q} 2>&1"


# This rule takes the place of `segment_nuclei` and `stitch_nuclei` for a sample with nuclei of its own.
use rule import_nuclei as import_nuclei_to_pair with:
    output:
        nuclei=directory("results/{sample}/2_masks/nuclei/found.zarr"),
        table="results/{sample}/2_masks/nuclei/found.parquet",
    log:
        "logs/{sample}/import_nuclei_to_pair.log",
    benchmark:
        "benchmarks/{sample}/import_nuclei_to_pair.tsv"
    wildcard_constraints:
        sample=only(GIVEN_NUCLEI),
