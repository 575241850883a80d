"""CellSAM: image encoder, CellFinder, prompt encoder and mask decoder; tiles in, instances out."""
