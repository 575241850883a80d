"""Purity of cells: own, neighbours' and ambient transcripts, told apart without a reference."""
