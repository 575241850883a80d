"""The page of `cellsam-core view`: a local server and the files that the browser gets."""
