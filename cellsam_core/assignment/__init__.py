"""Transcripts to cells: owners, counts, outlines, uncertainty and the AnnData file."""
