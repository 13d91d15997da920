"""The fraise types of Fraisier, one module each."""
