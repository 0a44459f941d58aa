"""Retell as the portal asks it: list-calls (v3) and get-call (v2), in Retell's shapes, on loopback or in process."""

from tests.fake_retell.app import FakeRetell, create_fake_retell
from tests.fake_retell.inprocess import session_for

__all__ = ["FakeRetell", "create_fake_retell", "session_for"]
