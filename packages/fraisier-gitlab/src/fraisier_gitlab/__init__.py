"""fraisier_gitlab."""
