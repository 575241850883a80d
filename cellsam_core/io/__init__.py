"""Files in and out. Nothing outside this package and the command line touches a disk."""
