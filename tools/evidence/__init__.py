"""Evidence from a workspace: collect (reads), parse, probe (one fact each), report."""
