rule spatialdata:
    input:
        "results/{sample}/0_manifest.json",
        "results/{sample}/1_preprocessed/frames.zarr",
        final_masks,
        rules.assign.output,
    output:
        directory("results/{sample}/3_cells/spatialdata.zarr"),
    log:
        "logs/{sample}/spatialdata.log",
    benchmark:
        "benchmarks/{sample}/spatialdata.tsv"
    priority: 5
    conda:
        "../../envs/spatialdata.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing(240),
    params:
        expand_um=lambda wildcards: CONFIG.settings(wildcards.sample, "assign")["expand_um"],
        folder=subpath(input[0], parent=True),
    message:
        "{wildcards.sample}: spatialdata, log in {log}"
    shell:
        "python -m cellsam_core spatialdata {params.folder:q} --expand-um {params.expand_um}"
        " -o {output:q} > {log:q} 2>&1"
