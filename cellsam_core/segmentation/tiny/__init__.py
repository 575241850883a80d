"""The tiny CellSAM model: encoder, CellFinder and mask decoder."""
