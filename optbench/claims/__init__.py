"""`claim`: what the textbook says of optimization, each sentence an experiment with a verdict."""
