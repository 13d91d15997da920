"""`python -m fraisier`: the same as the `fraisier` command."""

from fraisier.cli import main

if __name__ == "__main__":
    main()
