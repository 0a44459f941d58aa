"""Cal.com's API v2 as the portal asks it: bookings, event types, me, in its shapes and in process."""

from tests.fake_calcom.app import FakeCalcom, create_fake_calcom
from tests.fake_calcom.inprocess import session_for

__all__ = ["FakeCalcom", "create_fake_calcom", "session_for"]
