"""What the five tools share: models, errors, the run context."""
