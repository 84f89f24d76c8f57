"""Which settings decide no result, whatever they are."""

DECIDES_NOTHING = (
    "name",
    "tags",
    "notes",
    "monitor",
    "probe",
    "checkpoint",
    "data_root",
    "resume",
    "sweep",
)
"""Settings that say how a run is seen, found and kept."""
