rule report:
    input:
        "results/{sample}/0_manifest.json",
        report_inputs,
        bulk=bulk_path,
    output:
        html=report(
            "results/{sample}/4_report/report.html",
            caption="../report/sample.rst",
            category="{sample}",
        ),
        verdict="results/{sample}/4_report/verdict.json",
        provenance="results/{sample}/provenance.json",
    log:
        "logs/{sample}/report.log",
    benchmark:
        "benchmarks/{sample}/report.tsv"
    priority: 6
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        config=sample_config,
        options=report_flags,
        folder=subpath(input[0], parent=True),
        benchmarks=lambda wildcards: f"{PREFIX}benchmarks/{wildcards.sample}",
    message:
        "{wildcards.sample}: report, log in {log}"
    shell:
        "python -m cellsam_core report {params.folder:q} --config-json {params.config:q}"
        " --benchmarks {params.benchmarks:q} -o {output.html:q}"
        " --provenance {output.provenance:q} {params.options} > {log:q} 2>&1"
