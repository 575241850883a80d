"""Constants of robust statistics."""

MAD_TO_SD = 1.4826
"""Ratio of the standard deviation to the median absolute deviation in a normal distribution."""
