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
        # A function of `input` is not compared with the last run: a changed option of the tracking
        # inspects, and so segments, nothing again.
        config=lambda wildcards, input: sample_config(wildcards),
    message:
        "{wildcards.sample}: inspect, log in {log}"
    shell:
        "python -m cellsam_core inspect {input.raw:q} {params.sample} -o {output:q}"
        " --config-json {params.config:q} > {log:q} 2>&1"
