"""The worker: `daemon` is its loop, `dispatcher` hands deployments out, `launcher` forks what `process` does.

`observers` keeps another process alive, which is `observing`; `reconciler` starts `asking` from time to time.
"""
