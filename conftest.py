"""What all tests share."""

# One that imports another comes after it: pytest rewrites the assertions of what is not imported yet.
pytest_plugins = [
    "tests.sharing",
    "tests.postgres",
    "tests.databases",
    "tests.seeds",
    "tests.skips",
    "tests.users",
]
