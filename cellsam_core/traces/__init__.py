"""Reporter traces: intensities of each cell, background, ratios, responses."""
