"""Weekly demand forecast per store and article."""
