"""The tables. One file holds two to four of them and is named after its feature."""

from portal.models import objects
from portal.models.appointments import Appointment, Booking, CalendarFeed, DaySheetPrint
from portal.models.audit import AuditLog
from portal.models.balance import BalanceReservation, BalanceTransaction, BillingRate, CallCharge, PrepaidBalance
from portal.models.calls import Call, CallActivity, CallContent
from portal.models.company import Branch, Company, PhoneNumber
from portal.models.customers import Customer, CustomerNote, CustomerPhone, CustomerRelationship
from portal.models.followups import CallFollowup, CallNote, Recording, RecordingAccess
from portal.models.hours import BranchClosure, StaffAbsence, WorkingHours
from portal.models.inbox import OutboxJob, PipelineHeartbeat, WebhookEvent, WorkerLease
from portal.models.notifications import EmailOutbox, Notification
from portal.models.staff import CalcomEventType, Service, Staff, StaffEventType
from portal.models.stats import CompanyGoal, DailyCallStats, DailySpend
from portal.models.topups import BalanceTopup, Invoice, InvoiceLine, InvoiceSequence
from portal.models.users import (
    Invitation,
    PasswordReset,
    PortalUser,
    PortalUserBranch,
    PortalUserPermission,
    UserPreference,
)

__all__ = ["objects", *(name for name, value in list(globals().items()) if isinstance(value, type))]
