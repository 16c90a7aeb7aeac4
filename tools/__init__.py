"""What thinks: one package per tool, and what they share."""
