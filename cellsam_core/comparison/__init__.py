"""Comparison of samples: transcripts of each gene beside bulk expression or other samples."""
