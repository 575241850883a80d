# The end of a run writes these files, too, with the samples that failed.
rule overview:
    input:
        expand("results/{sample}/4_report/verdict.json", sample=SAMPLES),
    output:
        "results/index.html",
        "results/summary.tsv",
    log:
        "logs/overview.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    params:
        folder=subpath(output[0], parent=True),
        logs=f"{PREFIX}logs",
    message:
        "page of all samples, log in {log}"
    shell:
        "python -m cellsam_core overview {params.folder:q} --logs {params.logs:q} > {log:q} 2>&1"
