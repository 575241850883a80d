rule track:
    input:
        "results/{sample}/2_masks/masks.zarr",
    output:
        objects="results/{sample}/3_tracks/objects.parquet",
        tracks="results/{sample}/3_tracks/tracks.csv",
        divisions="results/{sample}/3_tracks/divisions.csv",
        ctc=directory("results/{sample}/3_tracks/ctc"),
        geff=directory("results/{sample}/3_tracks/tracks.geff"),
    log:
        "logs/{sample}/track.log",
    benchmark:
        "benchmarks/{sample}/track.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=mem_mb(8000),
        runtime=240,
    params:
        options=flags("track"),
    shell:
        "python -m cellsam_core track {input:q} {params.options}"
        " -o results/{wildcards.sample}/3_tracks > {log:q} 2>&1"


rule traces:
    input:
        manifest="results/{sample}/0_manifest.json",
        masks="results/{sample}/2_masks/masks.zarr",
        objects="results/{sample}/3_tracks/objects.parquet",
        tracks="results/{sample}/3_tracks/tracks.csv",
    output:
        "results/{sample}/3_tracks/traces.parquet",
        "results/{sample}/3_tracks/traces_wide.csv",
    log:
        "logs/{sample}/traces.log",
    benchmark:
        "benchmarks/{sample}/traces.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=mem_mb(8000),
        runtime=240,
    params:
        options=flags("traces"),
    shell:
        "python -m cellsam_core traces {input.manifest:q} --masks {input.masks:q}"
        " --objects {input.objects:q} --tracks {input.tracks:q} {params.options}"
        " -o results/{wildcards.sample}/3_tracks > {log:q} 2>&1"
