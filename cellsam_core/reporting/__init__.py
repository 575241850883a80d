"""The self-contained HTML report of one sample, and its provenance."""
