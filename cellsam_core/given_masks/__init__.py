"""Masks of the user instead of a segmentation: label images, outlines, ROIs of ImageJ."""
