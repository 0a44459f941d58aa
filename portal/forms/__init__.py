"""The shape of input; the rules are in ``domain/``."""
