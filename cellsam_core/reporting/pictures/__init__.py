"""Pictures of the report that are cut out of images: overlays, crops, strips."""
