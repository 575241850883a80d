"""Plan of a run: sizes of the samples, numbers of jobs, hours of segmentation, disk space."""
