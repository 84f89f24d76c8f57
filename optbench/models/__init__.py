"""The networks that optimizers are compared on, with their initialisation and checkpointing."""
