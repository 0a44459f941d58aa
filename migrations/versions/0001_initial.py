"""The whole schema: tables, keys, generated columns, full-text indexes, views and triggers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from portal import db as types
from portal.models import objects

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# In the order in which foreign keys allow them to be made.
TABLES = (
    "companies",
    "invoice_sequences",
    "worker_leases",
    "audit_logs",
    "billing_rates",
    "branches",
    "customers",
    "daily_call_stats",
    "daily_spend",
    "email_outbox",
    "outbox_jobs",
    "pipeline_heartbeats",
    "prepaid_balances",
    "webhook_events",
    "branch_closures",
    "customer_phones",
    "phone_numbers",
    "services",
    "staff",
    "calcom_event_types",
    "calls",
    "portal_users",
    "staff_absences",
    "working_hours",
    "appointments",
    "balance_reservations",
    "balance_topups",
    "calendar_feeds",
    "call_activities",
    "call_charges",
    "call_contents",
    "call_followups",
    "call_notes",
    "company_goals",
    "customer_notes",
    "customer_relationships",
    "day_sheet_prints",
    "invitations",
    "notifications",
    "password_resets",
    "portal_user_branches",
    "portal_user_permissions",
    "recordings",
    "staff_event_types",
    "user_preferences",
    "balance_transactions",
    "bookings",
    "invoices",
    "recording_accesses",
    "invoice_lines",
)


def upgrade() -> None:
    op.create_table(
        "companies",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", sa.String(length=50), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("phone", sa.String(length=50), nullable=True),
        sa.Column("website", sa.String(length=255), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("city", sa.String(length=100), nullable=True),
        sa.Column("postal_code", sa.String(length=20), nullable=True),
        sa.Column("country", sa.String(length=2), server_default="DE", nullable=False),
        sa.Column("retell_api_key", sa.Text(), nullable=True),
        sa.Column("retell_agent_id", sa.String(length=255), nullable=True),
        sa.Column("calcom_api_key", sa.Text(), nullable=True),
        sa.Column("calcom_webhook_secret", sa.Text(), nullable=True),
        sa.Column("calcom_team_id", sa.String(length=255), nullable=True),
        sa.Column("stripe_customer_id", sa.String(length=255), nullable=True),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("timezone", sa.String(length=50), server_default="Europe/Berlin", nullable=False),
        sa.Column("language", sa.String(length=5), server_default="de", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("trial_ends_at", types.UTCDateTime(), nullable=True),
        sa.Column(
            "exhausted_action",
            sa.Enum("forward", "message", "grace", name="exhausted_action", create_constraint=True),
            server_default="message",
            nullable=False,
        ),
        sa.Column("forward_to", sa.String(length=50), nullable=True),
        sa.Column("invoice_name", sa.String(length=255), nullable=True),
        sa.Column("invoice_address", sa.Text(), nullable=True),
        sa.Column("invoice_email", sa.String(length=255), nullable=True),
        sa.Column("vat_id", sa.String(length=20), nullable=True),
        sa.Column("recording_retention_days", sa.Integer(), nullable=True),
        sa.Column("transcript_retention_days", sa.Integer(), nullable=True),
        sa.Column("metadata_retention_days", sa.Integer(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
        sa.UniqueConstraint("stripe_customer_id", name=op.f("uq_companies_stripe_customer_id")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_companies_tenant_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("companies", schema=None) as batch_op:
        batch_op.create_index("idx_active_companies", ["is_active", "trial_ends_at"], unique=False)

    op.create_table(
        "invoice_sequences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("issuer", sa.String(length=100), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_sequences")),
        sa.UniqueConstraint("issuer", "year", name=op.f("uq_invoice_sequences_issuer_year")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "worker_leases",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.String(length=100), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("expires_at", types.UTCDateTime(), nullable=False),
        sa.Column("last_run_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_leases")),
        sa.UniqueConstraint("job", name=op.f("uq_worker_leases_job")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "audit_logs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("model_type", sa.String(length=100), nullable=True),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("old_values", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("new_values", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("ip_address", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_audit_logs_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_logs")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("audit_logs", schema=None) as batch_op:
        batch_op.create_index("idx_audit_action", ["action", "created_at"], unique=False)
        batch_op.create_index("idx_audit_company", ["company_id", "created_at"], unique=False)
        batch_op.create_index("idx_audit_model", ["model_type", "model_id", "created_at"], unique=False)
        batch_op.create_index("idx_audit_user", ["user_id", "created_at"], unique=False)

    op.create_table(
        "billing_rates",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rate_per_minute", types.Rate(precision=10, scale=4), nullable=False),
        sa.Column("increment_seconds", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("minimum_charge", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("setup_fee", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("valid_from", types.UTCDateTime(), nullable=False),
        sa.Column("valid_until", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("increment_seconds > 0", name=op.f("ck_billing_rates_increment")),
        sa.CheckConstraint(
            "rate_per_minute >= 0 AND minimum_charge >= 0 AND setup_fee >= 0", name=op.f("ck_billing_rates_rate")
        ),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_billing_rates_order")),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_billing_rates_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_rates")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_billing_rates_company_id_id")),
        sa.UniqueConstraint("company_id", "valid_from", name=op.f("uq_billing_rates_company_id_valid_from")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "branches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=True),
        sa.Column("branch_code", sa.String(length=50), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=True),
        sa.Column("postal_code", sa.String(length=20), nullable=True),
        sa.Column("latitude", types.Exact(precision=10, scale=8), nullable=True),
        sa.Column("longitude", types.Exact(precision=11, scale=8), nullable=True),
        sa.Column("phone", sa.String(length=50), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("calcom_event_type_id", sa.Integer(), nullable=True),
        sa.Column("calcom_location_id", sa.Integer(), nullable=True),
        sa.Column("timezone", sa.String(length=50), nullable=True),
        sa.Column("is_primary", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "primary_marker",
            sa.Integer(),
            sa.Computed("CASE WHEN is_primary THEN 1 END", persisted=True),
            nullable=True,
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_branches_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_branches")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_branches_company_id_id")),
        sa.UniqueConstraint("company_id", "primary_marker", name="unique_primary_branch"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("branches", schema=None) as batch_op:
        batch_op.create_index("idx_branch_slug", ["company_id", "slug"], unique=False)
        batch_op.create_index("idx_company_branches", ["company_id", "is_active"], unique=False)

    op.create_table(
        "customers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=True),
        sa.Column("last_name", sa.String(length=100), nullable=True),
        sa.Column(
            "full_name",
            sa.String(length=255),
            sa.Computed(types.trimmed_concat("first_name", "last_name"), persisted=True),
            nullable=True,
        ),
        sa.Column("search_name", sa.String(length=500), nullable=True),
        sa.Column("name_confirmed", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("phone", sa.String(length=50), server_default="", nullable=False),
        sa.Column("phone_normalized", sa.String(length=50), nullable=True),
        sa.Column("phone_rev", sa.String(length=50), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.Column(
            "gender",
            sa.Enum("male", "female", "other", "not_specified", name="gender", create_constraint=True),
            nullable=True,
        ),
        sa.Column("preferred_language", sa.String(length=5), nullable=True),
        sa.Column("acquisition_source", sa.String(length=100), nullable=True),
        sa.Column("acquisition_date", sa.Date(), nullable=True),
        sa.Column("first_appointment_date", sa.Date(), nullable=True),
        sa.Column("last_appointment_date", sa.Date(), nullable=True),
        sa.Column("total_appointments", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("completed_appointments", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled_appointments", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("no_show_appointments", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_spent", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("is_blocked", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("blocked_reason", sa.Text(), nullable=True),
        sa.Column("erased_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("total_appointments >= 0", name=op.f("ck_customers_total")),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_customers_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_customers_company_id_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("customers", schema=None) as batch_op:
        batch_op.create_index("idx_customer_email", ["company_id", "email"], unique=False)
        batch_op.create_index("idx_customer_name", ["company_id", "full_name"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_customers_company_id_created_at"), ["company_id", "created_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_customers_company_id_last_name_first_name"),
            ["company_id", "last_name", "first_name"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_customers_company_id_phone_rev"), ["company_id", "phone_rev"], unique=False
        )
        batch_op.create_index("unique_customer_phone", ["company_id", "phone_normalized"], unique=False)

    op.create_table(
        "daily_call_stats",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "branch_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("answered", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("booked", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("seconds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("positive", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("neutral", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("negative", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_daily_call_stats_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_daily_call_stats")),
        sa.UniqueConstraint(
            "company_id", "day", "branch_key", name=op.f("uq_daily_call_stats_company_id_day_branch_key")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "daily_spend",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("amount", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_daily_spend_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_daily_spend")),
        sa.UniqueConstraint("company_id", "day", name=op.f("uq_daily_spend_company_id_day")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "email_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column(
            "text_body",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column(
            "html_body",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("attachments", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("dedupe_key", sa.String(length=191), nullable=True),
        sa.Column(
            "status",
            sa.Enum("pending", "sent", "failed", name="status", create_constraint=True),
            server_default="pending",
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", types.UTCDateTime(), nullable=True),
        sa.Column("sent_at", types.UTCDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_email_outbox_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_outbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_email_outbox_dedupe_key")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("email_outbox", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_email_outbox_status_next_attempt_at"), ["status", "next_attempt_at"], unique=False
        )

    op.create_table(
        "outbox_jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.String(length=50), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("dedupe_key", sa.String(length=191), nullable=True),
        sa.Column(
            "status",
            sa.Enum("pending", "done", "failed", "dead", name="status", create_constraint=True),
            server_default="pending",
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", types.UTCDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_outbox_jobs_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_jobs")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_jobs_dedupe_key")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("outbox_jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_outbox_jobs_status_next_attempt_at"), ["status", "next_attempt_at"], unique=False
        )

    op.create_table(
        "pipeline_heartbeats",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("scope", sa.String(length=50), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("last_event_at", types.UTCDateTime(), nullable=True),
        sa.Column("last_late_at", types.UTCDateTime(), nullable=True),
        sa.Column("late_events", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("refused_requests", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_refused_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_pipeline_heartbeats_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_heartbeats")),
        sa.UniqueConstraint("scope", "provider", name=op.f("uq_pipeline_heartbeats_scope_provider")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "prepaid_balances",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("current_balance", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_balance", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "available_balance",
            types.Money(precision=10, scale=2),
            sa.Computed("current_balance - reserved_balance", persisted=True),
            nullable=True,
        ),
        sa.Column("auto_topup_enabled", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "auto_topup_mode",
            sa.Enum("fixed", "fill_up", name="auto_topup_mode", create_constraint=True),
            server_default="fixed",
            nullable=False,
        ),
        sa.Column("auto_topup_threshold", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("auto_topup_amount", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("auto_topup_daily_cap", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("auto_topup_monthly_cap", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("auto_topup_paused_until", types.UTCDateTime(), nullable=True),
        sa.Column("auto_topup_declines", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("auto_topup_consent_at", types.UTCDateTime(), nullable=True),
        sa.Column("auto_topup_consent_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("auto_topup_consent_text", sa.Text(), nullable=True),
        sa.Column("stripe_payment_method_id", sa.String(length=255), nullable=True),
        sa.Column("payment_method_label", sa.String(length=100), nullable=True),
        sa.Column("daily_spending_limit", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("monthly_spending_limit", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("grace_amount", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("total_topped_up", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("total_spent", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("last_topup_at", types.UTCDateTime(), nullable=True),
        sa.Column("last_charge_at", types.UTCDateTime(), nullable=True),
        sa.Column("low_balance_alert_threshold", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("low_balance_alert_sent_at", types.UTCDateTime(), nullable=True),
        sa.Column("zero_balance_reached_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("reserved_balance >= 0", name=op.f("ck_prepaid_balances_reserved")),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_prepaid_balances_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prepaid_balances")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_prepaid_balances_company_id_id")),
        sa.UniqueConstraint("company_id", name="unique_company_balance"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("prepaid_balances", schema=None) as batch_op:
        batch_op.create_index("idx_low_balance", ["available_balance", "low_balance_alert_sent_at"], unique=False)

    op.create_table(
        "webhook_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "provider", sa.Enum("retell", "calcom", "stripe", name="provider", create_constraint=True), nullable=False
        ),
        sa.Column("dedupe_key", sa.String(length=191), nullable=False),
        sa.Column("event_type", sa.String(length=100), nullable=True),
        sa.Column("headers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column(
            "body",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mariadb").with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
        ),
        sa.Column("signature_ok", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "received",
                "done",
                "ignored",
                "parked",
                "failed",
                "quarantined",
                "dead",
                name="status",
                create_constraint=True,
            ),
            server_default="received",
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", types.UTCDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("handled_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_webhook_events_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint("provider", "dedupe_key", name=op.f("uq_webhook_events_provider_dedupe_key")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("webhook_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_webhook_events_company_id_provider_created_at"),
            ["company_id", "provider", "created_at"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_webhook_events_created_at"), ["created_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_webhook_events_status_next_attempt_at"), ["status", "next_attempt_at"], unique=False
        )

    op.create_table(
        "branch_closures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("opens_at", sa.Time(), nullable=True),
        sa.Column("closes_at", sa.Time(), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("closes_at > opens_at", name=op.f("ck_branch_closures_order")),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_branch_closures_company_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_branch_closures_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_branch_closures")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("branch_closures", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_branch_closures_company_id_branch_id_date"),
            ["company_id", "branch_id", "date"],
            unique=False,
        )

    op.create_table(
        "customer_phones",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("phone", sa.String(length=50), nullable=False),
        sa.Column("phone_normalized", sa.String(length=50), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "customer_id"],
            ["customers.company_id", "customers.id"],
            name=op.f("fk_customer_phones_company_id_customer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_customer_phones_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_phones")),
        sa.UniqueConstraint(
            "customer_id", "phone_normalized", name=op.f("uq_customer_phones_customer_id_phone_normalized")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("customer_phones", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_customer_phones_company_id_customer_id"), ["company_id", "customer_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_customer_phones_company_id_phone_normalized"),
            ["company_id", "phone_normalized"],
            unique=False,
        )

    op.create_table(
        "phone_numbers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("number", sa.String(length=50), nullable=False),
        sa.Column("number_e164", sa.String(length=20), nullable=False),
        sa.Column(
            "type",
            sa.Enum("direct", "hotline", "mobile", "test", name="type", create_constraint=True),
            server_default="direct",
            nullable=False,
        ),
        sa.Column("is_primary", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("retell_phone_id", sa.String(length=255), nullable=True),
        sa.Column("retell_agent_id", sa.String(length=255), nullable=True),
        sa.Column("retell_agent_version", sa.String(length=50), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("deactivated_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("number_e164 LIKE '+%'", name=op.f("ck_phone_numbers_e164")),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_phone_numbers_company_id_branch_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_phone_numbers_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_numbers")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_phone_numbers_company_id_id")),
        sa.UniqueConstraint("number_e164", name=op.f("uq_phone_numbers_number_e164")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("phone_numbers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_phone_numbers_company_id_branch_id"), ["company_id", "branch_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_phone_numbers_retell_agent_id"), ["retell_agent_id"], unique=False)

    op.create_table(
        "services",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=True),
        sa.Column("category", sa.String(length=100), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("duration_minutes", sa.Integer(), server_default=sa.text("(30)"), nullable=False),
        sa.Column("buffer_time_minutes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("price", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("currency", sa.String(length=3), server_default="EUR", nullable=False),
        sa.Column("tax_rate", types.Exact(precision=5, scale=2), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("available_online", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("max_advance_days", sa.Integer(), server_default=sa.text("(90)"), nullable=False),
        sa.Column("min_advance_hours", sa.Integer(), server_default=sa.text("(24)"), nullable=False),
        sa.Column("requires_deposit", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("deposit_amount", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("buffer_time_minutes >= 0", name=op.f("ck_services_buffer")),
        sa.CheckConstraint("duration_minutes > 0", name=op.f("ck_services_duration")),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_services_company_id_branch_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_services_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_services_company_id_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("services", schema=None) as batch_op:
        batch_op.create_index("idx_service_category", ["company_id", "category", "is_active"], unique=False)
        batch_op.create_index("idx_service_slug", ["company_id", "slug"], unique=False)
        batch_op.create_index(batch_op.f("ix_services_company_id_branch_id"), ["company_id", "branch_id"], unique=False)

    op.create_table(
        "staff",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("first_name", sa.String(length=100), nullable=False),
        sa.Column("last_name", sa.String(length=100), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=True),
        sa.Column("employee_id", sa.String(length=50), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("phone", sa.String(length=50), nullable=True),
        sa.Column("title", sa.String(length=100), nullable=True),
        sa.Column("specialties", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("bio", sa.Text(), nullable=True),
        sa.Column("calcom_user_id", sa.Integer(), nullable=True),
        sa.Column("google_calendar_id", sa.String(length=255), nullable=True),
        sa.Column("is_available", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("available_days", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("color_code", sa.String(length=7), nullable=True),
        sa.Column("notification_preferences", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("hired_date", sa.Date(), nullable=True),
        sa.Column("terminated_date", sa.Date(), nullable=True),
        sa.Column("calendar_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_staff_company_id_branch_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_staff_company_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("company_id", "email", name="unique_staff_email"),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_staff_company_id_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.create_index("idx_staff_branch", ["branch_id", "is_active"], unique=False)
        batch_op.create_index(batch_op.f("ix_staff_company_id_branch_id"), ["company_id", "branch_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_staff_company_id_calcom_user_id"), ["company_id", "calcom_user_id"], unique=False
        )

    op.create_table(
        "calcom_event_types",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("service_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("calcom_event_type_id", sa.Integer(), nullable=False),
        sa.Column("calcom_team_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=True),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("price", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("buffer_before", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("buffer_after", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("minimum_notice_minutes", sa.Integer(), nullable=True),
        sa.Column("booking_window_days", sa.Integer(), nullable=True),
        sa.Column("slot_interval", sa.Integer(), nullable=True),
        sa.Column("requires_confirmation", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_team_event", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "sync_status",
            sa.Enum("synced", "pending", "error", name="sync_status", create_constraint=True),
            server_default="synced",
            nullable=False,
        ),
        sa.Column("sync_error", sa.Text(), nullable=True),
        sa.Column("last_synced_at", types.UTCDateTime(), nullable=True),
        sa.Column("metadata", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("duration_minutes > 0", name=op.f("ck_calcom_event_types_duration")),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_calcom_event_types_company_id_branch_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "service_id"],
            ["services.company_id", "services.id"],
            name=op.f("fk_calcom_event_types_company_id_service_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_calcom_event_types_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calcom_event_types")),
        sa.UniqueConstraint(
            "company_id", "calcom_event_type_id", name=op.f("uq_calcom_event_types_company_id_calcom_event_type_id")
        ),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_calcom_event_types_company_id_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("calcom_event_types", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_calcom_event_types_company_id_branch_id"), ["company_id", "branch_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calcom_event_types_company_id_service_id"), ["company_id", "service_id"], unique=False
        )

    op.create_table(
        "calls",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("call_id", sa.String(length=100), nullable=False),
        sa.Column("retell_call_id", sa.String(length=100), nullable=True),
        sa.Column("twilio_call_sid", sa.String(length=100), nullable=True),
        sa.Column("agent_id", sa.String(length=255), nullable=True),
        sa.Column("phone_number", sa.String(length=50), nullable=True),
        sa.Column("from_number", sa.String(length=50), nullable=True),
        sa.Column("to_number", sa.String(length=50), nullable=True),
        sa.Column("phone_number_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "direction",
            sa.Enum("inbound", "outbound", name="direction", create_constraint=True),
            server_default="inbound",
            nullable=False,
        ),
        sa.Column("started_at", types.UTCDateTime(), nullable=False),
        sa.Column("ended_at", types.UTCDateTime(), nullable=True),
        sa.Column("duration_seconds", sa.Integer(), nullable=True),
        sa.Column(
            "status",
            sa.Enum("in_progress", "completed", "failed", "no_answer", "busy", name="status", create_constraint=True),
            server_default="in_progress",
            nullable=False,
        ),
        sa.Column("end_reason", sa.String(length=100), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("recording_url", sa.Text(), nullable=True),
        sa.Column("intent", sa.String(length=100), nullable=True),
        sa.Column(
            "sentiment",
            sa.Enum("positive", "neutral", "negative", name="sentiment", create_constraint=True),
            nullable=True,
        ),
        sa.Column("language_code", sa.String(length=10), server_default="de", nullable=False),
        sa.Column("confidence_score", types.Exact(precision=3, scale=2), nullable=True),
        sa.Column("dynamic_variables", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("custom_data", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("analyzed_at", types.UTCDateTime(), nullable=True),
        sa.Column("appointment_created", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("appointment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            sa.column("confidence_score", types.Exact(3, 2)).between(0, 1), name=op.f("ck_calls_confidence")
        ),
        sa.CheckConstraint("duration_seconds >= 0", name=op.f("ck_calls_duration")),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_calls_company_id_appointment_id"),
            ondelete="RESTRICT",
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_calls_company_id_branch_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "customer_id"],
            ["customers.company_id", "customers.id"],
            name=op.f("fk_calls_company_id_customer_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "phone_number_id"],
            ["phone_numbers.company_id", "phone_numbers.id"],
            name=op.f("fk_calls_company_id_phone_number_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_calls_company_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
        sa.UniqueConstraint("call_id", name=op.f("uq_calls_call_id")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_calls_company_id_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.create_index(
            "idx_call_analytics", ["company_id", "started_at", "status", "appointment_created"], unique=False
        )
        batch_op.create_index("idx_call_customer", ["company_id", "customer_id", "started_at"], unique=False)
        batch_op.create_index("idx_call_phone", ["company_id", "phone_number"], unique=False)
        batch_op.create_index("idx_call_status", ["status", "ended_at"], unique=False)
        batch_op.create_index("idx_call_time", ["company_id", "started_at"], unique=False)
        batch_op.create_index("idx_retell_call", ["retell_call_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_calls_company_id_appointment_id"), ["company_id", "appointment_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calls_company_id_branch_id_started_at"),
            ["company_id", "branch_id", "started_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_calls_company_id_phone_number_id"), ["company_id", "phone_number_id"], unique=False
        )

    op.create_table(
        "portal_users",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=50), nullable=True),
        sa.Column(
            "role",
            sa.Enum("owner", "manager", "staff", "bookkeeper", "operator", name="role", create_constraint=True),
            nullable=False,
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("totp_secret", sa.String(length=500), nullable=True),
        sa.Column("totp_confirmed_at", types.UTCDateTime(), nullable=True),
        sa.Column("totp_last_counter", sa.Integer(), nullable=True),
        sa.Column("recovery_codes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("failed_logins", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("locked_until", types.UTCDateTime(), nullable=True),
        sa.Column("session_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("last_login_at", types.UTCDateTime(), nullable=True),
        sa.Column("last_login_ip", sa.String(length=45), nullable=True),
        sa.Column("language", sa.String(length=5), server_default="de", nullable=False),
        sa.Column("timezone", sa.String(length=50), nullable=True),
        sa.Column("invited_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("(role = 'operator') = (company_id IS NULL)", name=op.f("ck_portal_users_operator")),
        sa.ForeignKeyConstraint(
            ["company_id", "invited_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_portal_users_company_id_invited_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "staff_id"],
            ["staff.company_id", "staff.id"],
            name=op.f("fk_portal_users_company_id_staff_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_portal_users_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_users")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_portal_users_company_id_id")),
        sa.UniqueConstraint("email", name=op.f("uq_portal_users_email")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("portal_users", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_portal_users_company_id_invited_by"), ["company_id", "invited_by"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_portal_users_company_id_staff_id"), ["company_id", "staff_id"], unique=False
        )

    op.create_table(
        "staff_absences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("starts_at", types.UTCDateTime(), nullable=False),
        sa.Column("ends_at", types.UTCDateTime(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("vacation", "sick", "training", "other", name="kind", create_constraint=True),
            server_default="other",
            nullable=False,
        ),
        sa.Column("note", sa.String(length=255), nullable=True),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_staff_absences_order")),
        sa.ForeignKeyConstraint(
            ["company_id", "staff_id"],
            ["staff.company_id", "staff.id"],
            name=op.f("fk_staff_absences_company_id_staff_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_staff_absences_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_absences")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("staff_absences", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_staff_absences_company_id_external_id"), ["company_id", "external_id"], unique=True
        )
        batch_op.create_index(
            batch_op.f("ix_staff_absences_company_id_staff_id_starts_at"),
            ["company_id", "staff_id", "starts_at"],
            unique=False,
        )

    op.create_table(
        "working_hours",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("weekday", sa.SmallInteger(), nullable=False),
        sa.Column("opens_at", sa.Time(), nullable=False),
        sa.Column("closes_at", sa.Time(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("closes_at > opens_at", name=op.f("ck_working_hours_order")),
        sa.CheckConstraint("weekday BETWEEN 1 AND 7", name=op.f("ck_working_hours_weekday")),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_working_hours_company_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "staff_id"],
            ["staff.company_id", "staff.id"],
            name=op.f("fk_working_hours_company_id_staff_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_working_hours_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_working_hours")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("working_hours", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_working_hours_company_id_branch_id_staff_id_weekday"),
            ["company_id", "branch_id", "staff_id", "weekday"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_working_hours_company_id_staff_id"), ["company_id", "staff_id"], unique=False
        )

    op.create_table(
        "appointments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("service_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("appointment_code", sa.String(length=50), nullable=True),
        sa.Column("title", sa.String(length=255), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("start_time", types.UTCDateTime(), nullable=False),
        sa.Column("end_time", types.UTCDateTime(), nullable=False),
        sa.Column(
            "duration_minutes",
            sa.Integer(),
            sa.Computed(types.MinutesBetween(sa.column("start_time"), sa.column("end_time")), persisted=True),
            nullable=True,
        ),
        sa.Column("buffer_before", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("buffer_after", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "scheduled", "confirmed", "completed", "cancelled", "no_show", name="status", create_constraint=True
            ),
            server_default="scheduled",
            nullable=False,
        ),
        sa.Column("arrived_at", types.UTCDateTime(), nullable=True),
        sa.Column("confirmation_sent_at", types.UTCDateTime(), nullable=True),
        sa.Column("reminder_sent_at", types.UTCDateTime(), nullable=True),
        sa.Column(
            "source",
            sa.Enum("phone", "web", "admin", "api", "walk_in", name="source", create_constraint=True),
            server_default="phone",
            nullable=False,
        ),
        sa.Column("call_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("calcom_booking_id", sa.Integer(), nullable=True),
        sa.Column("calcom_event_id", sa.String(length=255), nullable=True),
        sa.Column("google_event_id", sa.String(length=255), nullable=True),
        sa.Column("cancelled_at", types.UTCDateTime(), nullable=True),
        sa.Column("cancelled_by", sa.String(length=100), nullable=True),
        sa.Column("cancellation_reason", sa.Text(), nullable=True),
        sa.Column("internal_notes", sa.Text(), nullable=True),
        sa.Column("customer_notes", sa.Text(), nullable=True),
        sa.Column("price", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("overbooked_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ical_sequence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("buffer_before >= 0 AND buffer_after >= 0", name=op.f("ck_appointments_buffers")),
        sa.CheckConstraint("end_time > start_time", name=op.f("ck_appointments_order")),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_appointments_company_id_branch_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "call_id"],
            ["calls.company_id", "calls.id"],
            name=op.f("fk_appointments_company_id_call_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "customer_id"],
            ["customers.company_id", "customers.id"],
            name=op.f("fk_appointments_company_id_customer_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "overbooked_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_appointments_company_id_overbooked_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "service_id"],
            ["services.company_id", "services.id"],
            name=op.f("fk_appointments_company_id_service_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "staff_id"],
            ["staff.company_id", "staff.id"],
            name=op.f("fk_appointments_company_id_staff_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_appointments_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
        sa.UniqueConstraint("appointment_code", name=op.f("uq_appointments_appointment_code")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_appointments_company_id_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("appointments", schema=None) as batch_op:
        batch_op.create_index("idx_appointment_customer", ["customer_id", "start_time"], unique=False)
        batch_op.create_index(
            "idx_appointment_search", ["company_id", "branch_id", "start_time", "status"], unique=False
        )
        batch_op.create_index("idx_appointment_staff", ["staff_id", "start_time"], unique=False)
        batch_op.create_index("idx_appointment_start", ["company_id", "start_time"], unique=False)
        batch_op.create_index("idx_appointment_status", ["company_id", "status", "start_time"], unique=False)
        batch_op.create_index("idx_calcom_booking", ["calcom_booking_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_appointments_company_id_call_id"), ["company_id", "call_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_appointments_company_id_customer_id"), ["company_id", "customer_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_appointments_company_id_overbooked_by"), ["company_id", "overbooked_by"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_appointments_company_id_service_id"), ["company_id", "service_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_appointments_company_id_staff_id"), ["company_id", "staff_id"], unique=False
        )

    op.create_table(
        "balance_reservations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prepaid_balance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column(
            "status",
            sa.Enum("held", "charged", "released", name="status", create_constraint=True),
            server_default="held",
            nullable=False,
        ),
        sa.Column("expires_at", types.UTCDateTime(), nullable=False),
        sa.Column("resolved_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_balance_reservations_amount")),
        sa.ForeignKeyConstraint(
            ["company_id", "call_id"],
            ["calls.company_id", "calls.id"],
            name=op.f("fk_balance_reservations_company_id_call_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "prepaid_balance_id"],
            ["prepaid_balances.company_id", "prepaid_balances.id"],
            name=op.f("fk_balance_reservations_company_id_prepaid_balance_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_balance_reservations_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_reservations")),
        sa.UniqueConstraint("call_id", name=op.f("uq_balance_reservations_call_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("balance_reservations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_balance_reservations_company_id_call_id"), ["company_id", "call_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_balance_reservations_company_id_prepaid_balance_id"),
            ["company_id", "prepaid_balance_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_balance_reservations_company_id_status"), ["company_id", "status"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_balance_reservations_status_expires_at"), ["status", "expires_at"], unique=False
        )

    op.create_table(
        "balance_topups",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prepaid_balance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("transaction_id", sa.String(length=100), nullable=True),
        sa.Column("amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("tax_rate", types.Exact(precision=5, scale=2), nullable=False),
        sa.Column("tax_amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("gross_amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("refunded_amount", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("currency", sa.String(length=3), server_default="EUR", nullable=False),
        sa.Column(
            "payment_method",
            sa.Enum(
                "stripe", "bank_transfer", "admin_credit", "promotional", name="payment_method", create_constraint=True
            ),
            nullable=False,
        ),
        sa.Column("payment_label", sa.String(length=100), nullable=True),
        sa.Column("stripe_customer_id", sa.String(length=255), nullable=True),
        sa.Column("stripe_session_id", sa.String(length=255), nullable=True),
        sa.Column("stripe_payment_intent_id", sa.String(length=255), nullable=True),
        sa.Column(
            "status",
            sa.Enum("pending", "processing", "completed", "failed", "refunded", name="status", create_constraint=True),
            server_default="pending",
            nullable=False,
        ),
        sa.Column("failure_code", sa.String(length=100), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("parked_reason", sa.String(length=255), nullable=True),
        sa.Column("invoice_number", sa.String(length=50), nullable=True),
        sa.Column("invoice_url", sa.Text(), nullable=True),
        sa.Column("receipt_url", sa.Text(), nullable=True),
        sa.Column("initiated_by", sa.String(length=100), nullable=True),
        sa.Column("initiated_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("form_key", sa.String(length=64), nullable=True),
        sa.Column("is_auto_topup", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("completed_at", types.UTCDateTime(), nullable=True),
        sa.Column("failed_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_balance_topups_amount")),
        sa.CheckConstraint("gross_amount = amount + tax_amount", name=op.f("ck_balance_topups_gross")),
        sa.CheckConstraint(
            "refunded_amount >= 0 AND refunded_amount <= gross_amount", name=op.f("ck_balance_topups_refunded")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "initiated_by_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_balance_topups_company_id_initiated_by_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "prepaid_balance_id"],
            ["prepaid_balances.company_id", "prepaid_balances.id"],
            name=op.f("fk_balance_topups_company_id_prepaid_balance_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_balance_topups_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_topups")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_balance_topups_company_id_id")),
        sa.UniqueConstraint("form_key", name=op.f("uq_balance_topups_form_key")),
        sa.UniqueConstraint("stripe_payment_intent_id", name=op.f("uq_balance_topups_stripe_payment_intent_id")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_balance_topups_transaction_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("balance_topups", schema=None) as batch_op:
        batch_op.create_index("idx_stripe_session", ["stripe_session_id"], unique=True)
        batch_op.create_index("idx_topup_status", ["company_id", "status", "created_at"], unique=False)
        batch_op.create_index("idx_topup_time", ["company_id", "created_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_balance_topups_company_id_initiated_by_id"), ["company_id", "initiated_by_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_balance_topups_company_id_prepaid_balance_id"),
            ["company_id", "prepaid_balance_id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_balance_topups_status_created_at"), ["status", "created_at"], unique=False)

    op.create_table(
        "calendar_feeds",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("portal_user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scope", sa.Enum("user", "staff", "branch", name="scope", create_constraint=True), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("last_used_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_calendar_feeds_company_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "portal_user_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_calendar_feeds_company_id_portal_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "staff_id"],
            ["staff.company_id", "staff.id"],
            name=op.f("fk_calendar_feeds_company_id_staff_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_calendar_feeds_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_feeds")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_calendar_feeds_token_hash")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("calendar_feeds", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_calendar_feeds_company_id_branch_id"), ["company_id", "branch_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calendar_feeds_company_id_portal_user_id"), ["company_id", "portal_user_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calendar_feeds_company_id_staff_id"), ["company_id", "staff_id"], unique=False
        )

    op.create_table(
        "call_activities",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("activity_type", sa.String(length=50), nullable=False),
        sa.Column("activity_data", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("timestamp", types.UTCDateTime(), nullable=False),
        sa.Column("duration_seconds", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["company_id", "call_id"],
            ["calls.company_id", "calls.id"],
            name=op.f("fk_call_activities_company_id_call_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_call_activities_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_activities")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("call_activities", schema=None) as batch_op:
        batch_op.create_index("idx_activity_type", ["company_id", "activity_type", "timestamp"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_call_activities_company_id_call_id"), ["company_id", "call_id"], unique=False
        )

    op.create_table(
        "call_charges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prepaid_balance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("billing_rate_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("duration_seconds", sa.Integer(), nullable=False),
        sa.Column("billable_seconds", sa.Integer(), nullable=False),
        sa.Column("increment_seconds", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("rate_per_minute", types.Rate(precision=10, scale=4), nullable=False),
        sa.Column("setup_fee", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("minimum_charge", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("amount_charged", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), server_default="EUR", nullable=False),
        sa.Column(
            "status",
            sa.Enum("charged", "waived", name="status", create_constraint=True),
            server_default="charged",
            nullable=False,
        ),
        sa.Column("refunded_amount", types.Money(precision=10, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("refund_reason", sa.Text(), nullable=True),
        sa.Column("charged_at", types.UTCDateTime(), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "amount_charged >= 0 AND refunded_amount >= 0 AND refunded_amount <= amount_charged",
            name=op.f("ck_call_charges_amount"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "billing_rate_id"],
            ["billing_rates.company_id", "billing_rates.id"],
            name=op.f("fk_call_charges_company_id_billing_rate_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "call_id"],
            ["calls.company_id", "calls.id"],
            name=op.f("fk_call_charges_company_id_call_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "prepaid_balance_id"],
            ["prepaid_balances.company_id", "prepaid_balances.id"],
            name=op.f("fk_call_charges_company_id_prepaid_balance_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_call_charges_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_charges")),
        sa.UniqueConstraint("call_id", name=op.f("uq_call_charges_call_id")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_call_charges_company_id_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("call_charges", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_call_charges_company_id_billing_rate_id"), ["company_id", "billing_rate_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_call_charges_company_id_call_id"), ["company_id", "call_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_call_charges_company_id_charged_at"), ["company_id", "charged_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_call_charges_company_id_prepaid_balance_id"),
            ["company_id", "prepaid_balance_id"],
            unique=False,
        )

    op.create_table(
        "call_contents",
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("tenant_token", sa.String(length=30), nullable=False),
        sa.Column(
            "transcript",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=True,
        ),
        sa.Column("turns", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("tool_calls", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "call_id"],
            ["calls.company_id", "calls.id"],
            name=op.f("fk_call_contents_company_id_call_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_call_contents_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_call_contents")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("call_contents", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_call_contents_company_id_call_id"), ["company_id", "call_id"], unique=False
        )

    op.create_table(
        "call_followups",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "reason",
            sa.Enum(
                "callback", "complaint", "transfer_failed", "hung_up", "promise", name="reason", create_constraint=True
            ),
            nullable=False,
        ),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column(
            "status",
            sa.Enum("open", "in_progress", "resolved", "dismissed", name="status", create_constraint=True),
            server_default="open",
            nullable=False,
        ),
        sa.Column(
            "priority",
            sa.Enum("normal", "high", name="priority", create_constraint=True),
            server_default="normal",
            nullable=False,
        ),
        sa.Column("assigned_to", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("due_at", types.UTCDateTime(), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("closed_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "assigned_to"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_call_followups_company_id_assigned_to"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "call_id"],
            ["calls.company_id", "calls.id"],
            name=op.f("fk_call_followups_company_id_call_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "closed_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_call_followups_company_id_closed_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "customer_id"],
            ["customers.company_id", "customers.id"],
            name=op.f("fk_call_followups_company_id_customer_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_call_followups_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_followups")),
        sa.UniqueConstraint("call_id", "reason", name=op.f("uq_call_followups_call_id_reason")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("call_followups", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_call_followups_company_id_assigned_to"), ["company_id", "assigned_to"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_call_followups_company_id_call_id"), ["company_id", "call_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_call_followups_company_id_closed_by"), ["company_id", "closed_by"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_call_followups_company_id_customer_id"), ["company_id", "customer_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_call_followups_company_id_status_due_at"), ["company_id", "status", "due_at"], unique=False
        )

    op.create_table(
        "call_notes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "author_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_call_notes_company_id_author_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "call_id"],
            ["calls.company_id", "calls.id"],
            name=op.f("fk_call_notes_company_id_call_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_call_notes_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_notes")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("call_notes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_call_notes_company_id_author_id"), ["company_id", "author_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_call_notes_company_id_call_id"), ["company_id", "call_id"], unique=False)

    op.create_table(
        "company_goals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column(
            "metric",
            sa.Enum(
                "calls_answered",
                "appointments_booked",
                "appointments_completed",
                "conversion_rate",
                "new_customers",
                "no_show_rate",
                "revenue",
                name="metric",
                create_constraint=True,
            ),
            nullable=False,
        ),
        sa.Column(
            "period",
            sa.Enum("week", "month", "quarter", "year", "custom", name="period", create_constraint=True),
            nullable=False,
        ),
        sa.Column("target_value", types.Exact(precision=12, scale=2), nullable=False),
        sa.Column(
            "direction",
            sa.Enum("at_least", "at_most", name="direction", create_constraint=True),
            server_default="at_least",
            nullable=False,
        ),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_company_goals_order")),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_company_goals_company_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "created_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_company_goals_company_id_created_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_company_goals_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_goals")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("company_goals", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_company_goals_company_id_branch_id"), ["company_id", "branch_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_company_goals_company_id_created_by"), ["company_id", "created_by"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_company_goals_company_id_is_active"), ["company_id", "is_active"], unique=False
        )

    op.create_table(
        "customer_notes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "author_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_customer_notes_company_id_author_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "customer_id"],
            ["customers.company_id", "customers.id"],
            name=op.f("fk_customer_notes_company_id_customer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_customer_notes_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_notes")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("customer_notes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_customer_notes_company_id_author_id"), ["company_id", "author_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_customer_notes_company_id_customer_id"), ["company_id", "customer_id"], unique=False
        )

    op.create_table(
        "customer_relationships",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("related_customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "relationship_type",
            sa.Enum(
                "family",
                "same_person",
                "same_company",
                "phone_match",
                "possible_match",
                name="relationship_type",
                create_constraint=True,
            ),
            nullable=False,
        ),
        sa.Column("confidence_score", types.Exact(precision=5, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("matching_details", sa.JSON(none_as_null=True), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "auto_detected", "user_confirmed", "user_rejected", "merged", name="status", create_constraint=True
            ),
            server_default="auto_detected",
            nullable=False,
        ),
        sa.Column("created_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("confirmed_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("confirmed_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            sa.column("confidence_score", types.Exact(5, 2)).between(0, 100),
            name=op.f("ck_customer_relationships_confidence"),
        ),
        sa.CheckConstraint("customer_id < related_customer_id", name=op.f("ck_customer_relationships_order")),
        sa.ForeignKeyConstraint(
            ["company_id", "confirmed_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_customer_relationships_company_id_confirmed_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "created_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_customer_relationships_company_id_created_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "customer_id"],
            ["customers.company_id", "customers.id"],
            name=op.f("fk_customer_relationships_company_id_customer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "related_customer_id"],
            ["customers.company_id", "customers.id"],
            name=op.f("fk_customer_relationships_company_id_related_customer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_customer_relationships_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_relationships")),
        sa.UniqueConstraint(
            "customer_id", "related_customer_id", name=op.f("uq_customer_relationships_customer_id_related_customer_id")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("customer_relationships", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_customer_relationships_company_id_confirmed_by"),
            ["company_id", "confirmed_by"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_customer_relationships_company_id_created_by"), ["company_id", "created_by"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_customer_relationships_company_id_customer_id"), ["company_id", "customer_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_customer_relationships_company_id_related_customer_id"),
            ["company_id", "related_customer_id"],
            unique=False,
        )

    op.create_table(
        "day_sheet_prints",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("printed_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("snapshot", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_day_sheet_prints_company_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "printed_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_day_sheet_prints_company_id_printed_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_day_sheet_prints_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_sheet_prints")),
        sa.UniqueConstraint("company_id", "code", name=op.f("uq_day_sheet_prints_company_id_code")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("day_sheet_prints", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_day_sheet_prints_company_id_branch_id_date"),
            ["company_id", "branch_id", "date"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_day_sheet_prints_company_id_printed_by"), ["company_id", "printed_by"], unique=False
        )

    op.create_table(
        "invitations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column(
            "role",
            sa.Enum("owner", "manager", "staff", "bookkeeper", name="role", create_constraint=True),
            nullable=False,
        ),
        sa.Column("branch_ids", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("invited_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("expires_at", types.UTCDateTime(), nullable=False),
        sa.Column("accepted_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "invited_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_invitations_company_id_invited_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_invitations_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitations_company_id_email"), ["company_id", "email"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_invitations_company_id_invited_by"), ["company_id", "invited_by"], unique=False
        )

    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("portal_user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column(
            "category",
            sa.Enum("appointment", "call", "billing", "team", "system", name="category", create_constraint=True),
            nullable=False,
        ),
        sa.Column(
            "priority",
            sa.Enum("low", "normal", "high", name="priority", create_constraint=True),
            server_default="normal",
            nullable=False,
        ),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("action_url", sa.String(length=255), nullable=True),
        sa.Column("dedupe_key", sa.String(length=191), nullable=True),
        sa.Column("read_at", types.UTCDateTime(), nullable=True),
        sa.Column("expires_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "action_url LIKE '/%' AND action_url NOT LIKE '//%'", name=op.f("ck_notifications_own_path")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "portal_user_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_notifications_company_id_portal_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_notifications_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("portal_user_id", "dedupe_key", name=op.f("uq_notifications_portal_user_id_dedupe_key")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notifications_company_id_portal_user_id"), ["company_id", "portal_user_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_notifications_portal_user_id_read_at_created_at"),
            ["portal_user_id", "read_at", "created_at"],
            unique=False,
        )

    op.create_table(
        "password_resets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("portal_user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", types.UTCDateTime(), nullable=False),
        sa.Column("used_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "portal_user_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_password_resets_company_id_portal_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_password_resets_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_resets")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_password_resets_token_hash")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("password_resets", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_password_resets_company_id_portal_user_id"), ["company_id", "portal_user_id"], unique=False
        )

    op.create_table(
        "portal_user_branches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("portal_user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "branch_id"],
            ["branches.company_id", "branches.id"],
            name=op.f("fk_portal_user_branches_company_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "portal_user_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_portal_user_branches_company_id_portal_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_portal_user_branches_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_user_branches")),
        sa.UniqueConstraint(
            "portal_user_id", "branch_id", name=op.f("uq_portal_user_branches_portal_user_id_branch_id")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("portal_user_branches", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_portal_user_branches_company_id_branch_id"), ["company_id", "branch_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_portal_user_branches_company_id_portal_user_id"),
            ["company_id", "portal_user_id"],
            unique=False,
        )

    op.create_table(
        "portal_user_permissions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("portal_user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("permission", sa.String(length=50), nullable=False),
        sa.Column("granted", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "portal_user_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_portal_user_permissions_company_id_portal_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_portal_user_permissions_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_user_permissions")),
        sa.UniqueConstraint(
            "portal_user_id", "permission", name=op.f("uq_portal_user_permissions_portal_user_id_permission")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("portal_user_permissions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_portal_user_permissions_company_id_portal_user_id"),
            ["company_id", "portal_user_id"],
            unique=False,
        )

    op.create_table(
        "recordings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "status",
            sa.Enum("pending", "stored", "failed", "deleted", name="status", create_constraint=True),
            server_default="pending",
            nullable=False,
        ),
        sa.Column("source_url", sa.Text(), nullable=True),
        sa.Column("path", sa.String(length=255), nullable=True),
        sa.Column("content_type", sa.String(length=100), nullable=True),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("stored_at", types.UTCDateTime(), nullable=True),
        sa.Column("deleted_at", types.UTCDateTime(), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "call_id"],
            ["calls.company_id", "calls.id"],
            name=op.f("fk_recordings_company_id_call_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_recordings_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
        sa.UniqueConstraint("call_id", name=op.f("uq_recordings_call_id")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_recordings_company_id_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("recordings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recordings_company_id_call_id"), ["company_id", "call_id"], unique=False)

    op.create_table(
        "staff_event_types",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_type_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("calcom_user_id", sa.Integer(), nullable=True),
        sa.Column("is_primary", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("custom_duration_minutes", sa.Integer(), nullable=True),
        sa.Column("custom_price", types.Money(precision=10, scale=2), nullable=True),
        sa.Column("max_bookings_per_day", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "event_type_id"],
            ["calcom_event_types.company_id", "calcom_event_types.id"],
            name=op.f("fk_staff_event_types_company_id_event_type_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "staff_id"],
            ["staff.company_id", "staff.id"],
            name=op.f("fk_staff_event_types_company_id_staff_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_staff_event_types_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_event_types")),
        sa.UniqueConstraint("staff_id", "event_type_id", name=op.f("uq_staff_event_types_staff_id_event_type_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("staff_event_types", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_staff_event_types_company_id_event_type_id"), ["company_id", "event_type_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_staff_event_types_company_id_staff_id"), ["company_id", "staff_id"], unique=False
        )

    op.create_table(
        "user_preferences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("portal_user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("preference_key", sa.String(length=100), nullable=False),
        sa.Column("preference_value", sa.JSON(), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "portal_user_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_user_preferences_company_id_portal_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_user_preferences_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_preferences")),
        sa.UniqueConstraint(
            "portal_user_id", "preference_key", name=op.f("uq_user_preferences_portal_user_id_preference_key")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("user_preferences", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_user_preferences_company_id_portal_user_id"), ["company_id", "portal_user_id"], unique=False
        )

    op.create_table(
        "balance_transactions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prepaid_balance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "topup",
                "charge",
                "refund",
                "chargeback",
                "credit",
                "adjustment",
                "correction",
                name="kind",
                create_constraint=True,
            ),
            nullable=False,
        ),
        sa.Column("amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("balance_after", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("reference", sa.String(length=191), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("topup_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("call_charge_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "call_charge_id"],
            ["call_charges.company_id", "call_charges.id"],
            name=op.f("fk_balance_transactions_company_id_call_charge_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "created_by"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_balance_transactions_company_id_created_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "prepaid_balance_id"],
            ["prepaid_balances.company_id", "prepaid_balances.id"],
            name=op.f("fk_balance_transactions_company_id_prepaid_balance_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "topup_id"],
            ["balance_topups.company_id", "balance_topups.id"],
            name=op.f("fk_balance_transactions_company_id_topup_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_balance_transactions_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_transactions")),
        sa.UniqueConstraint("reference", name=op.f("uq_balance_transactions_reference")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("balance_transactions", schema=None) as batch_op:
        batch_op.create_index("idx_ledger_kind", ["company_id", "kind", "created_at"], unique=False)
        batch_op.create_index("idx_ledger_time", ["company_id", "created_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_balance_transactions_company_id_call_charge_id"),
            ["company_id", "call_charge_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_balance_transactions_company_id_created_by"), ["company_id", "created_by"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_balance_transactions_company_id_prepaid_balance_id"),
            ["company_id", "prepaid_balance_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_balance_transactions_company_id_topup_id"), ["company_id", "topup_id"], unique=False
        )

    op.create_table(
        "bookings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("appointment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("event_type_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "provider", sa.Enum("calcom", "google", "manual", name="provider", create_constraint=True), nullable=False
        ),
        sa.Column("external_uid", sa.String(length=255), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("previous_uid", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=50), nullable=False),
        sa.Column("starts_at", types.UTCDateTime(), nullable=False),
        sa.Column("ends_at", types.UTCDateTime(), nullable=False),
        sa.Column("attendee_name", sa.String(length=255), nullable=True),
        sa.Column("attendee_email", sa.String(length=255), nullable=True),
        sa.Column("attendee_phone", sa.String(length=50), nullable=True),
        sa.Column("attendee_timezone", sa.String(length=50), nullable=True),
        sa.Column("sequence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("event_created_at", types.UTCDateTime(), nullable=True),
        sa.Column(
            "sync_status",
            sa.Enum("synced", "pending_push", "conflict", "error", name="sync_status", create_constraint=True),
            server_default="synced",
            nullable=False,
        ),
        sa.Column("sync_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sync_error", sa.Text(), nullable=True),
        sa.Column("last_synced_at", types.UTCDateTime(), nullable=True),
        sa.Column("raw_payload", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.Column("updated_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_bookings_order")),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_bookings_company_id_appointment_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "event_type_id"],
            ["calcom_event_types.company_id", "calcom_event_types.id"],
            name=op.f("fk_bookings_company_id_event_type_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_bookings_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
        sa.UniqueConstraint(
            "company_id", "provider", "external_uid", name=op.f("uq_bookings_company_id_provider_external_uid")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("bookings", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_bookings_company_id_appointment_id"), ["company_id", "appointment_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_bookings_company_id_event_type_id"), ["company_id", "event_type_id"], unique=False
        )

    op.create_table(
        "invoices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("topup_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "kind", sa.Enum("invoice", "storno", "correction", name="kind", create_constraint=True), nullable=False
        ),
        sa.Column("corrects_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("number", sa.String(length=50), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("supplied_on", sa.Date(), nullable=False),
        sa.Column("seller", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("customer", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("language", sa.String(length=5), server_default="de", nullable=False),
        sa.Column("currency", sa.String(length=3), server_default="EUR", nullable=False),
        sa.Column(
            "tax_category",
            sa.Enum("standard", "small_business", "reverse_charge", name="tax_category", create_constraint=True),
            nullable=False,
        ),
        sa.Column("tax_rate", types.Exact(precision=5, scale=2), nullable=False),
        sa.Column("net_amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("tax_amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("gross_amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "pdf",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mariadb").with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=True,
        ),
        sa.Column("pdf_sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("gross_amount = net_amount + tax_amount", name=op.f("ck_invoices_gross")),
        sa.ForeignKeyConstraint(
            ["company_id", "corrects_id"],
            ["invoices.company_id", "invoices.id"],
            name=op.f("fk_invoices_company_id_corrects_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "topup_id"],
            ["balance_topups.company_id", "balance_topups.id"],
            name=op.f("fk_invoices_company_id_topup_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_invoices_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
        sa.UniqueConstraint("company_id", "id", name=op.f("uq_invoices_company_id_id")),
        sa.UniqueConstraint("kind", "topup_id", name=op.f("uq_invoices_kind_topup_id")),
        sa.UniqueConstraint("number", name=op.f("uq_invoices_number")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("invoices", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_invoices_company_id_corrects_id"), ["company_id", "corrects_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_invoices_company_id_issued_on"), ["company_id", "issued_on"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoices_company_id_topup_id"), ["company_id", "topup_id"], unique=False)

    op.create_table(
        "recording_accesses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recording_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("portal_user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.Enum("listen", "download", name="kind", create_constraint=True), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("ip_address", sa.String(length=45), nullable=True),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "portal_user_id"],
            ["portal_users.company_id", "portal_users.id"],
            name=op.f("fk_recording_accesses_company_id_portal_user_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "recording_id"],
            ["recordings.company_id", "recordings.id"],
            name=op.f("fk_recording_accesses_company_id_recording_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_recording_accesses_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_accesses")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("recording_accesses", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_recording_accesses_company_id_portal_user_id"),
            ["company_id", "portal_user_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_recording_accesses_company_id_recording_id"), ["company_id", "recording_id"], unique=False
        )

    op.create_table(
        "invoice_lines",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("invoice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("quantity", types.Exact(precision=10, scale=2), nullable=False),
        sa.Column("unit_price", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("net_amount", types.Money(precision=10, scale=2), nullable=False),
        sa.Column("tax_rate", types.Exact(precision=5, scale=2), nullable=False),
        sa.Column("created_at", types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "invoice_id"],
            ["invoices.company_id", "invoices.id"],
            name=op.f("fk_invoice_lines_company_id_invoice_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_invoice_lines_company_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_lines")),
        sa.UniqueConstraint("invoice_id", "position", name=op.f("uq_invoice_lines_invoice_id_position")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_ci",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("invoice_lines", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_invoice_lines_company_id_invoice_id"), ["company_id", "invoice_id"], unique=False
        )

    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        # Calls and appointments point at each other; SQLite takes the key inline, the others once both exist.
        op.create_foreign_key(
            "fk_calls_company_id_appointment_id",
            "calls",
            "appointments",
            ["company_id", "appointment_id"],
            ["company_id", "id"],
            ondelete="RESTRICT",
        )
    objects.create_full_text(connection)
    objects.create_views_and_triggers(connection)


def downgrade() -> None:
    connection = op.get_bind()
    objects.drop_views_and_triggers(connection)
    objects.drop_full_text(connection)
    if connection.dialect.name != "sqlite":
        op.drop_constraint("fk_calls_company_id_appointment_id", "calls", type_="foreignkey")
    for table in reversed(TABLES):
        op.drop_table(table)
