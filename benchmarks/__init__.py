"""Benchmarks: the whole system beside what a user would pick instead, in one run (`make bench`)."""
