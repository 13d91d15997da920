"""What every store over an SQL database does alike: rows become records, and changes become statements.

A database brings its `Connection` and the statements in its own dialect, under the same names and parameters;
`store/sqlite/sql/` has them for SQLite.
"""
