"""Text that people read: without secrets, with the nearest known name beside a misspelt one."""
