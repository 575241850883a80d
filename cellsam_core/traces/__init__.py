"""Reporter traces: intensity, background, ratio and response of each cell."""
