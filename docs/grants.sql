-- The rights of the portal's own database user on MySQL and MariaDB.
--
-- The user may read and add rows of history, and change nothing in them: not by a mistake in the code, and not by somebody
-- who has got hold of the password. Triggers refuse the same for everybody (portal/models/objects.py); this is the lock
-- before that lock. Money, companies and people cannot be deleted at all.
--
-- Run it as an administrator, in the portal's database, after every `flask db upgrade` (a new table needs its line here;
-- tests/test_schema.py says so when it is missing):
--
--     mariadb empfang < docs/grants.sql
--
-- The user must exist (docs/running.md) and have no other rights: these lines add rights and take none away. It is not the
-- user that runs `flask db upgrade`: that one owns the tables.

-- History: what has happened stays.
GRANT SELECT, INSERT ON audit_logs TO 'empfang'@'localhost';
GRANT SELECT, INSERT ON balance_transactions TO 'empfang'@'localhost';
GRANT SELECT, INSERT ON invoice_lines TO 'empfang'@'localhost';
GRANT SELECT, INSERT ON recording_accesses TO 'empfang'@'localhost';

-- Documents: as issued. The file made from one is added once.
GRANT SELECT, INSERT, UPDATE (pdf, pdf_sha256) ON invoices TO 'empfang'@'localhost';

-- Kept: changed, never deleted.
GRANT SELECT, INSERT, UPDATE ON companies TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE ON portal_users TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE ON billing_rates TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE ON prepaid_balances TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE ON balance_reservations TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE ON balance_topups TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE ON call_charges TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE ON invoice_sequences TO 'empfang'@'localhost';

-- Everything else.
GRANT SELECT, INSERT, UPDATE, DELETE ON appointments TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON bookings TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON branch_closures TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON branches TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON calcom_event_types TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON calendar_feeds TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON call_activities TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON call_contents TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON call_followups TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON call_notes TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON calls TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON company_goals TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON customer_notes TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON customer_phones TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON customer_relationships TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON customers TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON daily_call_stats TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON daily_spend TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON day_sheet_prints TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON email_outbox TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON invitations TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox_jobs TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON password_resets TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON phone_numbers TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline_heartbeats TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON portal_user_branches TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON portal_user_permissions TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON recordings TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON services TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON staff TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON staff_absences TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON staff_event_types TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON user_preferences TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_events TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON worker_leases TO 'empfang'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON working_hours TO 'empfang'@'localhost';

-- Read only: the version of the schema, and the views.
GRANT SELECT ON alembic_version TO 'empfang'@'localhost';
GRANT SELECT ON active_appointments TO 'empfang'@'localhost';
GRANT SELECT ON company_statistics TO 'empfang'@'localhost';
