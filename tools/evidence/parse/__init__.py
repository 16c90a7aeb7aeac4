"""Tolerant readers: text in, small typed models out.  Each is total on any text."""
