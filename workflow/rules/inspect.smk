rule inspect:
    input:
        raw=inspected_path,
        content=inspected_content,
    output:
        "results/{sample}/0_manifest.json",
    log:
        "logs/{sample}/inspect.log",
    benchmark:
        "benchmarks/{sample}/inspect.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        sample=inspect_flags(
            "sample",
            "assay",
            "format",
            "pixel_size_um",
            "frame_interval_s",
            "channels",
            "pattern",
            "position",
            "fov",
            "z_plane",
            "z_policy",
            "min_qv",
            "outside",
            "orientation",
        ),
    shell:
        "python -m cellsam_core inspect {input.raw:q} {params.sample} -o {output:q} > {log:q} 2>&1"


# Before anything that takes long. Later stages do not depend on its date: a changed option of the
# tracking checks again, and segments nothing again.
rule check:
    input:
        "results/{sample}/0_manifest.json",
    output:
        "results/{sample}/0_checked.json",
    log:
        "logs/{sample}/check.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        config=sample_config,
    shell:
        "python -m cellsam_core check-options {input:q} --config-json {params.config:q}"
        " -o {output:q} > {log:q} 2>&1"
