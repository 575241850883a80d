# Not part of `all`: snakemake plan. Prints jobs, hours and disk; runs nothing, writes nothing.
rule plan:
    localrule: True
    run:
        print(planned_page())
