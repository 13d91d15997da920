"""What all tests share."""

pytest_plugins = ["tests.sharing", "tests.postgres", "tests.databases", "tests.seeds", "tests.skips"]
