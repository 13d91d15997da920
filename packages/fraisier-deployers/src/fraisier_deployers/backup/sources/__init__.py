"""The sources: what can be backed up, and how it is dumped and restored."""
