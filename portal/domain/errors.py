"""What the rules of the business refuse, with a message for the person who asked."""

from __future__ import annotations


class DomainError(Exception):
    """A rule says no. ``message`` is translated; ``field`` names the form field it belongs beside, if any."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message, self.field = message, field


class Conflict(DomainError):
    """Somebody else was first, or the row has changed since it was shown."""
