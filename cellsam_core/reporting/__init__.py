"""Report of one sample, a self-contained HTML page, and its provenance."""
