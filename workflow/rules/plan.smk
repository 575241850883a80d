# Not part of `all`: snakemake plan. Prints jobs, hours and disk; runs nothing.
rule plan:
    log:
        "logs/plan.txt",
    localrule: True
    run:
        text = planned_page()
        Path(log[0]).write_text(text, encoding="utf-8")
        print(text)
