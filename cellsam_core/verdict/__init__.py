"""Verdict on a sample: checks of its results, each green, amber or red against a limit."""
