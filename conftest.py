"""What all tests share."""

pytest_plugins = ["tests.seeds", "tests.skips"]
