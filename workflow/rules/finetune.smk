# This rule is not part of `all`: type snakemake finetune --config finetune_data=DIR. Then give the path
# of its output as `weights` in the section `segment` of the config.
rule finetune:
    input:
        folder=finetune_data,
        content=finetune_content,
    output:
        "results/finetune/weights.safetensors",
    log:
        "logs/finetune.log",
    benchmark:
        "benchmarks/finetune.tsv"
    conda:
        "../../envs/segment.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        options=finetune_flags,
    message:
        "finetune weights, log in {log}"
    shell:
        "python -m cellsam_core finetune {input.folder:q} {params.options} -o {output:q}"
        " > {log:q} 2>&1"
