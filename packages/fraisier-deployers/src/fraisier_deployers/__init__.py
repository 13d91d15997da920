"""fraisier_deployers."""
