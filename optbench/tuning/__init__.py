"""Searching for settings: trials, each of one or several runs, chosen by a sampler."""
