# This rule runs for raw rounds of MERFISH or seqFISH. `inspect` reads its output like the folder of a
# vendor.
rule decode:
    input:
        raw=raw_path,
        content=raw_content,
    output:
        directory("results/{sample}/0_decoded"),
    log:
        "logs/{sample}/decode.log",
    benchmark:
        "benchmarks/{sample}/decode.tsv"
    conda:
        spots_environment
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(720),
    params:
        sample=sheet_flags("format", "pixel_size_um"),
        options=flags("decode"),
    message:
        "{wildcards.sample}: decode, log in {log}"
    shell:
        "python -m cellsam_core decode {input.raw:q} {params.sample} {params.options}"
        " -o {output:q} > {log:q} 2>&1"
