"""Synthetic microscopy with ground truth: training fields, movies and tissues."""
