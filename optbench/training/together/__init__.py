"""Many runs of one architecture trained at once, as one computation over stacked tensors."""
