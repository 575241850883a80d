"""Size of a sample by names and headers, and the jobs, hours and disk of a run."""
