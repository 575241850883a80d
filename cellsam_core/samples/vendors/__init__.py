"""One reader for each vendor's folder of spatial transcriptomics; `contract` says what they share.

A reader is a module with ``fits(folder)``, whether the folder is its vendor's, and
``read(folder, choices)``, which gives a :class:`~cellsam_core.samples.vendors.contract.Found`.
"""
