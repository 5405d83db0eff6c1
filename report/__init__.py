"""What the night was like: figures from the tables alone, for a terminal and for machines."""
