"""Places elsewhere where copies of backups lie."""
