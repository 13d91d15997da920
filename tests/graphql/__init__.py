"""The GraphQL API, over stores on both databases."""
