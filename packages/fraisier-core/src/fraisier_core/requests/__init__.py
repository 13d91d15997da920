"""Requests: `routing` decides what a push deploys, `requesting` asks the store for it."""
