"""What programs ask of the page: whether it works, and how the night is getting on."""
