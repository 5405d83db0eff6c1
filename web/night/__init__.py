"""What runs are like at the moment, for all who watch them."""
