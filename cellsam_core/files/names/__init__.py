"""Names of image files: cut into pieces, and what the pieces mean."""
