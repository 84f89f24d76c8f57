"""Pictures of curves: as text in the terminal, and as PNG. No torch."""
