"""Label images: opened, read tile by tile, looked up, outlined and grown."""
