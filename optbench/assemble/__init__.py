"""The only place that turns config into objects."""
