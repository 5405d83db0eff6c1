"""What one run was like, or several side by side: figures from the tables alone, in a terminal, on a page, as JSON."""
