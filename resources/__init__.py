"""What is known: data files, their models and loaders."""
