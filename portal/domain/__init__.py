"""The rules of the business: they decide and compute, flush, and never commit."""
