"""Requests: `routing` decides what a push deploys, `requesting` asks the store for it.

`following` says which branches an environment follows, `drift` whether one was missed, `reconciling` asks.
`explaining` says why a push deploys or does not, with the `outcomes` of deployments and what was `refused`.
"""
