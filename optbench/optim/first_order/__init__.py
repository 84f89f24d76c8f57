"""Rules that go by gradients alone."""
