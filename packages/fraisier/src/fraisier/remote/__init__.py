"""A Fraisier on another machine, asked by GraphQL."""
