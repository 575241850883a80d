"""Cells of this package beside the vendor's cells of the same sample."""
