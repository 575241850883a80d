rule track:
    input:
        masks=final_masks,
        cells=final_cells,
        corrections=corrections_path,
    output:
        objects="results/{sample}/3_tracks/objects.parquet",
        tracks="results/{sample}/3_tracks/tracks.csv",
        divisions="results/{sample}/3_tracks/divisions.csv",
        intervals="results/{sample}/3_tracks/intervals.csv",
        drift="results/{sample}/3_tracks/drift.csv",
        review="results/{sample}/3_tracks/review.csv",
        outcomes="results/{sample}/3_tracks/corrections.csv",
        ctc=directory("results/{sample}/3_tracks/ctc"),
        geff=directory("results/{sample}/3_tracks/tracks.geff"),
    log:
        "logs/{sample}/track.log",
    benchmark:
        "benchmarks/{sample}/track.tsv"
    priority: 4
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        options=track_flags,
        folder=subpath(output[0], parent=True),
    message:
        "{wildcards.sample}: track, log in {log}"
    shell:
        "python -m cellsam_core track {input.masks:q} {params.options}"
        " -o {params.folder:q} > {log:q} 2>&1"


rule traces:
    input:
        manifest="results/{sample}/0_manifest.json",
        masks=final_masks,
        objects="results/{sample}/3_tracks/objects.parquet",
        tracks="results/{sample}/3_tracks/tracks.csv",
        control=control_traces,
        nuclei=paired_nuclei,
    output:
        traces="results/{sample}/3_tracks/traces.parquet",
        wide="results/{sample}/3_tracks/traces_wide.csv",
        summary="results/{sample}/3_tracks/trace_summary.csv",
    log:
        "logs/{sample}/traces.log",
    benchmark:
        "benchmarks/{sample}/traces.tsv"
    priority: 5
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        options=trace_flags,
        folder=subpath(output[0], parent=True),
    message:
        "{wildcards.sample}: traces, log in {log}"
    shell:
        "python -m cellsam_core traces {input.manifest:q} --masks {input.masks:q}"
        " --objects {input.objects:q} --tracks {input.tracks:q} {params.options}"
        " -o {params.folder:q} > {log:q} 2>&1"


# This rule runs if movies with a ratio have a condition in the sample sheet.
rule conditions:
    input:
        [f"results/{sample}/3_tracks/traces.parquet" for sample in CONFIG.compared_movies()],
    output:
        "results/conditions/condition_traces.csv",
        "results/conditions/condition_summary.csv",
        figure=report("results/conditions/conditions.png", category="conditions"),
    log:
        "logs/conditions.log",
    benchmark:
        "benchmarks/conditions.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        samples=condition_arguments,
        folder=subpath(output[0], parent=True),
    message:
        "compare the conditions, log in {log}"
    shell:
        "python -m cellsam_core summarise {params.samples} -o {params.folder:q} > {log:q} 2>&1"
