"""Looking for good settings before a training: the learning rate range test."""
