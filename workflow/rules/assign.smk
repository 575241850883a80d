rule assign:
    input:
        manifest="results/{sample}/0_manifest.json",
        masks=final_masks,
        cells=final_cells,
        nuclei=nuclei_path,
        nuclei_of_cells=nuclei_of_cells,
    output:
        "results/{sample}/3_cells/transcripts.parquet",
        "results/{sample}/3_cells/cells.h5ad",
        "results/{sample}/3_cells/boundaries.parquet",
        "results/{sample}/3_cells/assign_qc.json",
        "results/{sample}/3_cells/purity.json",
    log:
        "logs/{sample}/assign.log",
    benchmark:
        "benchmarks/{sample}/assign.tsv"
    priority: 4
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        options=assign_flags,
        folder=subpath(output[0], parent=True),
    message:
        "{wildcards.sample}: assign, log in {log}"
    shell:
        "python -m cellsam_core assign --manifest {input.manifest:q} --labels {input.masks:q}"
        " --cells {input.cells:q} --sample {wildcards.sample} {params.options}"
        " -o {params.folder:q} > {log:q} 2>&1"


# This rule runs if the sample sheet has two or more tissues.
rule replicates:
    input:
        [f"results/{sample}/3_cells/cells.h5ad" for sample in CONFIG.tissues()],
    output:
        "results/replicates/gene_counts.tsv",
        "results/replicates/correlation.tsv",
        figure=report("results/replicates/correlation.png", category="replicates"),
    log:
        "logs/replicates.log",
    benchmark:
        "benchmarks/replicates.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        samples=replicate_arguments,
        folder=subpath(output[0], parent=True),
    message:
        "compare the tissues, log in {log}"
    shell:
        "python -m cellsam_core compare-samples {params.samples} -o {params.folder:q}"
        " > {log:q} 2>&1"
