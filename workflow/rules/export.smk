# This rule runs if the section `export` of the config names a program.
rule export:
    input:
        "results/{sample}/0_manifest.json",
        rules.stitch.output,
        final_masks,
        exported_files,
    output:
        directory("results/{sample}/5_export"),
    log:
        "logs/{sample}/export.log",
    benchmark:
        "benchmarks/{sample}/export.tsv"
    priority: 5
    conda:
        export_environment
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        options=export_flags,
        folder=subpath(input[0], parent=True),
    message:
        "{wildcards.sample}: export, log in {log}"
    shell:
        "python -m cellsam_core export {params.folder:q} {params.options} -o {output:q} > {log:q} 2>&1"
