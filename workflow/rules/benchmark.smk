# This rule is not part of `all`: type snakemake benchmark [--config benchmark_data=DIR]. It compares
# the weights of the section `segment` with the classical baseline and with other installed packages.
rule benchmark:
    input:
        benchmark_content,
    output:
        scores="results/benchmark/benchmark.tsv",
        images="results/benchmark/images.tsv",
        speed="results/benchmark/speed.tsv",
        html="results/benchmark/benchmark.html",
    log:
        "logs/benchmark.log",
    conda:
        "../../envs/segment.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=growing(16000),
        runtime=growing(480),
    params:
        options=benchmark_flags,
    message:
        "benchmark, log in {log}"
    shell:
        "python -m cellsam_core benchmark {params.options} -o results/benchmark > {log:q} 2>&1"
