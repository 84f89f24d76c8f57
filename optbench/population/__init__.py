"""Population-based training: rounds of runs, of which the worst copy the best and vary them."""
