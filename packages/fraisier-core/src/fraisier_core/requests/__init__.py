"""Requests: `routing` decides what a push deploys, `configured` tells the store what there is to deploy."""
