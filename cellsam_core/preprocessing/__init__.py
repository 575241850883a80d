"""Contrast and channels of the images that are segmented."""
