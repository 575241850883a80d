"""TIFFs: planes, axes, scales and metadata, in the ways of several programs."""
