"""The store: webhook events, deployment events, and what is folded from them.

`vocabulary` and `records` say what it holds, `protocol` what it does; `sqlite` is the store on SQLite.
"""
