"""Readers: from the folder of a microscope to the manifest of a sample."""
