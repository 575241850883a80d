# These rules run for raw rounds of MERFISH or seqFISH. Each job decodes a batch of the fields; `join_fields` counts
# every transcript once. `inspect` reads its output like the folder of a vendor.
rule align_colours:
    input:
        raw=raw_path,
        content=raw_content,
    output:
        "results/{sample}/0_fields/colours.json",
    log:
        "logs/{sample}/align_colours.log",
    benchmark:
        "benchmarks/{sample}/align_colours.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        sample=sheet_flags("format", "pixel_size_um"),
        options=spot_flags,
    message:
        "{wildcards.sample}: align colours, log in {log}"
    shell:
        "python -m cellsam_core align-colours {input.raw:q} {params.sample} {params.options}"
        " -o {output:q} > {log:q} 2>&1"


rule decode_batch:
    input:
        raw=raw_path,
        content=raw_content,
        colours="results/{sample}/0_fields/colours.json",
    output:
        temp(directory("results/{sample}/0_fields/{batch}")),
    log:
        "logs/{sample}/decode_batch/{batch}.log",
    benchmark:
        "benchmarks/{sample}/decode_batch/{batch}.tsv"
    conda:
        spots_environment
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(720),
    params:
        sample=sheet_flags("format", "pixel_size_um"),
        options=field_flags,
    message:
        "{wildcards.sample}: decode, batch {wildcards.batch}, log in {log}"
    shell:
        "python -m cellsam_core decode-batch {input.raw:q} --batch {wildcards.batch}"
        " --colours {input.colours:q} {params.sample} {params.options} -o {output:q} > {log:q} 2>&1"


rule join_fields:
    input:
        raw=raw_path,
        content=raw_content,
        batches=field_batch_folders,
    output:
        directory("results/{sample}/0_decoded"),
    log:
        "logs/{sample}/join_fields.log",
    benchmark:
        "benchmarks/{sample}/join_fields.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        sample=sheet_flags("format", "pixel_size_um"),
        options=join_flags,
    message:
        "{wildcards.sample}: join the decoded fields, log in {log}"
    shell:
        "python -m cellsam_core join-fields {input.raw:q} {input.batches:q} {params.sample}"
        " {params.options} -o {output:q} > {log:q} 2>&1"
