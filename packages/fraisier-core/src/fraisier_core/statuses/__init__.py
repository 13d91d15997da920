"""Telling a forge what became of a commit: the words of it, how a forge takes them, and what it answers."""
