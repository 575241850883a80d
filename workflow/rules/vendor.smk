# This rule runs for a tissue whose folder seems to have cells of the vendor.
rule vendor:
    input:
        "results/{sample}/0_manifest.json",
        "results/{sample}/1_preprocessed/frames.zarr",
        final_masks,
        rules.assign.output,
    output:
        "results/{sample}/6_vendor/vendor.html",
    log:
        "logs/{sample}/vendor.log",
    benchmark:
        "benchmarks/{sample}/vendor.tsv"
    priority: 5
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        folder=subpath(input[0], parent=True),
        output=subpath(output[0], parent=True),
    message:
        "{wildcards.sample}: cells beside the vendor's, log in {log}"
    shell:
        "python -m cellsam_core compare-vendor {params.folder:q} --allow-none -o {params.output:q}"
        " > {log:q} 2>&1"
