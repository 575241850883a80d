# This rule runs for samples with a table of corrections of cells. Later rules then read its masks.
rule correct:
    input:
        masks="results/{sample}/2_masks/masks.zarr",
        cells="results/{sample}/2_masks/cells.parquet",
        corrections=cell_corrections_path,
    output:
        masks=directory("results/{sample}/2_masks/corrected/masks.zarr"),
        cells="results/{sample}/2_masks/corrected/cells.parquet",
        outcomes="results/{sample}/2_masks/corrected/corrections.csv",
    log:
        "logs/{sample}/correct.log",
    benchmark:
        "benchmarks/{sample}/correct.tsv"
    wildcard_constraints:
        sample=only(CORRECTED),
    priority: 3
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        folder=subpath(output[0], parent=True),
    message:
        "{wildcards.sample}: correct, log in {log}"
    shell:
        "python -m cellsam_core correct {input.masks:q} {input.cells:q}"
        " --corrections {input.corrections:q} -o {params.folder:q} > {log:q} 2>&1"
