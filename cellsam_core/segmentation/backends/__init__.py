"""Models of other packages as segmentation models: one adapter each behind one interface."""
