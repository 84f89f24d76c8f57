"""Runs an optimizer's rule, written once, over all parameters in one of several ways."""
