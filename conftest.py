"""What all tests share."""

pytest_plugins = ["tests.sharing", "tests.postgres", "tests.seeds", "tests.skips"]
