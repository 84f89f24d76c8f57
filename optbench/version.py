"""The version, for those who may not import the package's public face."""

__version__ = "0.1.0"
