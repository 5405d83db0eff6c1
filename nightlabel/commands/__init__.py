"""The commands: a file each, or a few that belong together. Each calls the library, and shows what it returns."""
