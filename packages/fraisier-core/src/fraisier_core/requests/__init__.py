"""Requests: `routing` decides what a push deploys, `requesting` asks the store for it.

`following` says which branches an environment follows, `drift` whether one was missed, `reconciling` asks.
"""
