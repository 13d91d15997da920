"""The store: webhook events, deployment events, and what is folded from them.

`vocabulary`, `records` and `received` say what it holds, `protocol` what it does; `relational` does it on any
SQL database, and `sqlite` brings one.
"""
