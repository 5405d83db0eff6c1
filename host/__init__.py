"""The machine that this runs on: its CPUs, its memory, its processes, and a process's own scratch folder."""
