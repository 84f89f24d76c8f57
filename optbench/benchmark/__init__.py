"""Optimizers compared on a suite of workloads: equal tuning, fresh seeds, verdicts."""
