# This rule is not part of `all`: type snakemake plan. It prints jobs, hours and disk, and runs no job.
rule plan:
    log:
        "logs/plan.txt",
    localrule: True
    run:
        text = planned_page()
        Path(log[0]).write_text(text, encoding="utf-8")
        print(text)
