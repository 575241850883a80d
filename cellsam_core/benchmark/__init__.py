"""Segmentation methods compared on labelled images: scores, speed, pictures."""
