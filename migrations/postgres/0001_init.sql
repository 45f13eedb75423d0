-- create "access_tokens" table
CREATE TABLE "access_tokens" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "name" character varying NOT NULL COLLATE "C",
  "scopes" jsonb NOT NULL,
  "permission" character varying NOT NULL COLLATE "C",
  "digest" bytea NOT NULL,
  "hint" character varying NOT NULL COLLATE "C",
  "expires_at" timestamptz NULL,
  "last_used_at" timestamptz NULL,
  "revoked_at" timestamptz NULL,
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "access_tokens_permission_known" CHECK (permission IN ('READ', 'READ_WRITE'))
);
-- create "audit_events" table
CREATE TABLE "audit_events" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "actor" character varying NOT NULL COLLATE "C",
  "action" character varying NOT NULL COLLATE "C",
  "subject" character varying NOT NULL COLLATE "C",
  "details" jsonb NOT NULL,
  PRIMARY KEY ("organization_id", "id")
);
-- create index "auditevent_organization_id_subject_id" to table: "audit_events"
CREATE INDEX "auditevent_organization_id_subject_id" ON "audit_events" ("organization_id", "subject", "id");
-- create "balances" table
CREATE TABLE "balances" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "amount_units" bigint NOT NULL DEFAULT 0,
  "usage_units" bigint NOT NULL DEFAULT 0,
  "held_units" bigint NOT NULL DEFAULT 0,
  "unpaid_units" bigint NOT NULL DEFAULT 0,
  "billing_mode" character varying NOT NULL COLLATE "C",
  "credit_limit_units" bigint NULL,
  "credit_limit_own" boolean NOT NULL DEFAULT false,
  "auto_reload_enabled" boolean NOT NULL DEFAULT false,
  "auto_reload_threshold_units" bigint NULL,
  "auto_reload_amount_units" bigint NULL,
  "auto_reload_daily_cap_units" bigint NULL,
  "auto_reload_monthly_cap_units" bigint NULL,
  "auto_reload_provider_id" character varying NULL COLLATE "C",
  "auto_reload_payment_method_id" character varying NULL COLLATE "C",
  "auto_reload_suspended_reason" character varying NOT NULL DEFAULT '' COLLATE "C",
  "auto_reload_payment_id" character varying NULL COLLATE "C",
  "auto_reload_failures" bigint NOT NULL DEFAULT 0,
  "auto_reload_due_at" timestamptz NULL,
  "low_balance_level_units" bigint NULL,
  "low_balance_percent" bigint NULL,
  "low_balance_noticed_at" timestamptz NULL,
  "usage_invoice_at" timestamptz NULL,
  "period" character varying NOT NULL COLLATE "C",
  "version" bigint NOT NULL DEFAULT 0,
  "last_seq" bigint NOT NULL DEFAULT 0,
  "last_hash" bytea NOT NULL,
  "last_booked_at" timestamptz NOT NULL,
  "payer_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "balances_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_auto_reload_amount_units_range" CHECK (auto_reload_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_auto_reload_daily_cap_units_range" CHECK (auto_reload_daily_cap_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_auto_reload_monthly_cap_units_range" CHECK (auto_reload_monthly_cap_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_auto_reload_threshold_units_range" CHECK (auto_reload_threshold_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_billing_mode_known" CHECK (billing_mode IN ('PREPAID', 'POSTPAID')),
  CONSTRAINT "balances_credit_limit" CHECK (credit_limit_units IS NULL OR credit_limit_units >= 0),
  CONSTRAINT "balances_credit_limit_units_range" CHECK (credit_limit_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_held" CHECK (held_units >= 0),
  CONSTRAINT "balances_held_units_range" CHECK (held_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_low" CHECK (low_balance_level_units IS NULL OR low_balance_percent IS NULL),
  CONSTRAINT "balances_low_balance_level_units_range" CHECK (low_balance_level_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_percent" CHECK (low_balance_percent IS NULL OR low_balance_percent BETWEEN 1 AND 100),
  CONSTRAINT "balances_sequence" CHECK (last_seq >= 0),
  CONSTRAINT "balances_unpaid" CHECK (unpaid_units >= 0),
  CONSTRAINT "balances_unpaid_units_range" CHECK (unpaid_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "balances_usage_units_range" CHECK (usage_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "balance_organization_id_auto_reload_due_at" to table: "balances"
CREATE INDEX "balance_organization_id_auto_reload_due_at" ON "balances" ("organization_id", "auto_reload_due_at") WHERE (auto_reload_due_at IS NOT NULL);
-- create index "balance_organization_id_payer_id_currency" to table: "balances"
CREATE UNIQUE INDEX "balance_organization_id_payer_id_currency" ON "balances" ("organization_id", "payer_id", "currency");
-- create index "balance_organization_id_usage_invoice_at" to table: "balances"
CREATE INDEX "balance_organization_id_usage_invoice_at" ON "balances" ("organization_id", "usage_invoice_at") WHERE (usage_invoice_at IS NOT NULL);
-- create "credit_notes" table
CREATE TABLE "credit_notes" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "number" character varying NOT NULL COLLATE "C",
  "currency" character varying NOT NULL COLLATE "C",
  "total_units" bigint NOT NULL,
  "tax_units" bigint NOT NULL,
  "subtotal_units" bigint NOT NULL,
  "settlement" character varying NOT NULL COLLATE "C",
  "reason" character varying NOT NULL COLLATE "C",
  "lines" jsonb NOT NULL,
  "taxes" jsonb NULL,
  "gateway_credit_note_id" character varying NULL COLLATE "C",
  "public_token" character varying NOT NULL COLLATE "C",
  "invoice_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "credit_notes_amount" CHECK (total_units > 0 AND tax_units >= 0),
  CONSTRAINT "credit_notes_settlement_known" CHECK (settlement IN ('DUE', 'REFUND', 'BALANCE', 'OUT_OF_BAND')),
  CONSTRAINT "credit_notes_subtotal_units_range" CHECK (subtotal_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "credit_notes_tax_units_range" CHECK (tax_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "credit_notes_total_units_range" CHECK (total_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "creditnote_organization_id_invoice_id_id" to table: "credit_notes"
CREATE INDEX "creditnote_organization_id_invoice_id_id" ON "credit_notes" ("organization_id", "invoice_id", "id");
-- create index "creditnote_organization_id_number" to table: "credit_notes"
CREATE UNIQUE INDEX "creditnote_organization_id_number" ON "credit_notes" ("organization_id", "number");
-- create index "creditnote_organization_id_public_token" to table: "credit_notes"
CREATE UNIQUE INDEX "creditnote_organization_id_public_token" ON "credit_notes" ("organization_id", "public_token");
-- create "currencies" table
CREATE TABLE "currencies" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "code" character varying NOT NULL COLLATE "C",
  "name" character varying NOT NULL COLLATE "C",
  "display_name" character varying NOT NULL COLLATE "C",
  "description" character varying NULL COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'ACTIVE' COLLATE "C",
  "virtual" boolean NOT NULL DEFAULT false,
  "minimum_top_up_units" bigint NULL,
  "credit_limit_units" bigint NULL,
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "currencies_credit_limit_units_range" CHECK (credit_limit_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "currencies_limits" CHECK ((minimum_top_up_units IS NULL OR minimum_top_up_units >= 0) AND (credit_limit_units IS NULL OR credit_limit_units >= 0)),
  CONSTRAINT "currencies_minimum_top_up_units_range" CHECK (minimum_top_up_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "currencies_status_known" CHECK (status IN ('ACTIVE', 'INACTIVE'))
);
-- create index "currency_organization_id_code" to table: "currencies"
CREATE UNIQUE INDEX "currency_organization_id_code" ON "currencies" ("organization_id", "code");
-- create "disputes" table
CREATE TABLE "disputes" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "amount_units" bigint NOT NULL,
  "status" character varying NOT NULL COLLATE "C",
  "reason" character varying NULL COLLATE "C",
  "evidence_due_at" timestamptz NULL,
  "gateway_dispute_id" character varying NOT NULL COLLATE "C",
  "next_check_at" timestamptz NULL,
  "checks" bigint NOT NULL DEFAULT 0,
  "payment_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "disputes_amount" CHECK (amount_units > 0),
  CONSTRAINT "disputes_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "disputes_status_known" CHECK (status IN ('WARNING', 'NEEDS_RESPONSE', 'UNDER_REVIEW', 'WON', 'LOST'))
);
-- create index "dispute_organization_id_next_check_at" to table: "disputes"
CREATE INDEX "dispute_organization_id_next_check_at" ON "disputes" ("organization_id", "next_check_at") WHERE (next_check_at IS NOT NULL);
-- create index "dispute_organization_id_payment_id_gateway_dispute_id" to table: "disputes"
CREATE UNIQUE INDEX "dispute_organization_id_payment_id_gateway_dispute_id" ON "disputes" ("organization_id", "payment_id", "gateway_dispute_id");
-- create "emails" table
CREATE TABLE "emails" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "kind" character varying NOT NULL COLLATE "C",
  "facts" jsonb NOT NULL,
  "status" character varying NOT NULL DEFAULT 'QUEUED' COLLATE "C",
  "attempts" bigint NOT NULL DEFAULT 0,
  "next_attempt_at" timestamptz NULL,
  "sent_at" timestamptz NULL,
  "failure" character varying NULL COLLATE "C",
  "payer_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "emails_kind_known" CHECK (kind IN ('CHARGE_FAILED', 'CHARGE_FAILED_FINAL', 'UPCOMING_CHARGE', 'PAYMENT_ACTION_REQUIRED', 'INVOICE_PAID', 'INVOICE_SENT', 'QUOTE_SENT', 'UPCOMING_RENEWAL', 'TRIAL_ENDED', 'CARD_EXPIRING', 'BALANCE_LOW', 'AUTO_RELOAD_FAILED', 'AUTO_RELOAD_ACTION_REQUIRED', 'AUTO_RELOAD_SUSPENDED')),
  CONSTRAINT "emails_status_known" CHECK (status IN ('QUEUED', 'SENT', 'FAILED', 'CANCELED'))
);
-- create index "email_organization_id_next_attempt_at" to table: "emails"
CREATE INDEX "email_organization_id_next_attempt_at" ON "emails" ("organization_id", "next_attempt_at") WHERE (next_attempt_at IS NOT NULL);
-- create index "email_organization_id_payer_id_id" to table: "emails"
CREATE INDEX "email_organization_id_payer_id_id" ON "emails" ("organization_id", "payer_id", "id");
-- create index "email_organization_id_status_id" to table: "emails"
CREATE INDEX "email_organization_id_status_id" ON "emails" ("organization_id", "status", "id");
-- create "email_templates" table
CREATE TABLE "email_templates" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "kind" character varying NOT NULL COLLATE "C",
  "locale" character varying NOT NULL COLLATE "C",
  "subject" character varying NOT NULL COLLATE "C",
  "body" text NOT NULL COLLATE "C",
  "html" text NOT NULL DEFAULT '' COLLATE "C",
  PRIMARY KEY ("organization_id", "id")
);
-- create index "emailtemplate_organization_id_kind_locale" to table: "email_templates"
CREATE UNIQUE INDEX "emailtemplate_organization_id_kind_locale" ON "email_templates" ("organization_id", "kind", "locale");
-- create "gateway_calls" table
CREATE TABLE "gateway_calls" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "provider_id" character varying NOT NULL COLLATE "C",
  "operation" character varying NOT NULL COLLATE "C",
  "subject" character varying NOT NULL COLLATE "C",
  "gateway_key" character varying NOT NULL COLLATE "C",
  "request" jsonb NOT NULL,
  "state" character varying NOT NULL DEFAULT 'OPEN' COLLATE "C",
  "outcome" character varying NOT NULL DEFAULT '' COLLATE "C",
  "failure_code" character varying NOT NULL DEFAULT '' COLLATE "C",
  "failure_message" character varying NOT NULL DEFAULT '' COLLATE "C",
  "gateway_request_id" character varying NOT NULL DEFAULT '' COLLATE "C",
  "attempts" bigint NOT NULL DEFAULT 0,
  "next_check_at" timestamptz NULL,
  "lease_until" timestamptz NULL,
  "fence" bigint NOT NULL DEFAULT 0,
  "finished_at" timestamptz NULL,
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "gateway_calls_operation_known" CHECK (operation IN ('QUOTE_FINALIZE', 'QUOTE_ACCEPT', 'QUOTE_CANCEL', 'INVOICE_FINALIZE', 'INVOICE_PAY', 'INVOICE_SETTLE', 'INVOICE_VOID', 'INVOICE_DISCARD', 'CREDIT_NOTE', 'HOSTED_PAYMENT', 'CHARGE', 'PAYMENT_CANCEL', 'CARD_ATTACH', 'CARD_SETUP', 'CARD_DEFAULT', 'CARD_DETACH', 'REFUND', 'ENDPOINT_REGISTER')),
  CONSTRAINT "gateway_calls_state_known" CHECK (state IN ('OPEN', 'DONE', 'REVIEW'))
);
-- create index "gatewaycall_organization_id_gateway_key" to table: "gateway_calls"
CREATE UNIQUE INDEX "gatewaycall_organization_id_gateway_key" ON "gateway_calls" ("organization_id", "gateway_key");
-- create index "gatewaycall_organization_id_next_check_at" to table: "gateway_calls"
CREATE INDEX "gatewaycall_organization_id_next_check_at" ON "gateway_calls" ("organization_id", "next_check_at") WHERE (next_check_at IS NOT NULL);
-- create index "gatewaycall_organization_id_provider_id" to table: "gateway_calls"
CREATE INDEX "gatewaycall_organization_id_provider_id" ON "gateway_calls" ("organization_id", "provider_id");
-- create index "gatewaycall_organization_id_subject_id" to table: "gateway_calls"
CREATE INDEX "gatewaycall_organization_id_subject_id" ON "gateway_calls" ("organization_id", "subject", "id");
-- create "gateway_customers" table
CREATE TABLE "gateway_customers" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "payer_id" character varying NOT NULL COLLATE "C",
  "provider_id" character varying NOT NULL COLLATE "C",
  "gateway_customer_id" character varying NOT NULL COLLATE "C",
  "deleted_at" timestamptz NULL,
  PRIMARY KEY ("organization_id", "id")
);
-- create index "gatewaycustomer_organization_id_provider_id_gateway_customer_id" to table: "gateway_customers"
CREATE UNIQUE INDEX "gatewaycustomer_organization_id_provider_id_gateway_customer_id" ON "gateway_customers" ("organization_id", "provider_id", "gateway_customer_id");
-- create index "gatewaycustomer_organization_id_provider_id_payer_id" to table: "gateway_customers"
CREATE UNIQUE INDEX "gatewaycustomer_organization_id_provider_id_payer_id" ON "gateway_customers" ("organization_id", "provider_id", "payer_id") WHERE (deleted_at IS NULL);
-- create "gateway_events" table
CREATE TABLE "gateway_events" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "provider_id" character varying NOT NULL COLLATE "C",
  "gateway_event_id" character varying NOT NULL COLLATE "C",
  "type" character varying NOT NULL COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'RECEIVED' COLLATE "C",
  "object_kind" character varying NOT NULL COLLATE "C",
  "object_id" character varying NOT NULL COLLATE "C",
  "call_id" character varying NOT NULL DEFAULT '' COLLATE "C",
  "subject" character varying NOT NULL DEFAULT '' COLLATE "C",
  "saved_card" jsonb NULL,
  "told" jsonb NULL,
  "object_payment" character varying NOT NULL DEFAULT '' COLLATE "C",
  "error" character varying NULL COLLATE "C",
  "attempts" bigint NOT NULL DEFAULT 0,
  "next_attempt_at" timestamptz NULL,
  "received_at" timestamptz NOT NULL,
  "applied_at" timestamptz NULL,
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "gateway_events_status_known" CHECK (status IN ('RECEIVED', 'APPLIED', 'IGNORED', 'WAITING', 'MISMATCHED', 'FAILED'))
);
-- create index "gatewayevent_organization_id_next_attempt_at" to table: "gateway_events"
CREATE INDEX "gatewayevent_organization_id_next_attempt_at" ON "gateway_events" ("organization_id", "next_attempt_at") WHERE (next_attempt_at IS NOT NULL);
-- create index "gatewayevent_organization_id_provider_id_gateway_event_id" to table: "gateway_events"
CREATE UNIQUE INDEX "gatewayevent_organization_id_provider_id_gateway_event_id" ON "gateway_events" ("organization_id", "provider_id", "gateway_event_id");
-- create index "gatewayevent_organization_id_received_at" to table: "gateway_events"
CREATE INDEX "gatewayevent_organization_id_received_at" ON "gateway_events" ("organization_id", "received_at") WHERE ((status)::text = 'MISMATCHED'::text);
-- create "gateway_objects" table
CREATE TABLE "gateway_objects" (
  "id" character varying NOT NULL COLLATE "C",
  "organization" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id")
);
-- create "global_providers" table
CREATE TABLE "global_providers" (
  "id" character varying NOT NULL COLLATE "C",
  "slug" character varying NOT NULL COLLATE "C",
  "name" character varying NOT NULL COLLATE "C",
  "description" character varying NULL COLLATE "C",
  "kind" character varying NOT NULL COLLATE "C",
  "environment" character varying NOT NULL COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'ACTIVE' COLLATE "C",
  "publishable_key" character varying NULL COLLATE "C",
  "merchant_code" character varying NULL COLLATE "C",
  "auth_type" character varying NOT NULL DEFAULT '' COLLATE "C",
  "secret_hint" character varying NULL COLLATE "C",
  "secret_sealed" bytea NULL,
  "webhook_secret_sealed" bytea NULL,
  "webhook_secret_previous_sealed" bytea NULL,
  "webhook_secret_previous_until" timestamptz NULL,
  "mac_secret_sealed" bytea NULL,
  "legacy_mac" boolean NOT NULL DEFAULT false,
  "endpoint" character varying NOT NULL DEFAULT '' COLLATE "C",
  "credential_version" bigint NOT NULL DEFAULT 1,
  "gateway_account_id" character varying NOT NULL DEFAULT '' COLLATE "C",
  "account_unproven_at" timestamptz NULL,
  "webhook_token" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "global_providers_environment_known" CHECK (environment IN ('SANDBOX', 'TEST', 'LIVE')),
  CONSTRAINT "global_providers_kind_known" CHECK (kind IN ('STRIPE', 'WORLDPAY')),
  CONSTRAINT "global_providers_status_known" CHECK (status IN ('ACTIVE', 'ARCHIVED'))
);
-- create index "global_providers_slug_key" to table: "global_providers"
CREATE UNIQUE INDEX "global_providers_slug_key" ON "global_providers" ("slug");
-- create index "global_providers_webhook_token_key" to table: "global_providers"
CREATE UNIQUE INDEX "global_providers_webhook_token_key" ON "global_providers" ("webhook_token");
-- create "holds" table
CREATE TABLE "holds" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "balance_id" character varying NOT NULL COLLATE "C",
  "currency" character varying NOT NULL COLLATE "C",
  "amount_units" bigint NOT NULL,
  "captured_units" bigint NOT NULL DEFAULT 0,
  "status" character varying NOT NULL DEFAULT 'OPEN' COLLATE "C",
  "expires_at" timestamptz NOT NULL,
  "closed_at" timestamptz NULL,
  "description" character varying NULL COLLATE "C",
  "idempotency_key" character varying NULL COLLATE "C",
  "fingerprint" bytea NULL,
  "payer_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "holds_amount" CHECK (amount_units > 0),
  CONSTRAINT "holds_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "holds_captured" CHECK ((status = 'CAPTURED' AND captured_units > 0) OR (status <> 'CAPTURED' AND captured_units = 0)),
  CONSTRAINT "holds_captured_units_range" CHECK (captured_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "holds_closed" CHECK ((status = 'OPEN') = (closed_at IS NULL)),
  CONSTRAINT "holds_status_known" CHECK (status IN ('OPEN', 'CAPTURED', 'RELEASED', 'EXPIRED'))
);
-- create index "hold_organization_id_expires_at" to table: "holds"
CREATE INDEX "hold_organization_id_expires_at" ON "holds" ("organization_id", "expires_at") WHERE ((status)::text = 'OPEN'::text);
-- create index "hold_organization_id_idempotency_key" to table: "holds"
CREATE UNIQUE INDEX "hold_organization_id_idempotency_key" ON "holds" ("organization_id", "idempotency_key");
-- create index "hold_organization_id_payer_id_id" to table: "holds"
CREATE INDEX "hold_organization_id_payer_id_id" ON "holds" ("organization_id", "payer_id", "id");
-- create index "hold_organization_id_payer_id_status_id" to table: "holds"
CREATE INDEX "hold_organization_id_payer_id_status_id" ON "holds" ("organization_id", "payer_id", "status", "id");
-- create "idempotency_records" table
CREATE TABLE "idempotency_records" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "scope" character varying NOT NULL COLLATE "C",
  "key" character varying NOT NULL COLLATE "C",
  "fingerprint" bytea NOT NULL,
  "subject" character varying NOT NULL COLLATE "C",
  "second_subject" character varying NOT NULL DEFAULT '' COLLATE "C",
  "call_id" character varying NOT NULL DEFAULT '' COLLATE "C",
  PRIMARY KEY ("organization_id", "id")
);
-- create index "idempotencyrecord_organization_id_call_id" to table: "idempotency_records"
CREATE INDEX "idempotencyrecord_organization_id_call_id" ON "idempotency_records" ("organization_id", "call_id");
-- create index "idempotencyrecord_organization_id_created_at" to table: "idempotency_records"
CREATE INDEX "idempotencyrecord_organization_id_created_at" ON "idempotency_records" ("organization_id", "created_at");
-- create index "idempotencyrecord_organization_id_scope_key" to table: "idempotency_records"
CREATE UNIQUE INDEX "idempotencyrecord_organization_id_scope_key" ON "idempotency_records" ("organization_id", "scope", "key");
-- create "invoices" table
CREATE TABLE "invoices" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "number" character varying NULL COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'DRAFT' COLLATE "C",
  "collection" character varying NOT NULL DEFAULT 'AUTOMATIC' COLLATE "C",
  "currency" character varying NOT NULL COLLATE "C",
  "subtotal_units" bigint NOT NULL DEFAULT 0,
  "tax_units" bigint NOT NULL DEFAULT 0,
  "total_units" bigint NOT NULL DEFAULT 0,
  "amount_due_units" bigint NOT NULL DEFAULT 0,
  "amount_paid_units" bigint NOT NULL DEFAULT 0,
  "credited_units" bigint NOT NULL DEFAULT 0,
  "waived_units" bigint NOT NULL DEFAULT 0,
  "description" character varying NULL COLLATE "C",
  "recipient" jsonb NULL,
  "seller" jsonb NULL,
  "taxes" jsonb NULL,
  "reverse_charge" boolean NOT NULL DEFAULT false,
  "debt_units" bigint NULL,
  "usage_month" character varying NULL COLLATE "C",
  "sent_at" timestamptz NULL,
  "due_at" timestamptz NULL,
  "finalizes_at" timestamptz NULL,
  "finalized_at" timestamptz NULL,
  "paid_at" timestamptz NULL,
  "voided_at" timestamptz NULL,
  "hosted_url" character varying NULL COLLATE "C",
  "pdf_url" character varying NULL COLLATE "C",
  "receipt_url" character varying NULL COLLATE "C",
  "attempts" bigint NOT NULL DEFAULT 0,
  "next_attempt_at" timestamptz NULL,
  "dunning" character varying NOT NULL DEFAULT 'NONE' COLLATE "C",
  "period_start" timestamptz NULL,
  "period_end" timestamptz NULL,
  "gateway_invoice_id" character varying NULL COLLATE "C",
  "next_check_at" timestamptz NULL,
  "checks" bigint NOT NULL DEFAULT 0,
  "public_token" character varying NOT NULL COLLATE "C",
  "pending_call_id" character varying NULL COLLATE "C",
  "provider_id" character varying NULL COLLATE "C",
  "quote_id" character varying NULL COLLATE "C",
  "payer_id" character varying NOT NULL COLLATE "C",
  "subscription_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "invoices_amount_due_units_range" CHECK (amount_due_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "invoices_amount_paid_units_range" CHECK (amount_paid_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "invoices_amounts" CHECK (amount_due_units >= 0 AND amount_paid_units >= 0 AND (tax_units >= 0 OR total_units <= 0)),
  CONSTRAINT "invoices_collection_known" CHECK (collection IN ('AUTOMATIC', 'SEND', 'BALANCE')),
  CONSTRAINT "invoices_credited" CHECK (waived_units >= 0 AND credited_units >= waived_units AND (credited_units = 0 OR credited_units <= total_units)),
  CONSTRAINT "invoices_credited_units_range" CHECK (credited_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "invoices_debt" CHECK (debt_units IS NULL OR debt_units > 0),
  CONSTRAINT "invoices_debt_units_range" CHECK (debt_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "invoices_dunning_known" CHECK (dunning IN ('NONE', 'RUNNING', 'EXHAUSTED')),
  CONSTRAINT "invoices_number" CHECK (status IN ('DRAFT', 'VOID') OR (number IS NOT NULL AND finalized_at IS NOT NULL)),
  CONSTRAINT "invoices_paid" CHECK (status <> 'PAID' OR (amount_due_units = 0 AND paid_at IS NOT NULL)),
  CONSTRAINT "invoices_status_known" CHECK (status IN ('DRAFT', 'OPEN', 'PAID', 'UNCOLLECTIBLE', 'VOID')),
  CONSTRAINT "invoices_subtotal_units_range" CHECK (subtotal_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "invoices_tax_units_range" CHECK (tax_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "invoices_total_units_range" CHECK (total_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "invoices_usage" CHECK (usage_month IS NULL OR debt_units IS NOT NULL),
  CONSTRAINT "invoices_waived_units_range" CHECK (waived_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "invoice_organization_id_finalizes_at" to table: "invoices"
CREATE INDEX "invoice_organization_id_finalizes_at" ON "invoices" ("organization_id", "finalizes_at") WHERE (finalizes_at IS NOT NULL);
-- create index "invoice_organization_id_next_attempt_at" to table: "invoices"
CREATE INDEX "invoice_organization_id_next_attempt_at" ON "invoices" ("organization_id", "next_attempt_at") WHERE (next_attempt_at IS NOT NULL);
-- create index "invoice_organization_id_next_check_at" to table: "invoices"
CREATE INDEX "invoice_organization_id_next_check_at" ON "invoices" ("organization_id", "next_check_at") WHERE (next_check_at IS NOT NULL);
-- create index "invoice_organization_id_number" to table: "invoices"
CREATE UNIQUE INDEX "invoice_organization_id_number" ON "invoices" ("organization_id", "number");
-- create index "invoice_organization_id_payer_id_currency_usage_month" to table: "invoices"
CREATE UNIQUE INDEX "invoice_organization_id_payer_id_currency_usage_month" ON "invoices" ("organization_id", "payer_id", "currency", "usage_month");
-- create index "invoice_organization_id_payer_id_id" to table: "invoices"
CREATE INDEX "invoice_organization_id_payer_id_id" ON "invoices" ("organization_id", "payer_id", "id");
-- create index "invoice_organization_id_provider_id_gateway_invoice_id" to table: "invoices"
CREATE UNIQUE INDEX "invoice_organization_id_provider_id_gateway_invoice_id" ON "invoices" ("organization_id", "provider_id", "gateway_invoice_id");
-- create index "invoice_organization_id_public_token" to table: "invoices"
CREATE UNIQUE INDEX "invoice_organization_id_public_token" ON "invoices" ("organization_id", "public_token");
-- create index "invoice_organization_id_quote_id" to table: "invoices"
CREATE UNIQUE INDEX "invoice_organization_id_quote_id" ON "invoices" ("organization_id", "quote_id");
-- create index "invoice_organization_id_status_id" to table: "invoices"
CREATE INDEX "invoice_organization_id_status_id" ON "invoices" ("organization_id", "status", "id");
-- create index "invoice_organization_id_subscription_id_id" to table: "invoices"
CREATE INDEX "invoice_organization_id_subscription_id_id" ON "invoices" ("organization_id", "subscription_id", "id") WHERE (subscription_id IS NOT NULL);
-- create index "invoice_organization_id_subscription_id_period_start" to table: "invoices"
CREATE UNIQUE INDEX "invoice_organization_id_subscription_id_period_start" ON "invoices" ("organization_id", "subscription_id", "period_start");
-- create index "invoice_organization_id_updated_at" to table: "invoices"
CREATE INDEX "invoice_organization_id_updated_at" ON "invoices" ("organization_id", "updated_at");
-- create "invoice_lines" table
CREATE TABLE "invoice_lines" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "position" bigint NOT NULL,
  "description" character varying NOT NULL COLLATE "C",
  "quantity" bigint NOT NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "unit_amount_units" bigint NOT NULL,
  "amount_units" bigint NOT NULL,
  "tax_rate_ppm" bigint NULL,
  "invoice_id" character varying NOT NULL COLLATE "C",
  "price_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "invoice_lines_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "invoice_lines_quantity" CHECK (quantity >= 1),
  CONSTRAINT "invoice_lines_tax_rate" CHECK (tax_rate_ppm IS NULL OR tax_rate_ppm BETWEEN 0 AND 1000000),
  CONSTRAINT "invoice_lines_unit_amount_units_range" CHECK (unit_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "invoiceline_organization_id_invoice_id_position" to table: "invoice_lines"
CREATE UNIQUE INDEX "invoiceline_organization_id_invoice_id_position" ON "invoice_lines" ("organization_id", "invoice_id", "position");
-- create "ledger_entries" table
CREATE TABLE "ledger_entries" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "transaction_id" character varying NOT NULL COLLATE "C",
  "seq" bigint NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "debit_account" character varying NOT NULL COLLATE "C",
  "credit_account" character varying NOT NULL COLLATE "C",
  "kind" character varying NOT NULL COLLATE "C",
  "reversed_kind" character varying NULL COLLATE "C",
  "amount_units" bigint NOT NULL,
  "amount_after_units" bigint NULL,
  "usage_after_units" bigint NULL,
  "description" character varying NULL COLLATE "C",
  "metadata" jsonb NULL,
  "credit_note_id" character varying NULL COLLATE "C",
  "provider_id" character varying NULL COLLATE "C",
  "reverses_id" character varying NULL COLLATE "C",
  "actor" character varying NOT NULL COLLATE "C",
  "effective_at" timestamptz NOT NULL,
  "booked_at" timestamptz NOT NULL,
  "cause_key" character varying NULL COLLATE "C",
  "operation" character varying NULL COLLATE "C",
  "idempotency_key" character varying NULL COLLATE "C",
  "fingerprint" bytea NULL,
  "hash" bytea NOT NULL,
  "balance_id" character varying NULL COLLATE "C",
  "payment_id" character varying NULL COLLATE "C",
  "invoice_id" character varying NULL COLLATE "C",
  "hold_id" character varying NULL COLLATE "C",
  "refund_id" character varying NULL COLLATE "C",
  "dispute_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "ledger_entries_reverses_id_fk" FOREIGN KEY ("organization_id", "reverses_id") REFERENCES "ledger_entries" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT "ledger_entries_accounts" CHECK (debit_account <> credit_account),
  CONSTRAINT "ledger_entries_amount" CHECK (amount_units > 0),
  CONSTRAINT "ledger_entries_amount_after_units_range" CHECK (amount_after_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "ledger_entries_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "ledger_entries_chain" CHECK ((balance_id IS NULL) = (seq IS NULL)),
  CONSTRAINT "ledger_entries_key" CHECK ((operation IS NULL) = (idempotency_key IS NULL)),
  CONSTRAINT "ledger_entries_kind_known" CHECK (kind IN ('TOP_UP', 'RELOAD', 'USAGE', 'CREDIT', 'ADJUSTMENT', 'REFUND', 'DISPUTE', 'INVOICE', 'INVOICE_PAYMENT', 'CREDIT_NOTE', 'TAX', 'FEE', 'PAYOUT', 'ROUNDING', 'WRITE_OFF', 'REVERSAL')),
  CONSTRAINT "ledger_entries_usage_after_units_range" CHECK (usage_after_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "ledgerentry_organization_id_balance_id_seq" to table: "ledger_entries"
CREATE UNIQUE INDEX "ledgerentry_organization_id_balance_id_seq" ON "ledger_entries" ("organization_id", "balance_id", "seq");
-- create index "ledgerentry_organization_id_cause_key" to table: "ledger_entries"
CREATE UNIQUE INDEX "ledgerentry_organization_id_cause_key" ON "ledger_entries" ("organization_id", "cause_key") WHERE (cause_key IS NOT NULL);
-- create index "ledgerentry_organization_id_hold_id_id" to table: "ledger_entries"
CREATE INDEX "ledgerentry_organization_id_hold_id_id" ON "ledger_entries" ("organization_id", "hold_id", "id") WHERE (hold_id IS NOT NULL);
-- create index "ledgerentry_organization_id_id" to table: "ledger_entries"
CREATE INDEX "ledgerentry_organization_id_id" ON "ledger_entries" ("organization_id", "id") WHERE (balance_id IS NULL);
-- create index "ledgerentry_organization_id_invoice_id_id" to table: "ledger_entries"
CREATE INDEX "ledgerentry_organization_id_invoice_id_id" ON "ledger_entries" ("organization_id", "invoice_id", "id") WHERE (invoice_id IS NOT NULL);
-- create index "ledgerentry_organization_id_operation_idempotency_key" to table: "ledger_entries"
CREATE UNIQUE INDEX "ledgerentry_organization_id_operation_idempotency_key" ON "ledger_entries" ("organization_id", "operation", "idempotency_key");
-- create index "ledgerentry_organization_id_provider_id" to table: "ledger_entries"
CREATE INDEX "ledgerentry_organization_id_provider_id" ON "ledger_entries" ("organization_id", "provider_id") WHERE (provider_id IS NOT NULL);
-- create index "ledgerentry_organization_id_reverses_id" to table: "ledger_entries"
CREATE INDEX "ledgerentry_organization_id_reverses_id" ON "ledger_entries" ("organization_id", "reverses_id") WHERE (reverses_id IS NOT NULL);
-- create index "ledgerentry_other_than_usage" to table: "ledger_entries"
CREATE INDEX "ledgerentry_other_than_usage" ON "ledger_entries" ("organization_id", "balance_id", "seq") WHERE ((kind)::text <> 'USAGE'::text);
-- create "ledger_seals" table
CREATE TABLE "ledger_seals" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "seq" bigint NOT NULL,
  "entry_id" character varying NOT NULL COLLATE "C",
  "hash" bytea NOT NULL,
  PRIMARY KEY ("organization_id", "id")
);
-- create index "ledgerseal_organization_id_entry_id" to table: "ledger_seals"
CREATE UNIQUE INDEX "ledgerseal_organization_id_entry_id" ON "ledger_seals" ("organization_id", "entry_id");
-- create index "ledgerseal_organization_id_seq" to table: "ledger_seals"
CREATE UNIQUE INDEX "ledgerseal_organization_id_seq" ON "ledger_seals" ("organization_id", "seq");
-- create "memberships" table
CREATE TABLE "memberships" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "role" character varying NOT NULL DEFAULT 'MEMBER' COLLATE "C",
  "developer_id" character varying NOT NULL COLLATE "C",
  "company_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "memberships_role_known" CHECK (role IN ('ADMIN', 'MEMBER'))
);
-- create index "membership_organization_id_company_id_developer_id" to table: "memberships"
CREATE UNIQUE INDEX "membership_organization_id_company_id_developer_id" ON "memberships" ("organization_id", "company_id", "developer_id");
-- create index "membership_organization_id_company_id_id" to table: "memberships"
CREATE INDEX "membership_organization_id_company_id_id" ON "memberships" ("organization_id", "company_id", "id");
-- create index "membership_organization_id_developer_id_id" to table: "memberships"
CREATE INDEX "membership_organization_id_developer_id_id" ON "memberships" ("organization_id", "developer_id", "id");
-- create "number_counters" table
CREATE TABLE "number_counters" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "name" character varying NOT NULL COLLATE "C",
  "value" bigint NOT NULL,
  PRIMARY KEY ("organization_id", "id")
);
-- create index "numbercounter_organization_id_name" to table: "number_counters"
CREATE UNIQUE INDEX "numbercounter_organization_id_name" ON "number_counters" ("organization_id", "name");
-- create "organizations" table
CREATE TABLE "organizations" (
  "id" character varying NOT NULL COLLATE "C",
  "slug" character varying NOT NULL COLLATE "C",
  "name" character varying NOT NULL COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'ACTIVE' COLLATE "C",
  "environment" character varying NOT NULL COLLATE "C",
  "default_currency" character varying NOT NULL COLLATE "C",
  "time_zone" character varying NOT NULL DEFAULT 'UTC' COLLATE "C",
  "country" character varying NULL COLLATE "C",
  "addresses" jsonb NOT NULL,
  "billing_type" character varying NOT NULL DEFAULT 'BOTH' COLLATE "C",
  "billing_cycle" character varying NOT NULL DEFAULT 'CALENDAR_MONTH' COLLATE "C",
  "tax_model" character varying NOT NULL DEFAULT 'UNDISCLOSED' COLLATE "C",
  "support_email" character varying NULL COLLATE "C",
  "finance_support_email" character varying NULL COLLATE "C",
  "sender_email" character varying NULL COLLATE "C",
  "thank_you_url" character varying NULL COLLATE "C",
  "charging_enabled" boolean NOT NULL DEFAULT true,
  "dunning_retry_days" bigint NOT NULL DEFAULT 3,
  "dunning_attempts_max" bigint NOT NULL DEFAULT 3,
  "dunning_final" character varying NOT NULL DEFAULT 'LEAVE' COLLATE "C",
  "send_net_days" bigint NOT NULL DEFAULT 14,
  "automatic_net_days" bigint NOT NULL DEFAULT 0,
  "usage_net_days" bigint NOT NULL DEFAULT 2,
  "tax_id" character varying NULL COLLATE "C",
  "number_period" character varying NOT NULL DEFAULT 'MONTHLY' COLLATE "C",
  "allowed_return_origins" jsonb NOT NULL,
  "default_provider_id" character varying NULL COLLATE "C",
  "test_twin_of" character varying NULL COLLATE "C",
  "payers_may_cancel" boolean NOT NULL DEFAULT true,
  "upcoming_charge_days" bigint NOT NULL DEFAULT 7,
  "quotes_mailed" boolean NOT NULL DEFAULT false,
  "clock_ahead" bigint NOT NULL DEFAULT 0,
  "clock_at" timestamptz NULL,
  "clock_until" timestamptz NULL,
  "created_at" timestamptz NOT NULL,
  PRIMARY KEY ("id"),
  CONSTRAINT "organizations_billing_cycle_known" CHECK (billing_cycle IN ('CALENDAR_MONTH', 'PRORATED')),
  CONSTRAINT "organizations_billing_type_known" CHECK (billing_type IN ('PREPAID', 'POSTPAID', 'BOTH')),
  CONSTRAINT "organizations_dunning_final_known" CHECK (dunning_final IN ('LEAVE', 'MARK_UNCOLLECTIBLE', 'CANCEL_SUBSCRIPTION')),
  CONSTRAINT "organizations_environment_known" CHECK (environment IN ('SANDBOX', 'TEST', 'LIVE')),
  CONSTRAINT "organizations_number_period_known" CHECK (number_period IN ('MONTHLY', 'YEARLY')),
  CONSTRAINT "organizations_slug" CHECK (length(slug) BETWEEN 2 AND 32 AND slug NOT IN ('system', 'global')),
  CONSTRAINT "organizations_status_known" CHECK (status IN ('ACTIVE', 'INACTIVE')),
  CONSTRAINT "organizations_tax_model_known" CHECK (tax_model IN ('DISCLOSED', 'UNDISCLOSED', 'HYBRID'))
);
-- create index "organization_clock_ahead" to table: "organizations"
CREATE INDEX "organization_clock_ahead" ON "organizations" ("clock_ahead") WHERE (clock_ahead <> 0);
-- create index "organizations_slug_key" to table: "organizations"
CREATE UNIQUE INDEX "organizations_slug_key" ON "organizations" ("slug");
-- create "outboxes" table
CREATE TABLE "outboxes" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "kind" character varying NOT NULL COLLATE "C",
  "subject" character varying NOT NULL COLLATE "C",
  "payload" jsonb NOT NULL,
  PRIMARY KEY ("organization_id", "id")
);
-- create index "outbox_organization_id_created_at" to table: "outboxes"
CREATE INDEX "outbox_organization_id_created_at" ON "outboxes" ("organization_id", "created_at");
-- create "payers" table
CREATE TABLE "payers" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "kind" character varying NOT NULL COLLATE "C",
  "email" character varying NULL COLLATE "C",
  "slug" character varying NULL COLLATE "C",
  "name" character varying NOT NULL COLLATE "C",
  "billing_email" character varying NULL COLLATE "C",
  "external_id" character varying NULL COLLATE "C",
  "billing_mode" character varying NOT NULL DEFAULT 'PREPAID' COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'ACTIVE' COLLATE "C",
  "tax_rate_ppm" bigint NULL,
  "tax_id" character varying NULL COLLATE "C",
  "reverse_charge" boolean NOT NULL DEFAULT false,
  "locale" character varying NULL COLLATE "C",
  "address" jsonb NULL,
  "metadata" jsonb NOT NULL,
  "charging_enabled" boolean NOT NULL DEFAULT true,
  "charging_payment_id" character varying NULL COLLATE "C",
  "erased_at" timestamptz NULL,
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "payers_billing_mode_known" CHECK (billing_mode IN ('PREPAID', 'POSTPAID')),
  CONSTRAINT "payers_email" CHECK (email IS NULL OR email = lower(email)),
  CONSTRAINT "payers_identity" CHECK ((kind = 'DEVELOPER' AND email IS NOT NULL AND slug IS NULL) OR (kind = 'COMPANY' AND email IS NULL AND slug IS NOT NULL)),
  CONSTRAINT "payers_kind_known" CHECK (kind IN ('DEVELOPER', 'COMPANY')),
  CONSTRAINT "payers_status_known" CHECK (status IN ('ACTIVE', 'SUSPENDED', 'CLOSED')),
  CONSTRAINT "payers_tax_rate" CHECK (tax_rate_ppm IS NULL OR tax_rate_ppm BETWEEN 0 AND 1000000)
);
-- create index "payer_organization_id_email" to table: "payers"
CREATE UNIQUE INDEX "payer_organization_id_email" ON "payers" ("organization_id", "email");
-- create index "payer_organization_id_external_id" to table: "payers"
CREATE UNIQUE INDEX "payer_organization_id_external_id" ON "payers" ("organization_id", "external_id");
-- create index "payer_organization_id_kind_billing_mode_id" to table: "payers"
CREATE INDEX "payer_organization_id_kind_billing_mode_id" ON "payers" ("organization_id", "kind", "billing_mode", "id");
-- create index "payer_organization_id_kind_id" to table: "payers"
CREATE INDEX "payer_organization_id_kind_id" ON "payers" ("organization_id", "kind", "id");
-- create index "payer_organization_id_kind_name_id" to table: "payers"
CREATE INDEX "payer_organization_id_kind_name_id" ON "payers" ("organization_id", "kind", "name", "id");
-- create index "payer_organization_id_kind_status_id" to table: "payers"
CREATE INDEX "payer_organization_id_kind_status_id" ON "payers" ("organization_id", "kind", "status", "id");
-- create index "payer_organization_id_slug" to table: "payers"
CREATE UNIQUE INDEX "payer_organization_id_slug" ON "payers" ("organization_id", "slug");
-- create "payer_sessions" table
CREATE TABLE "payer_sessions" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "payer_id" character varying NOT NULL COLLATE "C",
  "digest" bytea NOT NULL,
  "expires_at" timestamptz NOT NULL,
  "revoked_at" timestamptz NULL,
  "created_by" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id")
);
-- create index "payersession_organization_id_payer_id_id" to table: "payer_sessions"
CREATE INDEX "payersession_organization_id_payer_id_id" ON "payer_sessions" ("organization_id", "payer_id", "id");
-- create "payments" table
CREATE TABLE "payments" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "status" character varying NOT NULL DEFAULT 'PROCESSING' COLLATE "C",
  "purpose" character varying NOT NULL COLLATE "C",
  "currency" character varying NOT NULL COLLATE "C",
  "amount_units" bigint NOT NULL,
  "refunded_units" bigint NOT NULL DEFAULT 0,
  "order_code" character varying NOT NULL COLLATE "C",
  "reference_id" character varying NULL COLLATE "C",
  "gateway_payment_id" character varying NULL COLLATE "C",
  "recurring" boolean NOT NULL DEFAULT false,
  "save_card" boolean NOT NULL DEFAULT false,
  "action_url" character varying NOT NULL DEFAULT '' COLLATE "C",
  "action_expires_at" timestamptz NULL,
  "action_secret_sealed" bytea NULL,
  "failure_code" character varying NOT NULL DEFAULT '' COLLATE "C",
  "failure_decline_code" character varying NOT NULL DEFAULT '' COLLATE "C",
  "failure_message" character varying NOT NULL DEFAULT '' COLLATE "C",
  "receipt_url" character varying NULL COLLATE "C",
  "return_urls" jsonb NULL,
  "public_token" character varying NOT NULL COLLATE "C",
  "settled_at" timestamptz NULL,
  "refused_at" timestamptz NULL,
  "next_check_at" timestamptz NULL,
  "checks" bigint NOT NULL DEFAULT 0,
  "invoice_id" character varying NULL COLLATE "C",
  "payer_id" character varying NULL COLLATE "C",
  "provider_id" character varying NOT NULL COLLATE "C",
  "balance_id" character varying NULL COLLATE "C",
  "payment_method_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "payments_amount" CHECK (amount_units > 0 AND refunded_units >= 0 AND refunded_units <= amount_units),
  CONSTRAINT "payments_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "payments_purpose_known" CHECK (purpose IN ('TOP_UP', 'AUTO_RELOAD', 'INVOICE', 'TEST')),
  CONSTRAINT "payments_refunded_units_range" CHECK (refunded_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "payments_refused" CHECK (refused_at IS NULL OR status = 'SUCCEEDED'),
  CONSTRAINT "payments_settled" CHECK (status <> 'SUCCEEDED' OR (settled_at IS NOT NULL AND gateway_payment_id IS NOT NULL)),
  CONSTRAINT "payments_status_known" CHECK (status IN ('REQUIRES_ACTION', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELED'))
);
-- create index "payment_organization_id_balance_id_created_at" to table: "payments"
CREATE INDEX "payment_organization_id_balance_id_created_at" ON "payments" ("organization_id", "balance_id", "created_at") WHERE ((purpose)::text = 'AUTO_RELOAD'::text);
-- create index "payment_organization_id_invoice_id_id" to table: "payments"
CREATE INDEX "payment_organization_id_invoice_id_id" ON "payments" ("organization_id", "invoice_id", "id");
-- create index "payment_organization_id_next_check_at" to table: "payments"
CREATE INDEX "payment_organization_id_next_check_at" ON "payments" ("organization_id", "next_check_at") WHERE (next_check_at IS NOT NULL);
-- create index "payment_organization_id_order_code" to table: "payments"
CREATE UNIQUE INDEX "payment_organization_id_order_code" ON "payments" ("organization_id", "order_code");
-- create index "payment_organization_id_payer_id_id" to table: "payments"
CREATE INDEX "payment_organization_id_payer_id_id" ON "payments" ("organization_id", "payer_id", "id");
-- create index "payment_organization_id_provider_id_gateway_payment_id" to table: "payments"
CREATE UNIQUE INDEX "payment_organization_id_provider_id_gateway_payment_id" ON "payments" ("organization_id", "provider_id", "gateway_payment_id");
-- create index "payment_organization_id_provider_id_reference_id" to table: "payments"
CREATE UNIQUE INDEX "payment_organization_id_provider_id_reference_id" ON "payments" ("organization_id", "provider_id", "reference_id");
-- create index "payment_organization_id_public_token" to table: "payments"
CREATE UNIQUE INDEX "payment_organization_id_public_token" ON "payments" ("organization_id", "public_token");
-- create index "payment_organization_id_purpose_id" to table: "payments"
CREATE INDEX "payment_organization_id_purpose_id" ON "payments" ("organization_id", "purpose", "id");
-- create index "payment_organization_id_status_id" to table: "payments"
CREATE INDEX "payment_organization_id_status_id" ON "payments" ("organization_id", "status", "id");
-- create index "payment_organization_id_updated_at" to table: "payments"
CREATE INDEX "payment_organization_id_updated_at" ON "payments" ("organization_id", "updated_at");
-- create "payment_attempts" table
CREATE TABLE "payment_attempts" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "number" bigint NOT NULL,
  "status" character varying NOT NULL DEFAULT 'PROCESSING' COLLATE "C",
  "call_id" character varying NOT NULL COLLATE "C",
  "gateway_request_id" character varying NOT NULL DEFAULT '' COLLATE "C",
  "failure_code" character varying NOT NULL DEFAULT '' COLLATE "C",
  "failure_decline_code" character varying NOT NULL DEFAULT '' COLLATE "C",
  "failure_message" character varying NOT NULL DEFAULT '' COLLATE "C",
  "finished_at" timestamptz NULL,
  "payment_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "payment_attempts_status_known" CHECK (status IN ('REQUIRES_ACTION', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELED'))
);
-- create index "paymentattempt_organization_id_call_id" to table: "payment_attempts"
CREATE INDEX "paymentattempt_organization_id_call_id" ON "payment_attempts" ("organization_id", "call_id");
-- create index "paymentattempt_organization_id_payment_id_id" to table: "payment_attempts"
CREATE INDEX "paymentattempt_organization_id_payment_id_id" ON "payment_attempts" ("organization_id", "payment_id", "id");
-- create index "paymentattempt_organization_id_payment_id_number" to table: "payment_attempts"
CREATE UNIQUE INDEX "paymentattempt_organization_id_payment_id_number" ON "payment_attempts" ("organization_id", "payment_id", "number");
-- create "payment_methods" table
CREATE TABLE "payment_methods" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "status" character varying NOT NULL DEFAULT 'PENDING' COLLATE "C",
  "gateway_customer_id" character varying NULL COLLATE "C",
  "gateway_id" character varying NULL COLLATE "C",
  "setup_reference" character varying NULL COLLATE "C",
  "scheme_reference" character varying NOT NULL DEFAULT '' COLLATE "C",
  "brand" character varying NOT NULL DEFAULT '' COLLATE "C",
  "last4" character varying NOT NULL DEFAULT '' COLLATE "C",
  "exp_month" bigint NOT NULL DEFAULT 0,
  "exp_year" bigint NOT NULL DEFAULT 0,
  "expiry_notice_at" timestamptz NULL,
  "is_default" boolean NOT NULL DEFAULT false,
  "make_default" boolean NOT NULL DEFAULT false,
  "action_url" character varying NOT NULL DEFAULT '' COLLATE "C",
  "action_secret_sealed" bytea NULL,
  "failure_message" character varying NOT NULL DEFAULT '' COLLATE "C",
  "next_check_at" timestamptz NULL,
  "checks" bigint NOT NULL DEFAULT 0,
  "consented_at" timestamptz NULL,
  "consented_by" character varying NULL COLLATE "C",
  "payer_id" character varying NOT NULL COLLATE "C",
  "provider_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "payment_methods_status_known" CHECK (status IN ('PENDING', 'ACTIVE', 'FAILED', 'DETACHED'))
);
-- create index "paymentmethod_organization_id_expiry_notice_at" to table: "payment_methods"
CREATE INDEX "paymentmethod_organization_id_expiry_notice_at" ON "payment_methods" ("organization_id", "expiry_notice_at") WHERE (expiry_notice_at IS NOT NULL);
-- create index "paymentmethod_organization_id_next_check_at" to table: "payment_methods"
CREATE INDEX "paymentmethod_organization_id_next_check_at" ON "payment_methods" ("organization_id", "next_check_at") WHERE (next_check_at IS NOT NULL);
-- create index "paymentmethod_organization_id_payer_id" to table: "payment_methods"
CREATE UNIQUE INDEX "paymentmethod_organization_id_payer_id" ON "payment_methods" ("organization_id", "payer_id") WHERE is_default;
-- create index "paymentmethod_organization_id_payer_id_id" to table: "payment_methods"
CREATE INDEX "paymentmethod_organization_id_payer_id_id" ON "payment_methods" ("organization_id", "payer_id", "id");
-- create index "paymentmethod_organization_id_provider_id_gateway_id" to table: "payment_methods"
CREATE UNIQUE INDEX "paymentmethod_organization_id_provider_id_gateway_id" ON "payment_methods" ("organization_id", "provider_id", "gateway_id");
-- create index "paymentmethod_organization_id_provider_id_setup_reference" to table: "payment_methods"
CREATE UNIQUE INDEX "paymentmethod_organization_id_provider_id_setup_reference" ON "payment_methods" ("organization_id", "provider_id", "setup_reference");
-- create "prices" table
CREATE TABLE "prices" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "unit_amount_units" bigint NOT NULL,
  "recurrence_interval" character varying NULL COLLATE "C",
  "recurrence_count" bigint NOT NULL DEFAULT 1,
  "nickname" character varying NULL COLLATE "C",
  "active" boolean NOT NULL DEFAULT true,
  "product_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "prices_recurrence" CHECK (recurrence_count >= 1),
  CONSTRAINT "prices_recurrence_interval_known" CHECK (recurrence_interval IN ('DAY', 'WEEK', 'MONTH', 'YEAR')),
  CONSTRAINT "prices_unit_amount" CHECK (unit_amount_units >= 0),
  CONSTRAINT "prices_unit_amount_units_range" CHECK (unit_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "price_organization_id_product_id_id" to table: "prices"
CREATE INDEX "price_organization_id_product_id_id" ON "prices" ("organization_id", "product_id", "id");
-- create "products" table
CREATE TABLE "products" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "name" character varying NOT NULL COLLATE "C",
  "description" character varying NULL COLLATE "C",
  "active" boolean NOT NULL DEFAULT true,
  "provider_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id")
);
-- create index "product_organization_id_name_id" to table: "products"
CREATE INDEX "product_organization_id_name_id" ON "products" ("organization_id", "name", "id");
-- create "providers" table
CREATE TABLE "providers" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "slug" character varying NOT NULL COLLATE "C",
  "name" character varying NOT NULL COLLATE "C",
  "description" character varying NULL COLLATE "C",
  "kind" character varying NOT NULL COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'ACTIVE' COLLATE "C",
  "merchant_code" character varying NULL COLLATE "C",
  "auth_type" character varying NOT NULL DEFAULT '' COLLATE "C",
  "publishable_key" character varying NULL COLLATE "C",
  "secret_hint" character varying NULL COLLATE "C",
  "secret_sealed" bytea NULL,
  "webhook_secret_sealed" bytea NULL,
  "webhook_secret_previous_sealed" bytea NULL,
  "webhook_secret_previous_until" timestamptz NULL,
  "mac_secret_sealed" bytea NULL,
  "legacy_mac" boolean NOT NULL DEFAULT false,
  "endpoint" character varying NOT NULL DEFAULT '' COLLATE "C",
  "credential_version" bigint NOT NULL DEFAULT 1,
  "gateway_account_id" character varying NOT NULL DEFAULT '' COLLATE "C",
  "account_unproven_at" timestamptz NULL,
  "webhook_token" character varying NOT NULL COLLATE "C",
  "webhook_endpoint_id" character varying NOT NULL DEFAULT '' COLLATE "C",
  "pending_call_id" character varying NULL COLLATE "C",
  "return_problem" character varying NOT NULL DEFAULT '' COLLATE "C",
  "return_problem_at" timestamptz NULL,
  "global_provider_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "providers_kind_known" CHECK (kind IN ('STRIPE', 'WORLDPAY')),
  CONSTRAINT "providers_status_known" CHECK (status IN ('ACTIVE', 'ARCHIVED'))
);
-- create index "provider_organization_id_slug" to table: "providers"
CREATE UNIQUE INDEX "provider_organization_id_slug" ON "providers" ("organization_id", "slug");
-- create index "provider_organization_id_webhook_token" to table: "providers"
CREATE UNIQUE INDEX "provider_organization_id_webhook_token" ON "providers" ("organization_id", "webhook_token");
-- create "quotes" table
CREATE TABLE "quotes" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "number" character varying NULL COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'DRAFT' COLLATE "C",
  "currency" character varying NULL COLLATE "C",
  "total_units" bigint NOT NULL DEFAULT 0,
  "description" character varying NULL COLLATE "C",
  "expires_at" timestamptz NULL,
  "starts_at" timestamptz NULL,
  "finalized_at" timestamptz NULL,
  "accepted_at" timestamptz NULL,
  "gateway_quote_id" character varying NULL COLLATE "C",
  "revision_of_id" character varying NULL COLLATE "C",
  "public_token" character varying NOT NULL COLLATE "C",
  "accept_token" character varying NULL COLLATE "C",
  "pending_call_id" character varying NULL COLLATE "C",
  "payer_id" character varying NULL COLLATE "C",
  "provider_id" character varying NULL COLLATE "C",
  "invoice_id" character varying NULL COLLATE "C",
  "subscription_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "quotes_revision_of_id_fk" FOREIGN KEY ("organization_id", "revision_of_id") REFERENCES "quotes" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT "quotes_complete" CHECK (status IN ('DRAFT', 'CANCELED') OR (payer_id IS NOT NULL AND currency IS NOT NULL AND number IS NOT NULL AND finalized_at IS NOT NULL)),
  CONSTRAINT "quotes_status_known" CHECK (status IN ('DRAFT', 'OPEN', 'ACCEPTED', 'CANCELED', 'EXPIRED')),
  CONSTRAINT "quotes_total" CHECK (total_units >= 0),
  CONSTRAINT "quotes_total_units_range" CHECK (total_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "quote_organization_id_accept_token" to table: "quotes"
CREATE UNIQUE INDEX "quote_organization_id_accept_token" ON "quotes" ("organization_id", "accept_token");
-- create index "quote_organization_id_expires_at" to table: "quotes"
CREATE INDEX "quote_organization_id_expires_at" ON "quotes" ("organization_id", "expires_at") WHERE ((status)::text = 'OPEN'::text);
-- create index "quote_organization_id_number" to table: "quotes"
CREATE UNIQUE INDEX "quote_organization_id_number" ON "quotes" ("organization_id", "number");
-- create index "quote_organization_id_payer_id_id" to table: "quotes"
CREATE INDEX "quote_organization_id_payer_id_id" ON "quotes" ("organization_id", "payer_id", "id");
-- create index "quote_organization_id_provider_id_gateway_quote_id" to table: "quotes"
CREATE UNIQUE INDEX "quote_organization_id_provider_id_gateway_quote_id" ON "quotes" ("organization_id", "provider_id", "gateway_quote_id");
-- create index "quote_organization_id_public_token" to table: "quotes"
CREATE UNIQUE INDEX "quote_organization_id_public_token" ON "quotes" ("organization_id", "public_token");
-- create index "quote_organization_id_revision_of_id" to table: "quotes"
CREATE INDEX "quote_organization_id_revision_of_id" ON "quotes" ("organization_id", "revision_of_id") WHERE (revision_of_id IS NOT NULL);
-- create index "quote_organization_id_status_id" to table: "quotes"
CREATE INDEX "quote_organization_id_status_id" ON "quotes" ("organization_id", "status", "id");
-- create index "quote_organization_id_updated_at" to table: "quotes"
CREATE INDEX "quote_organization_id_updated_at" ON "quotes" ("organization_id", "updated_at");
-- create "quote_lines" table
CREATE TABLE "quote_lines" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "position" bigint NOT NULL,
  "description" character varying NOT NULL COLLATE "C",
  "quantity" bigint NOT NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "unit_amount_units" bigint NOT NULL,
  "amount_units" bigint NOT NULL,
  "recurrence_interval" character varying NULL COLLATE "C",
  "recurrence_count" bigint NOT NULL DEFAULT 1,
  "quote_id" character varying NOT NULL COLLATE "C",
  "price_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "quote_lines_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "quote_lines_quantity" CHECK (quantity >= 1),
  CONSTRAINT "quote_lines_recurrence_interval_known" CHECK (recurrence_interval IN ('DAY', 'WEEK', 'MONTH', 'YEAR')),
  CONSTRAINT "quote_lines_unit_amount_units_range" CHECK (unit_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "quoteline_organization_id_quote_id_position" to table: "quote_lines"
CREATE UNIQUE INDEX "quoteline_organization_id_quote_id_position" ON "quote_lines" ("organization_id", "quote_id", "position");
-- create "refunds" table
CREATE TABLE "refunds" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "amount_units" bigint NOT NULL,
  "status" character varying NOT NULL DEFAULT 'PROCESSING' COLLATE "C",
  "reason" character varying NULL COLLATE "C",
  "failure_message" character varying NULL COLLATE "C",
  "gateway_refund_id" character varying NULL COLLATE "C",
  "hold_id" character varying NULL COLLATE "C",
  "next_check_at" timestamptz NULL,
  "checks" bigint NOT NULL DEFAULT 0,
  "credit_note_id" character varying NULL COLLATE "C",
  "payment_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "refunds_amount" CHECK (amount_units > 0),
  CONSTRAINT "refunds_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "refunds_status_known" CHECK (status IN ('PROCESSING', 'SUCCEEDED', 'FAILED'))
);
-- create index "refund_organization_id_credit_note_id" to table: "refunds"
CREATE INDEX "refund_organization_id_credit_note_id" ON "refunds" ("organization_id", "credit_note_id");
-- create index "refund_organization_id_next_check_at" to table: "refunds"
CREATE INDEX "refund_organization_id_next_check_at" ON "refunds" ("organization_id", "next_check_at") WHERE (next_check_at IS NOT NULL);
-- create index "refund_organization_id_payment_id_gateway_refund_id" to table: "refunds"
CREATE UNIQUE INDEX "refund_organization_id_payment_id_gateway_refund_id" ON "refunds" ("organization_id", "payment_id", "gateway_refund_id");
-- create "subscriptions" table
CREATE TABLE "subscriptions" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "amount_units" bigint NOT NULL DEFAULT 0,
  "status" character varying NOT NULL DEFAULT 'INCOMPLETE' COLLATE "C",
  "collection" character varying NOT NULL DEFAULT 'AUTOMATIC' COLLATE "C",
  "recurrence_interval" character varying NOT NULL COLLATE "C",
  "recurrence_count" bigint NOT NULL,
  "time_zone" character varying NOT NULL COLLATE "C",
  "anchor_at" timestamptz NOT NULL,
  "period" bigint NOT NULL DEFAULT -1,
  "starts_at" timestamptz NOT NULL,
  "current_period_start" timestamptz NOT NULL,
  "current_period_end" timestamptz NOT NULL,
  "trial_ends_at" timestamptz NULL,
  "canceled_at" timestamptz NULL,
  "cancel_at_period_end" boolean NOT NULL DEFAULT false,
  "due_at" timestamptz NULL,
  "notice_at" timestamptz NULL,
  "pending_lines" jsonb NOT NULL,
  "version" bigint NOT NULL DEFAULT 0,
  "payer_id" character varying NOT NULL COLLATE "C",
  "provider_id" character varying NULL COLLATE "C",
  "payment_method_id" character varying NULL COLLATE "C",
  "quote_id" character varying NULL COLLATE "C",
  "latest_invoice_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "subscriptions_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "subscriptions_collection_known" CHECK (collection IN ('AUTOMATIC', 'SEND', 'BALANCE')),
  CONSTRAINT "subscriptions_ended" CHECK (status <> 'CANCELED' OR (canceled_at IS NOT NULL AND due_at IS NULL)),
  CONSTRAINT "subscriptions_period" CHECK (current_period_end > current_period_start AND period >= -1),
  CONSTRAINT "subscriptions_recurrence_interval_known" CHECK (recurrence_interval IN ('DAY', 'WEEK', 'MONTH', 'YEAR')),
  CONSTRAINT "subscriptions_status_known" CHECK (status IN ('SCHEDULED', 'INCOMPLETE', 'TRIALING', 'ACTIVE', 'PAST_DUE', 'UNPAID', 'CANCELED'))
);
-- create index "subscription_organization_id_due_at" to table: "subscriptions"
CREATE INDEX "subscription_organization_id_due_at" ON "subscriptions" ("organization_id", "due_at") WHERE (due_at IS NOT NULL);
-- create index "subscription_organization_id_notice_at" to table: "subscriptions"
CREATE INDEX "subscription_organization_id_notice_at" ON "subscriptions" ("organization_id", "notice_at") WHERE (notice_at IS NOT NULL);
-- create index "subscription_organization_id_payer_id_id" to table: "subscriptions"
CREATE INDEX "subscription_organization_id_payer_id_id" ON "subscriptions" ("organization_id", "payer_id", "id");
-- create index "subscription_organization_id_quote_id" to table: "subscriptions"
CREATE UNIQUE INDEX "subscription_organization_id_quote_id" ON "subscriptions" ("organization_id", "quote_id");
-- create index "subscription_organization_id_status_id" to table: "subscriptions"
CREATE INDEX "subscription_organization_id_status_id" ON "subscriptions" ("organization_id", "status", "id");
-- create index "subscription_organization_id_updated_at" to table: "subscriptions"
CREATE INDEX "subscription_organization_id_updated_at" ON "subscriptions" ("organization_id", "updated_at");
-- create "subscription_items" table
CREATE TABLE "subscription_items" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "position" bigint NOT NULL,
  "description" character varying NOT NULL COLLATE "C",
  "quantity" bigint NOT NULL,
  "currency" character varying NOT NULL COLLATE "C",
  "unit_amount_units" bigint NOT NULL,
  "amount_units" bigint NOT NULL,
  "subscription_id" character varying NOT NULL COLLATE "C",
  "price_id" character varying NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "subscription_items_amount_units_range" CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT "subscription_items_quantity" CHECK (quantity >= 1),
  CONSTRAINT "subscription_items_unit_amount_units_range" CHECK (unit_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "subscriptionitem_organization_id_subscription_id_position" to table: "subscription_items"
CREATE UNIQUE INDEX "subscriptionitem_organization_id_subscription_id_position" ON "subscription_items" ("organization_id", "subscription_id", "position");
-- create "webhook_deliveries" table
CREATE TABLE "webhook_deliveries" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "outbox_id" character varying NOT NULL COLLATE "C",
  "event_type" character varying NOT NULL COLLATE "C",
  "attempt" bigint NOT NULL,
  "status" character varying NOT NULL DEFAULT 'PENDING' COLLATE "C",
  "http_status" bigint NOT NULL DEFAULT 0,
  "error" character varying NOT NULL DEFAULT '' COLLATE "C",
  "next_attempt_at" timestamptz NULL,
  "finished_at" timestamptz NULL,
  "endpoint_id" character varying NOT NULL COLLATE "C",
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "webhook_deliveries_status_known" CHECK (status IN ('PENDING', 'DELIVERED', 'FAILED'))
);
-- create index "webhookdelivery_organization_id_created_at" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_organization_id_created_at" ON "webhook_deliveries" ("organization_id", "created_at");
-- create index "webhookdelivery_organization_id_endpoint_id_id" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_organization_id_endpoint_id_id" ON "webhook_deliveries" ("organization_id", "endpoint_id", "id");
-- create index "webhookdelivery_organization_id_endpoint_id_next_attempt_at" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_organization_id_endpoint_id_next_attempt_at" ON "webhook_deliveries" ("organization_id", "endpoint_id", "next_attempt_at") WHERE (next_attempt_at IS NOT NULL);
-- create index "webhookdelivery_organization_id_endpoint_id_outbox_id_attempt" to table: "webhook_deliveries"
CREATE UNIQUE INDEX "webhookdelivery_organization_id_endpoint_id_outbox_id_attempt" ON "webhook_deliveries" ("organization_id", "endpoint_id", "outbox_id", "attempt");
-- create index "webhookdelivery_organization_id_outbox_id" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_organization_id_outbox_id" ON "webhook_deliveries" ("organization_id", "outbox_id");
-- create "webhook_endpoints" table
CREATE TABLE "webhook_endpoints" (
  "organization_id" character varying NOT NULL COLLATE "C",
  "id" character varying NOT NULL COLLATE "C",
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "url" character varying NOT NULL COLLATE "C",
  "description" character varying NULL COLLATE "C",
  "status" character varying NOT NULL DEFAULT 'ACTIVE' COLLATE "C",
  "event_types" jsonb NOT NULL,
  "secret_sealed" bytea NULL,
  "secret_previous_sealed" bytea NULL,
  "secret_previous_until" timestamptz NULL,
  PRIMARY KEY ("organization_id", "id"),
  CONSTRAINT "webhook_endpoints_status_known" CHECK (status IN ('ACTIVE', 'DISABLED', 'DELETED'))
);
-- create index "webhookendpoint_organization_id_status" to table: "webhook_endpoints"
CREATE INDEX "webhookendpoint_organization_id_status" ON "webhook_endpoints" ("organization_id", "status");
-- modify "access_tokens" table
ALTER TABLE "access_tokens" ADD
CONSTRAINT "access_tokens_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "audit_events" table
ALTER TABLE "audit_events" ADD
CONSTRAINT "audit_events_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "balances" table
ALTER TABLE "balances" ADD
CONSTRAINT "balances_auto_reload_payment_id_fk" FOREIGN KEY ("organization_id", "auto_reload_payment_id") REFERENCES "payments" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "balances_auto_reload_payment_method_id_fk" FOREIGN KEY ("organization_id", "auto_reload_payment_method_id") REFERENCES "payment_methods" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "balances_auto_reload_provider_id_fk" FOREIGN KEY ("organization_id", "auto_reload_provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "balances_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "balances_payers_balances" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "credit_notes" table
ALTER TABLE "credit_notes" ADD
CONSTRAINT "credit_notes_invoices_credit_notes" FOREIGN KEY ("organization_id", "invoice_id") REFERENCES "invoices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "credit_notes_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "currencies" table
ALTER TABLE "currencies" ADD
CONSTRAINT "currencies_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "disputes" table
ALTER TABLE "disputes" ADD
CONSTRAINT "disputes_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "disputes_payments_disputes" FOREIGN KEY ("organization_id", "payment_id") REFERENCES "payments" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "emails" table
ALTER TABLE "emails" ADD
CONSTRAINT "emails_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "emails_payers_emails" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "email_templates" table
ALTER TABLE "email_templates" ADD
CONSTRAINT "email_templates_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "gateway_calls" table
ALTER TABLE "gateway_calls" ADD
CONSTRAINT "gateway_calls_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "gateway_calls_provider_id_fk" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "gateway_customers" table
ALTER TABLE "gateway_customers" ADD
CONSTRAINT "gateway_customers_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "gateway_customers_payer_id_fk" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "gateway_customers_provider_id_fk" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "gateway_events" table
ALTER TABLE "gateway_events" ADD
CONSTRAINT "gateway_events_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "gateway_events_provider_id_fk" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "holds" table
ALTER TABLE "holds" ADD
CONSTRAINT "holds_balance_id_fk" FOREIGN KEY ("organization_id", "balance_id") REFERENCES "balances" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "holds_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "holds_payers_holds" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "idempotency_records" table
ALTER TABLE "idempotency_records" ADD
CONSTRAINT "idempotency_records_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "invoices" table
ALTER TABLE "invoices" ADD
CONSTRAINT "invoices_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "invoices_payers_invoices" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "invoices_providers_provider" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "invoices_quotes_quote" FOREIGN KEY ("organization_id", "quote_id") REFERENCES "quotes" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "invoices_subscriptions_invoices" FOREIGN KEY ("organization_id", "subscription_id") REFERENCES "subscriptions" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "invoice_lines" table
ALTER TABLE "invoice_lines" ADD
CONSTRAINT "invoice_lines_invoices_lines" FOREIGN KEY ("organization_id", "invoice_id") REFERENCES "invoices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "invoice_lines_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "invoice_lines_prices_price" FOREIGN KEY ("organization_id", "price_id") REFERENCES "prices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "ledger_entries" table
ALTER TABLE "ledger_entries" ADD
CONSTRAINT "ledger_entries_balances_entries" FOREIGN KEY ("organization_id", "balance_id") REFERENCES "balances" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_entries_credit_note_id_fk" FOREIGN KEY ("organization_id", "credit_note_id") REFERENCES "credit_notes" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_entries_disputes_dispute" FOREIGN KEY ("organization_id", "dispute_id") REFERENCES "disputes" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_entries_holds_hold" FOREIGN KEY ("organization_id", "hold_id") REFERENCES "holds" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_entries_invoices_invoice" FOREIGN KEY ("organization_id", "invoice_id") REFERENCES "invoices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_entries_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_entries_payments_payment" FOREIGN KEY ("organization_id", "payment_id") REFERENCES "payments" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_entries_provider_id_fk" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_entries_refunds_refund" FOREIGN KEY ("organization_id", "refund_id") REFERENCES "refunds" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "ledger_seals" table
ALTER TABLE "ledger_seals" ADD
CONSTRAINT "ledger_seals_entry_id_fk" FOREIGN KEY ("organization_id", "entry_id") REFERENCES "ledger_entries" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "ledger_seals_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "memberships" table
ALTER TABLE "memberships" ADD
CONSTRAINT "memberships_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "memberships_payers_members" FOREIGN KEY ("organization_id", "company_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "memberships_payers_memberships" FOREIGN KEY ("organization_id", "developer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "number_counters" table
ALTER TABLE "number_counters" ADD
CONSTRAINT "number_counters_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "outboxes" table
ALTER TABLE "outboxes" ADD
CONSTRAINT "outboxes_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "payers" table
ALTER TABLE "payers" ADD
CONSTRAINT "payers_charging_payment_id_fk" FOREIGN KEY ("organization_id", "charging_payment_id") REFERENCES "payments" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payers_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "payer_sessions" table
ALTER TABLE "payer_sessions" ADD
CONSTRAINT "payer_sessions_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payer_sessions_payer_id_fk" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "payments" table
ALTER TABLE "payments" ADD
CONSTRAINT "payments_balances_balance" FOREIGN KEY ("organization_id", "balance_id") REFERENCES "balances" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payments_invoices_payments" FOREIGN KEY ("organization_id", "invoice_id") REFERENCES "invoices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payments_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payments_payers_payments" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payments_payment_methods_payment_method" FOREIGN KEY ("organization_id", "payment_method_id") REFERENCES "payment_methods" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payments_providers_provider" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "payment_attempts" table
ALTER TABLE "payment_attempts" ADD
CONSTRAINT "payment_attempts_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payment_attempts_payments_attempts" FOREIGN KEY ("organization_id", "payment_id") REFERENCES "payments" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "payment_methods" table
ALTER TABLE "payment_methods" ADD
CONSTRAINT "payment_methods_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payment_methods_payers_payment_methods" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "payment_methods_providers_provider" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "prices" table
ALTER TABLE "prices" ADD
CONSTRAINT "prices_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "prices_products_prices" FOREIGN KEY ("organization_id", "product_id") REFERENCES "products" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "products" table
ALTER TABLE "products" ADD
CONSTRAINT "products_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "products_providers_provider" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "providers" table
ALTER TABLE "providers" ADD
CONSTRAINT "providers_global_provider_id_fk" FOREIGN KEY ("global_provider_id") REFERENCES "global_providers" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "providers_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "quotes" table
ALTER TABLE "quotes" ADD
CONSTRAINT "quotes_invoices_invoice" FOREIGN KEY ("organization_id", "invoice_id") REFERENCES "invoices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "quotes_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "quotes_payers_quotes" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "quotes_providers_provider" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "quotes_subscriptions_subscription" FOREIGN KEY ("organization_id", "subscription_id") REFERENCES "subscriptions" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "quote_lines" table
ALTER TABLE "quote_lines" ADD
CONSTRAINT "quote_lines_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "quote_lines_prices_price" FOREIGN KEY ("organization_id", "price_id") REFERENCES "prices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "quote_lines_quotes_lines" FOREIGN KEY ("organization_id", "quote_id") REFERENCES "quotes" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "refunds" table
ALTER TABLE "refunds" ADD
CONSTRAINT "refunds_credit_notes_refunds" FOREIGN KEY ("organization_id", "credit_note_id") REFERENCES "credit_notes" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "refunds_hold_id_fk" FOREIGN KEY ("organization_id", "hold_id") REFERENCES "holds" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "refunds_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "refunds_payments_refunds" FOREIGN KEY ("organization_id", "payment_id") REFERENCES "payments" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "subscriptions" table
ALTER TABLE "subscriptions" ADD
CONSTRAINT "subscriptions_invoices_latest_invoice" FOREIGN KEY ("organization_id", "latest_invoice_id") REFERENCES "invoices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "subscriptions_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "subscriptions_payers_subscriptions" FOREIGN KEY ("organization_id", "payer_id") REFERENCES "payers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "subscriptions_payment_methods_payment_method" FOREIGN KEY ("organization_id", "payment_method_id") REFERENCES "payment_methods" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "subscriptions_providers_provider" FOREIGN KEY ("organization_id", "provider_id") REFERENCES "providers" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "subscriptions_quotes_quote" FOREIGN KEY ("organization_id", "quote_id") REFERENCES "quotes" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "subscription_items" table
ALTER TABLE "subscription_items" ADD
CONSTRAINT "subscription_items_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "subscription_items_prices_price" FOREIGN KEY ("organization_id", "price_id") REFERENCES "prices" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "subscription_items_subscriptions_items" FOREIGN KEY ("organization_id", "subscription_id") REFERENCES "subscriptions" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "webhook_deliveries" table
ALTER TABLE "webhook_deliveries" ADD
CONSTRAINT "webhook_deliveries_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "webhook_deliveries_outbox_id_fk" FOREIGN KEY ("organization_id", "outbox_id") REFERENCES "outboxes" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION, ADD
CONSTRAINT "webhook_deliveries_webhook_endpoints_deliveries" FOREIGN KEY ("organization_id", "endpoint_id") REFERENCES "webhook_endpoints" ("organization_id", "id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- modify "webhook_endpoints" table
ALTER TABLE "webhook_endpoints" ADD
CONSTRAINT "webhook_endpoints_organization_id_fk" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION;
-- leave room in the pages of "balances" for changes
ALTER TABLE "balances" SET (fillfactor = 70);
