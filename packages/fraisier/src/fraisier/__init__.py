"""fraisier."""
