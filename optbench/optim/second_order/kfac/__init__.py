"""Kronecker-factored approximate curvature."""
