"""The fraise type `backup`: copies of a database or of folders, verified, pruned and restored."""
