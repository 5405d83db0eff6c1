"""Results for other programs: CSV, JSON lines, Parquet."""
