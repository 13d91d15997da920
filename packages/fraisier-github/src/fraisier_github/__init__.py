"""fraisier_github."""
