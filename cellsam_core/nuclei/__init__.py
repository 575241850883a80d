"""Nuclei and cells of one sample: which nucleus is in which cell."""
