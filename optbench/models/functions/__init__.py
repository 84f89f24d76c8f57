"""Functions on which optimizers are drawn and measured, one file per family."""
