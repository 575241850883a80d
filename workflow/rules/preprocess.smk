rule preprocess:
    input:
        "results/{sample}/0_manifest.json",
    output:
        directory("results/{sample}/1_preprocessed/frames.zarr"),
    log:
        "logs/{sample}/preprocess.log",
    benchmark:
        "benchmarks/{sample}/preprocess.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        options=preprocess_flags,
    message:
        "{wildcards.sample}: preprocess, log in {log}"
    shell:
        "python -m cellsam_core preprocess {input:q} {params.options} -o {output:q} > {log:q} 2>&1"
