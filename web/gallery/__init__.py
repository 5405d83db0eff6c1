"""The gallery's query as the address bar has it, its counts, and what of it can be downloaded."""
