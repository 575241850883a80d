"""Training and fine-tuning of the tiny CellSAM model on labelled images."""
