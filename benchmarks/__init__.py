"""Each figure of docs/reference/performance.md, as a ratio to a floor measured in the same run."""
