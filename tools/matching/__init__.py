"""A deterministic matcher of free text to practices."""
