"""The observer `notify`: word of what failed, was rolled back and recovered, to whoever should know."""
