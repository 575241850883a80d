# Not part of `all`: snakemake plan. Prints jobs, hours and disk; runs nothing.
rule plan:
    log:
        "logs/plan.txt",
    localrule: True
    run:
        Path(log[0]).write_text(planned_page(), encoding="utf-8")
        print(planned_page())
