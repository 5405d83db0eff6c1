"""Settings, errors, files written whole: what every part may use, and nothing else."""
