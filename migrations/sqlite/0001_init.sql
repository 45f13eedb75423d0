-- create "access_tokens" table
CREATE TABLE `access_tokens` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `name` text NOT NULL,
  `scopes` json NOT NULL,
  `permission` text NOT NULL,
  `digest` blob NOT NULL,
  `hint` text NOT NULL,
  `expires_at` datetime NULL,
  `last_used_at` datetime NULL,
  `revoked_at` datetime NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `access_tokens_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `access_tokens_permission_known` CHECK (permission IN ('READ', 'READ_WRITE'))
);
-- create "audit_events" table
CREATE TABLE `audit_events` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `actor` text NOT NULL,
  `action` text NOT NULL,
  `subject` text NOT NULL,
  `details` json NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `audit_events_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "auditevent_organization_id_subject_id" to table: "audit_events"
CREATE INDEX `auditevent_organization_id_subject_id` ON `audit_events` (`organization_id`, `subject`, `id`);
-- create "balances" table
CREATE TABLE `balances` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `currency` text NOT NULL,
  `amount_units` integer NOT NULL DEFAULT (0),
  `usage_units` integer NOT NULL DEFAULT (0),
  `held_units` integer NOT NULL DEFAULT (0),
  `unpaid_units` integer NOT NULL DEFAULT (0),
  `billing_mode` text NOT NULL,
  `credit_limit_units` integer NULL,
  `credit_limit_own` bool NOT NULL DEFAULT (false),
  `auto_reload_enabled` bool NOT NULL DEFAULT (false),
  `auto_reload_threshold_units` integer NULL,
  `auto_reload_amount_units` integer NULL,
  `auto_reload_daily_cap_units` integer NULL,
  `auto_reload_monthly_cap_units` integer NULL,
  `auto_reload_provider_id` text NULL,
  `auto_reload_payment_method_id` text NULL,
  `auto_reload_suspended_reason` text NOT NULL DEFAULT (''),
  `auto_reload_payment_id` text NULL,
  `auto_reload_failures` integer NOT NULL DEFAULT (0),
  `auto_reload_due_at` datetime NULL,
  `low_balance_level_units` integer NULL,
  `low_balance_percent` integer NULL,
  `low_balance_noticed_at` datetime NULL,
  `usage_invoice_at` datetime NULL,
  `period` text NOT NULL,
  `version` integer NOT NULL DEFAULT (0),
  `last_seq` integer NOT NULL DEFAULT (0),
  `last_hash` blob NOT NULL,
  `last_booked_at` datetime NOT NULL,
  `payer_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `balances_payers_balances` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `balances_auto_reload_provider_id_fk` FOREIGN KEY (`organization_id`, `auto_reload_provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `balances_auto_reload_payment_method_id_fk` FOREIGN KEY (`organization_id`, `auto_reload_payment_method_id`) REFERENCES `payment_methods` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `balances_auto_reload_payment_id_fk` FOREIGN KEY (`organization_id`, `auto_reload_payment_id`) REFERENCES `payments` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `balances_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `balances_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_auto_reload_amount_units_range` CHECK (auto_reload_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_auto_reload_daily_cap_units_range` CHECK (auto_reload_daily_cap_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_auto_reload_monthly_cap_units_range` CHECK (auto_reload_monthly_cap_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_auto_reload_threshold_units_range` CHECK (auto_reload_threshold_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_billing_mode_known` CHECK (billing_mode IN ('PREPAID', 'POSTPAID')),
  CONSTRAINT `balances_credit_limit` CHECK (credit_limit_units IS NULL OR credit_limit_units >= 0),
  CONSTRAINT `balances_credit_limit_units_range` CHECK (credit_limit_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_held` CHECK (held_units >= 0),
  CONSTRAINT `balances_held_units_range` CHECK (held_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_low` CHECK (low_balance_level_units IS NULL OR low_balance_percent IS NULL),
  CONSTRAINT `balances_low_balance_level_units_range` CHECK (low_balance_level_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_percent` CHECK (low_balance_percent IS NULL OR low_balance_percent BETWEEN 1 AND 100),
  CONSTRAINT `balances_sequence` CHECK (last_seq >= 0),
  CONSTRAINT `balances_unpaid` CHECK (unpaid_units >= 0),
  CONSTRAINT `balances_unpaid_units_range` CHECK (unpaid_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `balances_usage_units_range` CHECK (usage_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "balance_organization_id_payer_id_currency" to table: "balances"
CREATE UNIQUE INDEX `balance_organization_id_payer_id_currency` ON `balances` (`organization_id`, `payer_id`, `currency`);
-- create index "balance_organization_id_auto_reload_due_at" to table: "balances"
CREATE INDEX `balance_organization_id_auto_reload_due_at` ON `balances` (`organization_id`, `auto_reload_due_at`) WHERE auto_reload_due_at IS NOT NULL;
-- create index "balance_organization_id_usage_invoice_at" to table: "balances"
CREATE INDEX `balance_organization_id_usage_invoice_at` ON `balances` (`organization_id`, `usage_invoice_at`) WHERE usage_invoice_at IS NOT NULL;
-- create "credit_notes" table
CREATE TABLE `credit_notes` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `number` text NOT NULL,
  `currency` text NOT NULL,
  `total_units` integer NOT NULL,
  `tax_units` integer NOT NULL,
  `subtotal_units` integer NOT NULL,
  `settlement` text NOT NULL,
  `reason` text NOT NULL,
  `lines` json NOT NULL,
  `taxes` json NULL,
  `gateway_credit_note_id` text NULL,
  `public_token` text NOT NULL,
  `invoice_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `credit_notes_invoices_credit_notes` FOREIGN KEY (`organization_id`, `invoice_id`) REFERENCES `invoices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `credit_notes_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `credit_notes_amount` CHECK (total_units > 0 AND tax_units >= 0),
  CONSTRAINT `credit_notes_settlement_known` CHECK (settlement IN ('DUE', 'REFUND', 'BALANCE', 'OUT_OF_BAND')),
  CONSTRAINT `credit_notes_subtotal_units_range` CHECK (subtotal_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `credit_notes_tax_units_range` CHECK (tax_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `credit_notes_total_units_range` CHECK (total_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "creditnote_organization_id_number" to table: "credit_notes"
CREATE UNIQUE INDEX `creditnote_organization_id_number` ON `credit_notes` (`organization_id`, `number`);
-- create index "creditnote_organization_id_public_token" to table: "credit_notes"
CREATE UNIQUE INDEX `creditnote_organization_id_public_token` ON `credit_notes` (`organization_id`, `public_token`);
-- create index "creditnote_organization_id_invoice_id_id" to table: "credit_notes"
CREATE INDEX `creditnote_organization_id_invoice_id_id` ON `credit_notes` (`organization_id`, `invoice_id`, `id`);
-- create "currencies" table
CREATE TABLE `currencies` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `code` text NOT NULL,
  `name` text NOT NULL,
  `display_name` text NOT NULL,
  `description` text NULL,
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `virtual` bool NOT NULL DEFAULT (false),
  `minimum_top_up_units` integer NULL,
  `credit_limit_units` integer NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `currencies_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `currencies_credit_limit_units_range` CHECK (credit_limit_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `currencies_limits` CHECK ((minimum_top_up_units IS NULL OR minimum_top_up_units >= 0) AND (credit_limit_units IS NULL OR credit_limit_units >= 0)),
  CONSTRAINT `currencies_minimum_top_up_units_range` CHECK (minimum_top_up_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `currencies_status_known` CHECK (status IN ('ACTIVE', 'INACTIVE'))
);
-- create index "currency_organization_id_code" to table: "currencies"
CREATE UNIQUE INDEX `currency_organization_id_code` ON `currencies` (`organization_id`, `code`);
-- create "disputes" table
CREATE TABLE `disputes` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `currency` text NOT NULL,
  `amount_units` integer NOT NULL,
  `status` text NOT NULL,
  `reason` text NULL,
  `evidence_due_at` datetime NULL,
  `gateway_dispute_id` text NOT NULL,
  `next_check_at` datetime NULL,
  `checks` integer NOT NULL DEFAULT (0),
  `payment_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `disputes_payments_disputes` FOREIGN KEY (`organization_id`, `payment_id`) REFERENCES `payments` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `disputes_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `disputes_amount` CHECK (amount_units > 0),
  CONSTRAINT `disputes_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `disputes_status_known` CHECK (status IN ('WARNING', 'NEEDS_RESPONSE', 'UNDER_REVIEW', 'WON', 'LOST'))
);
-- create index "dispute_organization_id_payment_id_gateway_dispute_id" to table: "disputes"
CREATE UNIQUE INDEX `dispute_organization_id_payment_id_gateway_dispute_id` ON `disputes` (`organization_id`, `payment_id`, `gateway_dispute_id`);
-- create index "dispute_organization_id_next_check_at" to table: "disputes"
CREATE INDEX `dispute_organization_id_next_check_at` ON `disputes` (`organization_id`, `next_check_at`) WHERE next_check_at IS NOT NULL;
-- create "emails" table
CREATE TABLE `emails` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `kind` text NOT NULL,
  `facts` json NOT NULL,
  `status` text NOT NULL DEFAULT ('QUEUED'),
  `attempts` integer NOT NULL DEFAULT (0),
  `next_attempt_at` datetime NULL,
  `sent_at` datetime NULL,
  `failure` text NULL,
  `payer_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `emails_payers_emails` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `emails_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `emails_kind_known` CHECK (kind IN ('CHARGE_FAILED', 'CHARGE_FAILED_FINAL', 'UPCOMING_CHARGE', 'PAYMENT_ACTION_REQUIRED', 'INVOICE_PAID', 'INVOICE_SENT', 'QUOTE_SENT', 'UPCOMING_RENEWAL', 'TRIAL_ENDED', 'CARD_EXPIRING', 'BALANCE_LOW', 'AUTO_RELOAD_FAILED', 'AUTO_RELOAD_ACTION_REQUIRED', 'AUTO_RELOAD_SUSPENDED')),
  CONSTRAINT `emails_status_known` CHECK (status IN ('QUEUED', 'SENT', 'FAILED', 'CANCELED'))
);
-- create index "email_organization_id_next_attempt_at" to table: "emails"
CREATE INDEX `email_organization_id_next_attempt_at` ON `emails` (`organization_id`, `next_attempt_at`) WHERE next_attempt_at IS NOT NULL;
-- create index "email_organization_id_payer_id_id" to table: "emails"
CREATE INDEX `email_organization_id_payer_id_id` ON `emails` (`organization_id`, `payer_id`, `id`);
-- create index "email_organization_id_status_id" to table: "emails"
CREATE INDEX `email_organization_id_status_id` ON `emails` (`organization_id`, `status`, `id`);
-- create "email_templates" table
CREATE TABLE `email_templates` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `kind` text NOT NULL,
  `locale` text NOT NULL,
  `subject` text NOT NULL,
  `body` text NOT NULL,
  `html` text NOT NULL DEFAULT (''),
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `email_templates_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "emailtemplate_organization_id_kind_locale" to table: "email_templates"
CREATE UNIQUE INDEX `emailtemplate_organization_id_kind_locale` ON `email_templates` (`organization_id`, `kind`, `locale`);
-- create "gateway_calls" table
CREATE TABLE `gateway_calls` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `provider_id` text NOT NULL,
  `operation` text NOT NULL,
  `subject` text NOT NULL,
  `gateway_key` text NOT NULL,
  `request` json NOT NULL,
  `state` text NOT NULL DEFAULT ('OPEN'),
  `outcome` text NOT NULL DEFAULT (''),
  `failure_code` text NOT NULL DEFAULT (''),
  `failure_message` text NOT NULL DEFAULT (''),
  `gateway_request_id` text NOT NULL DEFAULT (''),
  `attempts` integer NOT NULL DEFAULT (0),
  `next_check_at` datetime NULL,
  `lease_until` datetime NULL,
  `fence` integer NOT NULL DEFAULT (0),
  `finished_at` datetime NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `gateway_calls_provider_id_fk` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `gateway_calls_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `gateway_calls_operation_known` CHECK (operation IN ('QUOTE_FINALIZE', 'QUOTE_ACCEPT', 'QUOTE_CANCEL', 'INVOICE_FINALIZE', 'INVOICE_PAY', 'INVOICE_SETTLE', 'INVOICE_VOID', 'INVOICE_DISCARD', 'CREDIT_NOTE', 'HOSTED_PAYMENT', 'CHARGE', 'PAYMENT_CANCEL', 'CARD_ATTACH', 'CARD_SETUP', 'CARD_DEFAULT', 'CARD_DETACH', 'REFUND', 'ENDPOINT_REGISTER')),
  CONSTRAINT `gateway_calls_state_known` CHECK (state IN ('OPEN', 'DONE', 'REVIEW'))
);
-- create index "gatewaycall_organization_id_gateway_key" to table: "gateway_calls"
CREATE UNIQUE INDEX `gatewaycall_organization_id_gateway_key` ON `gateway_calls` (`organization_id`, `gateway_key`);
-- create index "gatewaycall_organization_id_provider_id" to table: "gateway_calls"
CREATE INDEX `gatewaycall_organization_id_provider_id` ON `gateway_calls` (`organization_id`, `provider_id`);
-- create index "gatewaycall_organization_id_subject_id" to table: "gateway_calls"
CREATE INDEX `gatewaycall_organization_id_subject_id` ON `gateway_calls` (`organization_id`, `subject`, `id`);
-- create index "gatewaycall_organization_id_next_check_at" to table: "gateway_calls"
CREATE INDEX `gatewaycall_organization_id_next_check_at` ON `gateway_calls` (`organization_id`, `next_check_at`) WHERE next_check_at IS NOT NULL;
-- create "gateway_customers" table
CREATE TABLE `gateway_customers` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `payer_id` text NOT NULL,
  `provider_id` text NOT NULL,
  `gateway_customer_id` text NOT NULL,
  `deleted_at` datetime NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `gateway_customers_payer_id_fk` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `gateway_customers_provider_id_fk` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `gateway_customers_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "gatewaycustomer_organization_id_provider_id_payer_id" to table: "gateway_customers"
CREATE UNIQUE INDEX `gatewaycustomer_organization_id_provider_id_payer_id` ON `gateway_customers` (`organization_id`, `provider_id`, `payer_id`) WHERE deleted_at IS NULL;
-- create index "gatewaycustomer_organization_id_provider_id_gateway_customer_id" to table: "gateway_customers"
CREATE UNIQUE INDEX `gatewaycustomer_organization_id_provider_id_gateway_customer_id` ON `gateway_customers` (`organization_id`, `provider_id`, `gateway_customer_id`);
-- create "gateway_events" table
CREATE TABLE `gateway_events` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `provider_id` text NOT NULL,
  `gateway_event_id` text NOT NULL,
  `type` text NOT NULL,
  `status` text NOT NULL DEFAULT ('RECEIVED'),
  `object_kind` text NOT NULL,
  `object_id` text NOT NULL,
  `call_id` text NOT NULL DEFAULT (''),
  `subject` text NOT NULL DEFAULT (''),
  `saved_card` json NULL,
  `told` json NULL,
  `object_payment` text NOT NULL DEFAULT (''),
  `error` text NULL,
  `attempts` integer NOT NULL DEFAULT (0),
  `next_attempt_at` datetime NULL,
  `received_at` datetime NOT NULL,
  `applied_at` datetime NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `gateway_events_provider_id_fk` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `gateway_events_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `gateway_events_status_known` CHECK (status IN ('RECEIVED', 'APPLIED', 'IGNORED', 'WAITING', 'MISMATCHED', 'FAILED'))
);
-- create index "gatewayevent_organization_id_provider_id_gateway_event_id" to table: "gateway_events"
CREATE UNIQUE INDEX `gatewayevent_organization_id_provider_id_gateway_event_id` ON `gateway_events` (`organization_id`, `provider_id`, `gateway_event_id`);
-- create index "gatewayevent_organization_id_next_attempt_at" to table: "gateway_events"
CREATE INDEX `gatewayevent_organization_id_next_attempt_at` ON `gateway_events` (`organization_id`, `next_attempt_at`) WHERE next_attempt_at IS NOT NULL;
-- create index "gatewayevent_organization_id_received_at" to table: "gateway_events"
CREATE INDEX `gatewayevent_organization_id_received_at` ON `gateway_events` (`organization_id`, `received_at`) WHERE status = 'MISMATCHED';
-- create "gateway_objects" table
CREATE TABLE `gateway_objects` (
  `id` text NOT NULL,
  `organization` text NOT NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- create "global_providers" table
CREATE TABLE `global_providers` (
  `id` text NOT NULL,
  `slug` text NOT NULL,
  `name` text NOT NULL,
  `description` text NULL,
  `kind` text NOT NULL,
  `environment` text NOT NULL,
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `publishable_key` text NULL,
  `merchant_code` text NULL,
  `auth_type` text NOT NULL DEFAULT (''),
  `secret_hint` text NULL,
  `secret_sealed` blob NULL,
  `webhook_secret_sealed` blob NULL,
  `webhook_secret_previous_sealed` blob NULL,
  `webhook_secret_previous_until` datetime NULL,
  `mac_secret_sealed` blob NULL,
  `legacy_mac` bool NOT NULL DEFAULT (false),
  `endpoint` text NOT NULL DEFAULT (''),
  `credential_version` integer NOT NULL DEFAULT (1),
  `gateway_account_id` text NOT NULL DEFAULT (''),
  `account_unproven_at` datetime NULL,
  `webhook_token` text NOT NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `global_providers_environment_known` CHECK (environment IN ('SANDBOX', 'TEST', 'LIVE')),
  CONSTRAINT `global_providers_kind_known` CHECK (kind IN ('STRIPE', 'WORLDPAY')),
  CONSTRAINT `global_providers_status_known` CHECK (status IN ('ACTIVE', 'ARCHIVED'))
);
-- create index "global_providers_slug_key" to table: "global_providers"
CREATE UNIQUE INDEX `global_providers_slug_key` ON `global_providers` (`slug`);
-- create index "global_providers_webhook_token_key" to table: "global_providers"
CREATE UNIQUE INDEX `global_providers_webhook_token_key` ON `global_providers` (`webhook_token`);
-- create "holds" table
CREATE TABLE `holds` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `balance_id` text NOT NULL,
  `currency` text NOT NULL,
  `amount_units` integer NOT NULL,
  `captured_units` integer NOT NULL DEFAULT (0),
  `status` text NOT NULL DEFAULT ('OPEN'),
  `expires_at` datetime NOT NULL,
  `closed_at` datetime NULL,
  `description` text NULL,
  `idempotency_key` text NULL,
  `fingerprint` blob NULL,
  `payer_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `holds_payers_holds` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `holds_balance_id_fk` FOREIGN KEY (`organization_id`, `balance_id`) REFERENCES `balances` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `holds_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `holds_amount` CHECK (amount_units > 0),
  CONSTRAINT `holds_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `holds_captured` CHECK ((status = 'CAPTURED' AND captured_units > 0) OR (status <> 'CAPTURED' AND captured_units = 0)),
  CONSTRAINT `holds_captured_units_range` CHECK (captured_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `holds_closed` CHECK ((status = 'OPEN') = (closed_at IS NULL)),
  CONSTRAINT `holds_status_known` CHECK (status IN ('OPEN', 'CAPTURED', 'RELEASED', 'EXPIRED'))
);
-- create index "hold_organization_id_idempotency_key" to table: "holds"
CREATE UNIQUE INDEX `hold_organization_id_idempotency_key` ON `holds` (`organization_id`, `idempotency_key`);
-- create index "hold_organization_id_payer_id_id" to table: "holds"
CREATE INDEX `hold_organization_id_payer_id_id` ON `holds` (`organization_id`, `payer_id`, `id`);
-- create index "hold_organization_id_payer_id_status_id" to table: "holds"
CREATE INDEX `hold_organization_id_payer_id_status_id` ON `holds` (`organization_id`, `payer_id`, `status`, `id`);
-- create index "hold_organization_id_expires_at" to table: "holds"
CREATE INDEX `hold_organization_id_expires_at` ON `holds` (`organization_id`, `expires_at`) WHERE status = 'OPEN';
-- create "idempotency_records" table
CREATE TABLE `idempotency_records` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `scope` text NOT NULL,
  `key` text NOT NULL,
  `fingerprint` blob NOT NULL,
  `subject` text NOT NULL,
  `second_subject` text NOT NULL DEFAULT (''),
  `call_id` text NOT NULL DEFAULT (''),
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `idempotency_records_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "idempotencyrecord_organization_id_scope_key" to table: "idempotency_records"
CREATE UNIQUE INDEX `idempotencyrecord_organization_id_scope_key` ON `idempotency_records` (`organization_id`, `scope`, `key`);
-- create index "idempotencyrecord_organization_id_call_id" to table: "idempotency_records"
CREATE INDEX `idempotencyrecord_organization_id_call_id` ON `idempotency_records` (`organization_id`, `call_id`);
-- create index "idempotencyrecord_organization_id_created_at" to table: "idempotency_records"
CREATE INDEX `idempotencyrecord_organization_id_created_at` ON `idempotency_records` (`organization_id`, `created_at`);
-- create "invoices" table
CREATE TABLE `invoices` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `number` text NULL,
  `status` text NOT NULL DEFAULT ('DRAFT'),
  `collection` text NOT NULL DEFAULT ('AUTOMATIC'),
  `currency` text NOT NULL,
  `subtotal_units` integer NOT NULL DEFAULT (0),
  `tax_units` integer NOT NULL DEFAULT (0),
  `total_units` integer NOT NULL DEFAULT (0),
  `amount_due_units` integer NOT NULL DEFAULT (0),
  `amount_paid_units` integer NOT NULL DEFAULT (0),
  `credited_units` integer NOT NULL DEFAULT (0),
  `waived_units` integer NOT NULL DEFAULT (0),
  `description` text NULL,
  `recipient` json NULL,
  `seller` json NULL,
  `taxes` json NULL,
  `reverse_charge` bool NOT NULL DEFAULT (false),
  `debt_units` integer NULL,
  `usage_month` text NULL,
  `sent_at` datetime NULL,
  `due_at` datetime NULL,
  `finalizes_at` datetime NULL,
  `finalized_at` datetime NULL,
  `paid_at` datetime NULL,
  `voided_at` datetime NULL,
  `hosted_url` text NULL,
  `pdf_url` text NULL,
  `receipt_url` text NULL,
  `attempts` integer NOT NULL DEFAULT (0),
  `next_attempt_at` datetime NULL,
  `dunning` text NOT NULL DEFAULT ('NONE'),
  `period_start` datetime NULL,
  `period_end` datetime NULL,
  `gateway_invoice_id` text NULL,
  `next_check_at` datetime NULL,
  `checks` integer NOT NULL DEFAULT (0),
  `public_token` text NOT NULL,
  `pending_call_id` text NULL,
  `provider_id` text NULL,
  `quote_id` text NULL,
  `payer_id` text NOT NULL,
  `subscription_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `invoices_providers_provider` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `invoices_quotes_quote` FOREIGN KEY (`organization_id`, `quote_id`) REFERENCES `quotes` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `invoices_payers_invoices` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `invoices_subscriptions_invoices` FOREIGN KEY (`organization_id`, `subscription_id`) REFERENCES `subscriptions` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `invoices_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `invoices_amount_due_units_range` CHECK (amount_due_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `invoices_amount_paid_units_range` CHECK (amount_paid_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `invoices_amounts` CHECK (amount_due_units >= 0 AND amount_paid_units >= 0 AND (tax_units >= 0 OR total_units <= 0)),
  CONSTRAINT `invoices_collection_known` CHECK (collection IN ('AUTOMATIC', 'SEND', 'BALANCE')),
  CONSTRAINT `invoices_credited` CHECK (waived_units >= 0 AND credited_units >= waived_units AND (credited_units = 0 OR credited_units <= total_units)),
  CONSTRAINT `invoices_credited_units_range` CHECK (credited_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `invoices_debt` CHECK (debt_units IS NULL OR debt_units > 0),
  CONSTRAINT `invoices_debt_units_range` CHECK (debt_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `invoices_dunning_known` CHECK (dunning IN ('NONE', 'RUNNING', 'EXHAUSTED')),
  CONSTRAINT `invoices_number` CHECK (status IN ('DRAFT', 'VOID') OR (number IS NOT NULL AND finalized_at IS NOT NULL)),
  CONSTRAINT `invoices_paid` CHECK (status <> 'PAID' OR (amount_due_units = 0 AND paid_at IS NOT NULL)),
  CONSTRAINT `invoices_status_known` CHECK (status IN ('DRAFT', 'OPEN', 'PAID', 'UNCOLLECTIBLE', 'VOID')),
  CONSTRAINT `invoices_subtotal_units_range` CHECK (subtotal_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `invoices_tax_units_range` CHECK (tax_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `invoices_total_units_range` CHECK (total_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `invoices_usage` CHECK (usage_month IS NULL OR debt_units IS NOT NULL),
  CONSTRAINT `invoices_waived_units_range` CHECK (waived_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "invoice_organization_id_number" to table: "invoices"
CREATE UNIQUE INDEX `invoice_organization_id_number` ON `invoices` (`organization_id`, `number`);
-- create index "invoice_organization_id_provider_id_gateway_invoice_id" to table: "invoices"
CREATE UNIQUE INDEX `invoice_organization_id_provider_id_gateway_invoice_id` ON `invoices` (`organization_id`, `provider_id`, `gateway_invoice_id`);
-- create index "invoice_organization_id_quote_id" to table: "invoices"
CREATE UNIQUE INDEX `invoice_organization_id_quote_id` ON `invoices` (`organization_id`, `quote_id`);
-- create index "invoice_organization_id_public_token" to table: "invoices"
CREATE UNIQUE INDEX `invoice_organization_id_public_token` ON `invoices` (`organization_id`, `public_token`);
-- create index "invoice_organization_id_subscription_id_period_start" to table: "invoices"
CREATE UNIQUE INDEX `invoice_organization_id_subscription_id_period_start` ON `invoices` (`organization_id`, `subscription_id`, `period_start`);
-- create index "invoice_organization_id_subscription_id_id" to table: "invoices"
CREATE INDEX `invoice_organization_id_subscription_id_id` ON `invoices` (`organization_id`, `subscription_id`, `id`) WHERE subscription_id IS NOT NULL;
-- create index "invoice_organization_id_payer_id_id" to table: "invoices"
CREATE INDEX `invoice_organization_id_payer_id_id` ON `invoices` (`organization_id`, `payer_id`, `id`);
-- create index "invoice_organization_id_payer_id_currency_usage_month" to table: "invoices"
CREATE UNIQUE INDEX `invoice_organization_id_payer_id_currency_usage_month` ON `invoices` (`organization_id`, `payer_id`, `currency`, `usage_month`);
-- create index "invoice_organization_id_status_id" to table: "invoices"
CREATE INDEX `invoice_organization_id_status_id` ON `invoices` (`organization_id`, `status`, `id`);
-- create index "invoice_organization_id_finalizes_at" to table: "invoices"
CREATE INDEX `invoice_organization_id_finalizes_at` ON `invoices` (`organization_id`, `finalizes_at`) WHERE finalizes_at IS NOT NULL;
-- create index "invoice_organization_id_next_attempt_at" to table: "invoices"
CREATE INDEX `invoice_organization_id_next_attempt_at` ON `invoices` (`organization_id`, `next_attempt_at`) WHERE next_attempt_at IS NOT NULL;
-- create index "invoice_organization_id_next_check_at" to table: "invoices"
CREATE INDEX `invoice_organization_id_next_check_at` ON `invoices` (`organization_id`, `next_check_at`) WHERE next_check_at IS NOT NULL;
-- create index "invoice_organization_id_updated_at" to table: "invoices"
CREATE INDEX `invoice_organization_id_updated_at` ON `invoices` (`organization_id`, `updated_at`);
-- create "invoice_lines" table
CREATE TABLE `invoice_lines` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `position` integer NOT NULL,
  `description` text NOT NULL,
  `quantity` integer NOT NULL,
  `currency` text NOT NULL,
  `unit_amount_units` integer NOT NULL,
  `amount_units` integer NOT NULL,
  `tax_rate_ppm` integer NULL,
  `invoice_id` text NOT NULL,
  `price_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `invoice_lines_invoices_lines` FOREIGN KEY (`organization_id`, `invoice_id`) REFERENCES `invoices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `invoice_lines_prices_price` FOREIGN KEY (`organization_id`, `price_id`) REFERENCES `prices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `invoice_lines_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `invoice_lines_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `invoice_lines_quantity` CHECK (quantity >= 1),
  CONSTRAINT `invoice_lines_tax_rate` CHECK (tax_rate_ppm IS NULL OR tax_rate_ppm BETWEEN 0 AND 1000000),
  CONSTRAINT `invoice_lines_unit_amount_units_range` CHECK (unit_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "invoiceline_organization_id_invoice_id_position" to table: "invoice_lines"
CREATE UNIQUE INDEX `invoiceline_organization_id_invoice_id_position` ON `invoice_lines` (`organization_id`, `invoice_id`, `position`);
-- create "ledger_entries" table
CREATE TABLE `ledger_entries` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `transaction_id` text NOT NULL,
  `seq` integer NULL,
  `currency` text NOT NULL,
  `debit_account` text NOT NULL,
  `credit_account` text NOT NULL,
  `kind` text NOT NULL,
  `reversed_kind` text NULL,
  `amount_units` integer NOT NULL,
  `amount_after_units` integer NULL,
  `usage_after_units` integer NULL,
  `description` text NULL,
  `metadata` json NULL,
  `credit_note_id` text NULL,
  `provider_id` text NULL,
  `reverses_id` text NULL,
  `actor` text NOT NULL,
  `effective_at` datetime NOT NULL,
  `booked_at` datetime NOT NULL,
  `cause_key` text NULL,
  `operation` text NULL,
  `idempotency_key` text NULL,
  `fingerprint` blob NULL,
  `hash` blob NOT NULL,
  `balance_id` text NULL,
  `payment_id` text NULL,
  `invoice_id` text NULL,
  `hold_id` text NULL,
  `refund_id` text NULL,
  `dispute_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `ledger_entries_balances_entries` FOREIGN KEY (`organization_id`, `balance_id`) REFERENCES `balances` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_payments_payment` FOREIGN KEY (`organization_id`, `payment_id`) REFERENCES `payments` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_invoices_invoice` FOREIGN KEY (`organization_id`, `invoice_id`) REFERENCES `invoices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_holds_hold` FOREIGN KEY (`organization_id`, `hold_id`) REFERENCES `holds` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_refunds_refund` FOREIGN KEY (`organization_id`, `refund_id`) REFERENCES `refunds` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_disputes_dispute` FOREIGN KEY (`organization_id`, `dispute_id`) REFERENCES `disputes` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_credit_note_id_fk` FOREIGN KEY (`organization_id`, `credit_note_id`) REFERENCES `credit_notes` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_provider_id_fk` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_reverses_id_fk` FOREIGN KEY (`organization_id`, `reverses_id`) REFERENCES `ledger_entries` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_entries_accounts` CHECK (debit_account <> credit_account),
  CONSTRAINT `ledger_entries_amount` CHECK (amount_units > 0),
  CONSTRAINT `ledger_entries_amount_after_units_range` CHECK (amount_after_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `ledger_entries_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `ledger_entries_chain` CHECK ((balance_id IS NULL) = (seq IS NULL)),
  CONSTRAINT `ledger_entries_key` CHECK ((operation IS NULL) = (idempotency_key IS NULL)),
  CONSTRAINT `ledger_entries_kind_known` CHECK (kind IN ('TOP_UP', 'RELOAD', 'USAGE', 'CREDIT', 'ADJUSTMENT', 'REFUND', 'DISPUTE', 'INVOICE', 'INVOICE_PAYMENT', 'CREDIT_NOTE', 'TAX', 'FEE', 'PAYOUT', 'ROUNDING', 'WRITE_OFF', 'REVERSAL')),
  CONSTRAINT `ledger_entries_usage_after_units_range` CHECK (usage_after_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "ledgerentry_organization_id_balance_id_seq" to table: "ledger_entries"
CREATE UNIQUE INDEX `ledgerentry_organization_id_balance_id_seq` ON `ledger_entries` (`organization_id`, `balance_id`, `seq`);
-- create index "ledgerentry_other_than_usage" to table: "ledger_entries"
CREATE INDEX `ledgerentry_other_than_usage` ON `ledger_entries` (`organization_id`, `balance_id`, `seq`) WHERE kind <> 'USAGE';
-- create index "ledgerentry_organization_id_id" to table: "ledger_entries"
CREATE INDEX `ledgerentry_organization_id_id` ON `ledger_entries` (`organization_id`, `id`) WHERE balance_id IS NULL;
-- create index "ledgerentry_organization_id_operation_idempotency_key" to table: "ledger_entries"
CREATE UNIQUE INDEX `ledgerentry_organization_id_operation_idempotency_key` ON `ledger_entries` (`organization_id`, `operation`, `idempotency_key`);
-- create index "ledgerentry_organization_id_cause_key" to table: "ledger_entries"
CREATE UNIQUE INDEX `ledgerentry_organization_id_cause_key` ON `ledger_entries` (`organization_id`, `cause_key`) WHERE cause_key IS NOT NULL;
-- create index "ledgerentry_organization_id_invoice_id_id" to table: "ledger_entries"
CREATE INDEX `ledgerentry_organization_id_invoice_id_id` ON `ledger_entries` (`organization_id`, `invoice_id`, `id`) WHERE invoice_id IS NOT NULL;
-- create index "ledgerentry_organization_id_hold_id_id" to table: "ledger_entries"
CREATE INDEX `ledgerentry_organization_id_hold_id_id` ON `ledger_entries` (`organization_id`, `hold_id`, `id`) WHERE hold_id IS NOT NULL;
-- create index "ledgerentry_organization_id_provider_id" to table: "ledger_entries"
CREATE INDEX `ledgerentry_organization_id_provider_id` ON `ledger_entries` (`organization_id`, `provider_id`) WHERE provider_id IS NOT NULL;
-- create index "ledgerentry_organization_id_reverses_id" to table: "ledger_entries"
CREATE INDEX `ledgerentry_organization_id_reverses_id` ON `ledger_entries` (`organization_id`, `reverses_id`) WHERE reverses_id IS NOT NULL;
-- create "ledger_seals" table
CREATE TABLE `ledger_seals` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `seq` integer NOT NULL,
  `entry_id` text NOT NULL,
  `hash` blob NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `ledger_seals_entry_id_fk` FOREIGN KEY (`organization_id`, `entry_id`) REFERENCES `ledger_entries` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `ledger_seals_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "ledgerseal_organization_id_seq" to table: "ledger_seals"
CREATE UNIQUE INDEX `ledgerseal_organization_id_seq` ON `ledger_seals` (`organization_id`, `seq`);
-- create index "ledgerseal_organization_id_entry_id" to table: "ledger_seals"
CREATE UNIQUE INDEX `ledgerseal_organization_id_entry_id` ON `ledger_seals` (`organization_id`, `entry_id`);
-- create "memberships" table
CREATE TABLE `memberships` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `role` text NOT NULL DEFAULT ('MEMBER'),
  `developer_id` text NOT NULL,
  `company_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `memberships_payers_memberships` FOREIGN KEY (`organization_id`, `developer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `memberships_payers_members` FOREIGN KEY (`organization_id`, `company_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `memberships_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `memberships_role_known` CHECK (role IN ('ADMIN', 'MEMBER'))
);
-- create index "membership_organization_id_company_id_developer_id" to table: "memberships"
CREATE UNIQUE INDEX `membership_organization_id_company_id_developer_id` ON `memberships` (`organization_id`, `company_id`, `developer_id`);
-- create index "membership_organization_id_company_id_id" to table: "memberships"
CREATE INDEX `membership_organization_id_company_id_id` ON `memberships` (`organization_id`, `company_id`, `id`);
-- create index "membership_organization_id_developer_id_id" to table: "memberships"
CREATE INDEX `membership_organization_id_developer_id_id` ON `memberships` (`organization_id`, `developer_id`, `id`);
-- create "number_counters" table
CREATE TABLE `number_counters` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `name` text NOT NULL,
  `value` integer NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `number_counters_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "numbercounter_organization_id_name" to table: "number_counters"
CREATE UNIQUE INDEX `numbercounter_organization_id_name` ON `number_counters` (`organization_id`, `name`);
-- create "organizations" table
CREATE TABLE `organizations` (
  `id` text NOT NULL,
  `slug` text NOT NULL,
  `name` text NOT NULL,
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `environment` text NOT NULL,
  `default_currency` text NOT NULL,
  `time_zone` text NOT NULL DEFAULT ('UTC'),
  `country` text NULL,
  `addresses` json NOT NULL,
  `billing_type` text NOT NULL DEFAULT ('BOTH'),
  `billing_cycle` text NOT NULL DEFAULT ('CALENDAR_MONTH'),
  `tax_model` text NOT NULL DEFAULT ('UNDISCLOSED'),
  `support_email` text NULL,
  `finance_support_email` text NULL,
  `sender_email` text NULL,
  `thank_you_url` text NULL,
  `charging_enabled` bool NOT NULL DEFAULT (true),
  `dunning_retry_days` integer NOT NULL DEFAULT (3),
  `dunning_attempts_max` integer NOT NULL DEFAULT (3),
  `dunning_final` text NOT NULL DEFAULT ('LEAVE'),
  `send_net_days` integer NOT NULL DEFAULT (14),
  `automatic_net_days` integer NOT NULL DEFAULT (0),
  `usage_net_days` integer NOT NULL DEFAULT (2),
  `tax_id` text NULL,
  `number_period` text NOT NULL DEFAULT ('MONTHLY'),
  `allowed_return_origins` json NOT NULL,
  `default_provider_id` text NULL,
  `test_twin_of` text NULL,
  `payers_may_cancel` bool NOT NULL DEFAULT (true),
  `upcoming_charge_days` integer NOT NULL DEFAULT (7),
  `quotes_mailed` bool NOT NULL DEFAULT (false),
  `clock_ahead` integer NOT NULL DEFAULT (0),
  `clock_at` datetime NULL,
  `clock_until` datetime NULL,
  `created_at` datetime NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `organizations_billing_cycle_known` CHECK (billing_cycle IN ('CALENDAR_MONTH', 'PRORATED')),
  CONSTRAINT `organizations_billing_type_known` CHECK (billing_type IN ('PREPAID', 'POSTPAID', 'BOTH')),
  CONSTRAINT `organizations_dunning_final_known` CHECK (dunning_final IN ('LEAVE', 'MARK_UNCOLLECTIBLE', 'CANCEL_SUBSCRIPTION')),
  CONSTRAINT `organizations_environment_known` CHECK (environment IN ('SANDBOX', 'TEST', 'LIVE')),
  CONSTRAINT `organizations_number_period_known` CHECK (number_period IN ('MONTHLY', 'YEARLY')),
  CONSTRAINT `organizations_slug` CHECK (length(slug) BETWEEN 2 AND 32 AND slug NOT IN ('system', 'global')),
  CONSTRAINT `organizations_status_known` CHECK (status IN ('ACTIVE', 'INACTIVE')),
  CONSTRAINT `organizations_tax_model_known` CHECK (tax_model IN ('DISCLOSED', 'UNDISCLOSED', 'HYBRID'))
);
-- create index "organizations_slug_key" to table: "organizations"
CREATE UNIQUE INDEX `organizations_slug_key` ON `organizations` (`slug`);
-- create index "organization_clock_ahead" to table: "organizations"
CREATE INDEX `organization_clock_ahead` ON `organizations` (`clock_ahead`) WHERE clock_ahead <> 0;
-- create "outboxes" table
CREATE TABLE `outboxes` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `kind` text NOT NULL,
  `subject` text NOT NULL,
  `payload` json NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `outboxes_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "outbox_organization_id_created_at" to table: "outboxes"
CREATE INDEX `outbox_organization_id_created_at` ON `outboxes` (`organization_id`, `created_at`);
-- create "payers" table
CREATE TABLE `payers` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `kind` text NOT NULL,
  `email` text NULL,
  `slug` text NULL,
  `name` text NOT NULL,
  `billing_email` text NULL,
  `external_id` text NULL,
  `billing_mode` text NOT NULL DEFAULT ('PREPAID'),
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `tax_rate_ppm` integer NULL,
  `tax_id` text NULL,
  `reverse_charge` bool NOT NULL DEFAULT (false),
  `locale` text NULL,
  `address` json NULL,
  `metadata` json NOT NULL,
  `charging_enabled` bool NOT NULL DEFAULT (true),
  `charging_payment_id` text NULL,
  `erased_at` datetime NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `payers_charging_payment_id_fk` FOREIGN KEY (`organization_id`, `charging_payment_id`) REFERENCES `payments` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payers_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payers_billing_mode_known` CHECK (billing_mode IN ('PREPAID', 'POSTPAID')),
  CONSTRAINT `payers_email` CHECK (email IS NULL OR email = lower(email)),
  CONSTRAINT `payers_identity` CHECK ((kind = 'DEVELOPER' AND email IS NOT NULL AND slug IS NULL) OR (kind = 'COMPANY' AND email IS NULL AND slug IS NOT NULL)),
  CONSTRAINT `payers_kind_known` CHECK (kind IN ('DEVELOPER', 'COMPANY')),
  CONSTRAINT `payers_status_known` CHECK (status IN ('ACTIVE', 'SUSPENDED', 'CLOSED')),
  CONSTRAINT `payers_tax_rate` CHECK (tax_rate_ppm IS NULL OR tax_rate_ppm BETWEEN 0 AND 1000000)
);
-- create index "payer_organization_id_email" to table: "payers"
CREATE UNIQUE INDEX `payer_organization_id_email` ON `payers` (`organization_id`, `email`);
-- create index "payer_organization_id_slug" to table: "payers"
CREATE UNIQUE INDEX `payer_organization_id_slug` ON `payers` (`organization_id`, `slug`);
-- create index "payer_organization_id_external_id" to table: "payers"
CREATE UNIQUE INDEX `payer_organization_id_external_id` ON `payers` (`organization_id`, `external_id`);
-- create index "payer_organization_id_kind_id" to table: "payers"
CREATE INDEX `payer_organization_id_kind_id` ON `payers` (`organization_id`, `kind`, `id`);
-- create index "payer_organization_id_kind_name_id" to table: "payers"
CREATE INDEX `payer_organization_id_kind_name_id` ON `payers` (`organization_id`, `kind`, `name`, `id`);
-- create index "payer_organization_id_kind_status_id" to table: "payers"
CREATE INDEX `payer_organization_id_kind_status_id` ON `payers` (`organization_id`, `kind`, `status`, `id`);
-- create index "payer_organization_id_kind_billing_mode_id" to table: "payers"
CREATE INDEX `payer_organization_id_kind_billing_mode_id` ON `payers` (`organization_id`, `kind`, `billing_mode`, `id`);
-- create "payer_sessions" table
CREATE TABLE `payer_sessions` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `payer_id` text NOT NULL,
  `digest` blob NOT NULL,
  `expires_at` datetime NOT NULL,
  `revoked_at` datetime NULL,
  `created_by` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `payer_sessions_payer_id_fk` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payer_sessions_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "payersession_organization_id_payer_id_id" to table: "payer_sessions"
CREATE INDEX `payersession_organization_id_payer_id_id` ON `payer_sessions` (`organization_id`, `payer_id`, `id`);
-- create "payments" table
CREATE TABLE `payments` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `status` text NOT NULL DEFAULT ('PROCESSING'),
  `purpose` text NOT NULL,
  `currency` text NOT NULL,
  `amount_units` integer NOT NULL,
  `refunded_units` integer NOT NULL DEFAULT (0),
  `order_code` text NOT NULL,
  `reference_id` text NULL,
  `gateway_payment_id` text NULL,
  `recurring` bool NOT NULL DEFAULT (false),
  `save_card` bool NOT NULL DEFAULT (false),
  `action_url` text NOT NULL DEFAULT (''),
  `action_expires_at` datetime NULL,
  `action_secret_sealed` blob NULL,
  `failure_code` text NOT NULL DEFAULT (''),
  `failure_decline_code` text NOT NULL DEFAULT (''),
  `failure_message` text NOT NULL DEFAULT (''),
  `receipt_url` text NULL,
  `return_urls` json NULL,
  `public_token` text NOT NULL,
  `settled_at` datetime NULL,
  `refused_at` datetime NULL,
  `next_check_at` datetime NULL,
  `checks` integer NOT NULL DEFAULT (0),
  `invoice_id` text NULL,
  `payer_id` text NULL,
  `provider_id` text NOT NULL,
  `balance_id` text NULL,
  `payment_method_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `payments_invoices_payments` FOREIGN KEY (`organization_id`, `invoice_id`) REFERENCES `invoices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payments_payers_payments` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payments_providers_provider` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payments_balances_balance` FOREIGN KEY (`organization_id`, `balance_id`) REFERENCES `balances` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payments_payment_methods_payment_method` FOREIGN KEY (`organization_id`, `payment_method_id`) REFERENCES `payment_methods` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payments_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payments_amount` CHECK (amount_units > 0 AND refunded_units >= 0 AND refunded_units <= amount_units),
  CONSTRAINT `payments_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `payments_purpose_known` CHECK (purpose IN ('TOP_UP', 'AUTO_RELOAD', 'INVOICE', 'TEST')),
  CONSTRAINT `payments_refunded_units_range` CHECK (refunded_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `payments_refused` CHECK (refused_at IS NULL OR status = 'SUCCEEDED'),
  CONSTRAINT `payments_settled` CHECK (status <> 'SUCCEEDED' OR (settled_at IS NOT NULL AND gateway_payment_id IS NOT NULL)),
  CONSTRAINT `payments_status_known` CHECK (status IN ('REQUIRES_ACTION', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELED'))
);
-- create index "payment_organization_id_order_code" to table: "payments"
CREATE UNIQUE INDEX `payment_organization_id_order_code` ON `payments` (`organization_id`, `order_code`);
-- create index "payment_organization_id_provider_id_gateway_payment_id" to table: "payments"
CREATE UNIQUE INDEX `payment_organization_id_provider_id_gateway_payment_id` ON `payments` (`organization_id`, `provider_id`, `gateway_payment_id`);
-- create index "payment_organization_id_provider_id_reference_id" to table: "payments"
CREATE UNIQUE INDEX `payment_organization_id_provider_id_reference_id` ON `payments` (`organization_id`, `provider_id`, `reference_id`);
-- create index "payment_organization_id_public_token" to table: "payments"
CREATE UNIQUE INDEX `payment_organization_id_public_token` ON `payments` (`organization_id`, `public_token`);
-- create index "payment_organization_id_payer_id_id" to table: "payments"
CREATE INDEX `payment_organization_id_payer_id_id` ON `payments` (`organization_id`, `payer_id`, `id`);
-- create index "payment_organization_id_invoice_id_id" to table: "payments"
CREATE INDEX `payment_organization_id_invoice_id_id` ON `payments` (`organization_id`, `invoice_id`, `id`);
-- create index "payment_organization_id_status_id" to table: "payments"
CREATE INDEX `payment_organization_id_status_id` ON `payments` (`organization_id`, `status`, `id`);
-- create index "payment_organization_id_purpose_id" to table: "payments"
CREATE INDEX `payment_organization_id_purpose_id` ON `payments` (`organization_id`, `purpose`, `id`);
-- create index "payment_organization_id_balance_id_created_at" to table: "payments"
CREATE INDEX `payment_organization_id_balance_id_created_at` ON `payments` (`organization_id`, `balance_id`, `created_at`) WHERE purpose = 'AUTO_RELOAD';
-- create index "payment_organization_id_next_check_at" to table: "payments"
CREATE INDEX `payment_organization_id_next_check_at` ON `payments` (`organization_id`, `next_check_at`) WHERE next_check_at IS NOT NULL;
-- create index "payment_organization_id_updated_at" to table: "payments"
CREATE INDEX `payment_organization_id_updated_at` ON `payments` (`organization_id`, `updated_at`);
-- create "payment_attempts" table
CREATE TABLE `payment_attempts` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `number` integer NOT NULL,
  `status` text NOT NULL DEFAULT ('PROCESSING'),
  `call_id` text NOT NULL,
  `gateway_request_id` text NOT NULL DEFAULT (''),
  `failure_code` text NOT NULL DEFAULT (''),
  `failure_decline_code` text NOT NULL DEFAULT (''),
  `failure_message` text NOT NULL DEFAULT (''),
  `finished_at` datetime NULL,
  `payment_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `payment_attempts_payments_attempts` FOREIGN KEY (`organization_id`, `payment_id`) REFERENCES `payments` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payment_attempts_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payment_attempts_status_known` CHECK (status IN ('REQUIRES_ACTION', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELED'))
);
-- create index "paymentattempt_organization_id_call_id" to table: "payment_attempts"
CREATE INDEX `paymentattempt_organization_id_call_id` ON `payment_attempts` (`organization_id`, `call_id`);
-- create index "paymentattempt_organization_id_payment_id_number" to table: "payment_attempts"
CREATE UNIQUE INDEX `paymentattempt_organization_id_payment_id_number` ON `payment_attempts` (`organization_id`, `payment_id`, `number`);
-- create index "paymentattempt_organization_id_payment_id_id" to table: "payment_attempts"
CREATE INDEX `paymentattempt_organization_id_payment_id_id` ON `payment_attempts` (`organization_id`, `payment_id`, `id`);
-- create "payment_methods" table
CREATE TABLE `payment_methods` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `status` text NOT NULL DEFAULT ('PENDING'),
  `gateway_customer_id` text NULL,
  `gateway_id` text NULL,
  `setup_reference` text NULL,
  `scheme_reference` text NOT NULL DEFAULT (''),
  `brand` text NOT NULL DEFAULT (''),
  `last4` text NOT NULL DEFAULT (''),
  `exp_month` integer NOT NULL DEFAULT (0),
  `exp_year` integer NOT NULL DEFAULT (0),
  `expiry_notice_at` datetime NULL,
  `is_default` bool NOT NULL DEFAULT (false),
  `make_default` bool NOT NULL DEFAULT (false),
  `action_url` text NOT NULL DEFAULT (''),
  `action_secret_sealed` blob NULL,
  `failure_message` text NOT NULL DEFAULT (''),
  `next_check_at` datetime NULL,
  `checks` integer NOT NULL DEFAULT (0),
  `consented_at` datetime NULL,
  `consented_by` text NULL,
  `payer_id` text NOT NULL,
  `provider_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `payment_methods_payers_payment_methods` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payment_methods_providers_provider` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payment_methods_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `payment_methods_status_known` CHECK (status IN ('PENDING', 'ACTIVE', 'FAILED', 'DETACHED'))
);
-- create index "paymentmethod_organization_id_provider_id_gateway_id" to table: "payment_methods"
CREATE UNIQUE INDEX `paymentmethod_organization_id_provider_id_gateway_id` ON `payment_methods` (`organization_id`, `provider_id`, `gateway_id`);
-- create index "paymentmethod_organization_id_provider_id_setup_reference" to table: "payment_methods"
CREATE UNIQUE INDEX `paymentmethod_organization_id_provider_id_setup_reference` ON `payment_methods` (`organization_id`, `provider_id`, `setup_reference`);
-- create index "paymentmethod_organization_id_payer_id_id" to table: "payment_methods"
CREATE INDEX `paymentmethod_organization_id_payer_id_id` ON `payment_methods` (`organization_id`, `payer_id`, `id`);
-- create index "paymentmethod_organization_id_payer_id" to table: "payment_methods"
CREATE UNIQUE INDEX `paymentmethod_organization_id_payer_id` ON `payment_methods` (`organization_id`, `payer_id`) WHERE is_default;
-- create index "paymentmethod_organization_id_next_check_at" to table: "payment_methods"
CREATE INDEX `paymentmethod_organization_id_next_check_at` ON `payment_methods` (`organization_id`, `next_check_at`) WHERE next_check_at IS NOT NULL;
-- create index "paymentmethod_organization_id_expiry_notice_at" to table: "payment_methods"
CREATE INDEX `paymentmethod_organization_id_expiry_notice_at` ON `payment_methods` (`organization_id`, `expiry_notice_at`) WHERE expiry_notice_at IS NOT NULL;
-- create "prices" table
CREATE TABLE `prices` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `currency` text NOT NULL,
  `unit_amount_units` integer NOT NULL,
  `recurrence_interval` text NULL,
  `recurrence_count` integer NOT NULL DEFAULT (1),
  `nickname` text NULL,
  `active` bool NOT NULL DEFAULT (true),
  `product_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `prices_products_prices` FOREIGN KEY (`organization_id`, `product_id`) REFERENCES `products` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `prices_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `prices_recurrence` CHECK (recurrence_count >= 1),
  CONSTRAINT `prices_recurrence_interval_known` CHECK (recurrence_interval IN ('DAY', 'WEEK', 'MONTH', 'YEAR')),
  CONSTRAINT `prices_unit_amount` CHECK (unit_amount_units >= 0),
  CONSTRAINT `prices_unit_amount_units_range` CHECK (unit_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "price_organization_id_product_id_id" to table: "prices"
CREATE INDEX `price_organization_id_product_id_id` ON `prices` (`organization_id`, `product_id`, `id`);
-- create "products" table
CREATE TABLE `products` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `name` text NOT NULL,
  `description` text NULL,
  `active` bool NOT NULL DEFAULT (true),
  `provider_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `products_providers_provider` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `products_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION
);
-- create index "product_organization_id_name_id" to table: "products"
CREATE INDEX `product_organization_id_name_id` ON `products` (`organization_id`, `name`, `id`);
-- create "providers" table
CREATE TABLE `providers` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `slug` text NOT NULL,
  `name` text NOT NULL,
  `description` text NULL,
  `kind` text NOT NULL,
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `merchant_code` text NULL,
  `auth_type` text NOT NULL DEFAULT (''),
  `publishable_key` text NULL,
  `secret_hint` text NULL,
  `secret_sealed` blob NULL,
  `webhook_secret_sealed` blob NULL,
  `webhook_secret_previous_sealed` blob NULL,
  `webhook_secret_previous_until` datetime NULL,
  `mac_secret_sealed` blob NULL,
  `legacy_mac` bool NOT NULL DEFAULT (false),
  `endpoint` text NOT NULL DEFAULT (''),
  `credential_version` integer NOT NULL DEFAULT (1),
  `gateway_account_id` text NOT NULL DEFAULT (''),
  `account_unproven_at` datetime NULL,
  `webhook_token` text NOT NULL,
  `webhook_endpoint_id` text NOT NULL DEFAULT (''),
  `pending_call_id` text NULL,
  `return_problem` text NOT NULL DEFAULT (''),
  `return_problem_at` datetime NULL,
  `global_provider_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `providers_global_provider_id_fk` FOREIGN KEY (`global_provider_id`) REFERENCES `global_providers` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `providers_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `providers_kind_known` CHECK (kind IN ('STRIPE', 'WORLDPAY')),
  CONSTRAINT `providers_status_known` CHECK (status IN ('ACTIVE', 'ARCHIVED'))
);
-- create index "provider_organization_id_slug" to table: "providers"
CREATE UNIQUE INDEX `provider_organization_id_slug` ON `providers` (`organization_id`, `slug`);
-- create index "provider_organization_id_webhook_token" to table: "providers"
CREATE UNIQUE INDEX `provider_organization_id_webhook_token` ON `providers` (`organization_id`, `webhook_token`);
-- create "quotes" table
CREATE TABLE `quotes` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `number` text NULL,
  `status` text NOT NULL DEFAULT ('DRAFT'),
  `currency` text NULL,
  `total_units` integer NOT NULL DEFAULT (0),
  `description` text NULL,
  `expires_at` datetime NULL,
  `starts_at` datetime NULL,
  `finalized_at` datetime NULL,
  `accepted_at` datetime NULL,
  `gateway_quote_id` text NULL,
  `revision_of_id` text NULL,
  `public_token` text NOT NULL,
  `accept_token` text NULL,
  `pending_call_id` text NULL,
  `payer_id` text NULL,
  `provider_id` text NULL,
  `invoice_id` text NULL,
  `subscription_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `quotes_payers_quotes` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quotes_providers_provider` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quotes_invoices_invoice` FOREIGN KEY (`organization_id`, `invoice_id`) REFERENCES `invoices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quotes_subscriptions_subscription` FOREIGN KEY (`organization_id`, `subscription_id`) REFERENCES `subscriptions` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quotes_revision_of_id_fk` FOREIGN KEY (`organization_id`, `revision_of_id`) REFERENCES `quotes` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quotes_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quotes_complete` CHECK (status IN ('DRAFT', 'CANCELED') OR (payer_id IS NOT NULL AND currency IS NOT NULL AND number IS NOT NULL AND finalized_at IS NOT NULL)),
  CONSTRAINT `quotes_status_known` CHECK (status IN ('DRAFT', 'OPEN', 'ACCEPTED', 'CANCELED', 'EXPIRED')),
  CONSTRAINT `quotes_total` CHECK (total_units >= 0),
  CONSTRAINT `quotes_total_units_range` CHECK (total_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "quote_organization_id_number" to table: "quotes"
CREATE UNIQUE INDEX `quote_organization_id_number` ON `quotes` (`organization_id`, `number`);
-- create index "quote_organization_id_provider_id_gateway_quote_id" to table: "quotes"
CREATE UNIQUE INDEX `quote_organization_id_provider_id_gateway_quote_id` ON `quotes` (`organization_id`, `provider_id`, `gateway_quote_id`);
-- create index "quote_organization_id_public_token" to table: "quotes"
CREATE UNIQUE INDEX `quote_organization_id_public_token` ON `quotes` (`organization_id`, `public_token`);
-- create index "quote_organization_id_accept_token" to table: "quotes"
CREATE UNIQUE INDEX `quote_organization_id_accept_token` ON `quotes` (`organization_id`, `accept_token`);
-- create index "quote_organization_id_revision_of_id" to table: "quotes"
CREATE INDEX `quote_organization_id_revision_of_id` ON `quotes` (`organization_id`, `revision_of_id`) WHERE revision_of_id IS NOT NULL;
-- create index "quote_organization_id_payer_id_id" to table: "quotes"
CREATE INDEX `quote_organization_id_payer_id_id` ON `quotes` (`organization_id`, `payer_id`, `id`);
-- create index "quote_organization_id_status_id" to table: "quotes"
CREATE INDEX `quote_organization_id_status_id` ON `quotes` (`organization_id`, `status`, `id`);
-- create index "quote_organization_id_expires_at" to table: "quotes"
CREATE INDEX `quote_organization_id_expires_at` ON `quotes` (`organization_id`, `expires_at`) WHERE status = 'OPEN';
-- create index "quote_organization_id_updated_at" to table: "quotes"
CREATE INDEX `quote_organization_id_updated_at` ON `quotes` (`organization_id`, `updated_at`);
-- create "quote_lines" table
CREATE TABLE `quote_lines` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `position` integer NOT NULL,
  `description` text NOT NULL,
  `quantity` integer NOT NULL,
  `currency` text NOT NULL,
  `unit_amount_units` integer NOT NULL,
  `amount_units` integer NOT NULL,
  `recurrence_interval` text NULL,
  `recurrence_count` integer NOT NULL DEFAULT (1),
  `quote_id` text NOT NULL,
  `price_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `quote_lines_quotes_lines` FOREIGN KEY (`organization_id`, `quote_id`) REFERENCES `quotes` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quote_lines_prices_price` FOREIGN KEY (`organization_id`, `price_id`) REFERENCES `prices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quote_lines_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `quote_lines_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `quote_lines_quantity` CHECK (quantity >= 1),
  CONSTRAINT `quote_lines_recurrence_interval_known` CHECK (recurrence_interval IN ('DAY', 'WEEK', 'MONTH', 'YEAR')),
  CONSTRAINT `quote_lines_unit_amount_units_range` CHECK (unit_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "quoteline_organization_id_quote_id_position" to table: "quote_lines"
CREATE UNIQUE INDEX `quoteline_organization_id_quote_id_position` ON `quote_lines` (`organization_id`, `quote_id`, `position`);
-- create "refunds" table
CREATE TABLE `refunds` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `currency` text NOT NULL,
  `amount_units` integer NOT NULL,
  `status` text NOT NULL DEFAULT ('PROCESSING'),
  `reason` text NULL,
  `failure_message` text NULL,
  `gateway_refund_id` text NULL,
  `hold_id` text NULL,
  `next_check_at` datetime NULL,
  `checks` integer NOT NULL DEFAULT (0),
  `credit_note_id` text NULL,
  `payment_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `refunds_credit_notes_refunds` FOREIGN KEY (`organization_id`, `credit_note_id`) REFERENCES `credit_notes` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `refunds_payments_refunds` FOREIGN KEY (`organization_id`, `payment_id`) REFERENCES `payments` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `refunds_hold_id_fk` FOREIGN KEY (`organization_id`, `hold_id`) REFERENCES `holds` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `refunds_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `refunds_amount` CHECK (amount_units > 0),
  CONSTRAINT `refunds_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `refunds_status_known` CHECK (status IN ('PROCESSING', 'SUCCEEDED', 'FAILED'))
);
-- create index "refund_organization_id_payment_id_gateway_refund_id" to table: "refunds"
CREATE UNIQUE INDEX `refund_organization_id_payment_id_gateway_refund_id` ON `refunds` (`organization_id`, `payment_id`, `gateway_refund_id`);
-- create index "refund_organization_id_credit_note_id" to table: "refunds"
CREATE INDEX `refund_organization_id_credit_note_id` ON `refunds` (`organization_id`, `credit_note_id`);
-- create index "refund_organization_id_next_check_at" to table: "refunds"
CREATE INDEX `refund_organization_id_next_check_at` ON `refunds` (`organization_id`, `next_check_at`) WHERE next_check_at IS NOT NULL;
-- create "subscriptions" table
CREATE TABLE `subscriptions` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `currency` text NOT NULL,
  `amount_units` integer NOT NULL DEFAULT (0),
  `status` text NOT NULL DEFAULT ('INCOMPLETE'),
  `collection` text NOT NULL DEFAULT ('AUTOMATIC'),
  `recurrence_interval` text NOT NULL,
  `recurrence_count` integer NOT NULL,
  `time_zone` text NOT NULL,
  `anchor_at` datetime NOT NULL,
  `period` integer NOT NULL DEFAULT (-1),
  `starts_at` datetime NOT NULL,
  `current_period_start` datetime NOT NULL,
  `current_period_end` datetime NOT NULL,
  `trial_ends_at` datetime NULL,
  `canceled_at` datetime NULL,
  `cancel_at_period_end` bool NOT NULL DEFAULT (false),
  `due_at` datetime NULL,
  `notice_at` datetime NULL,
  `pending_lines` json NOT NULL,
  `version` integer NOT NULL DEFAULT (0),
  `payer_id` text NOT NULL,
  `provider_id` text NULL,
  `payment_method_id` text NULL,
  `quote_id` text NULL,
  `latest_invoice_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `subscriptions_payers_subscriptions` FOREIGN KEY (`organization_id`, `payer_id`) REFERENCES `payers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscriptions_providers_provider` FOREIGN KEY (`organization_id`, `provider_id`) REFERENCES `providers` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscriptions_payment_methods_payment_method` FOREIGN KEY (`organization_id`, `payment_method_id`) REFERENCES `payment_methods` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscriptions_quotes_quote` FOREIGN KEY (`organization_id`, `quote_id`) REFERENCES `quotes` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscriptions_invoices_latest_invoice` FOREIGN KEY (`organization_id`, `latest_invoice_id`) REFERENCES `invoices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscriptions_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscriptions_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `subscriptions_collection_known` CHECK (collection IN ('AUTOMATIC', 'SEND', 'BALANCE')),
  CONSTRAINT `subscriptions_ended` CHECK (status <> 'CANCELED' OR (canceled_at IS NOT NULL AND due_at IS NULL)),
  CONSTRAINT `subscriptions_period` CHECK (current_period_end > current_period_start AND period >= -1),
  CONSTRAINT `subscriptions_recurrence_interval_known` CHECK (recurrence_interval IN ('DAY', 'WEEK', 'MONTH', 'YEAR')),
  CONSTRAINT `subscriptions_status_known` CHECK (status IN ('SCHEDULED', 'INCOMPLETE', 'TRIALING', 'ACTIVE', 'PAST_DUE', 'UNPAID', 'CANCELED'))
);
-- create index "subscription_organization_id_quote_id" to table: "subscriptions"
CREATE UNIQUE INDEX `subscription_organization_id_quote_id` ON `subscriptions` (`organization_id`, `quote_id`);
-- create index "subscription_organization_id_payer_id_id" to table: "subscriptions"
CREATE INDEX `subscription_organization_id_payer_id_id` ON `subscriptions` (`organization_id`, `payer_id`, `id`);
-- create index "subscription_organization_id_status_id" to table: "subscriptions"
CREATE INDEX `subscription_organization_id_status_id` ON `subscriptions` (`organization_id`, `status`, `id`);
-- create index "subscription_organization_id_updated_at" to table: "subscriptions"
CREATE INDEX `subscription_organization_id_updated_at` ON `subscriptions` (`organization_id`, `updated_at`);
-- create index "subscription_organization_id_due_at" to table: "subscriptions"
CREATE INDEX `subscription_organization_id_due_at` ON `subscriptions` (`organization_id`, `due_at`) WHERE due_at IS NOT NULL;
-- create index "subscription_organization_id_notice_at" to table: "subscriptions"
CREATE INDEX `subscription_organization_id_notice_at` ON `subscriptions` (`organization_id`, `notice_at`) WHERE notice_at IS NOT NULL;
-- create "subscription_items" table
CREATE TABLE `subscription_items` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `position` integer NOT NULL,
  `description` text NOT NULL,
  `quantity` integer NOT NULL,
  `currency` text NOT NULL,
  `unit_amount_units` integer NOT NULL,
  `amount_units` integer NOT NULL,
  `subscription_id` text NOT NULL,
  `price_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `subscription_items_subscriptions_items` FOREIGN KEY (`organization_id`, `subscription_id`) REFERENCES `subscriptions` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscription_items_prices_price` FOREIGN KEY (`organization_id`, `price_id`) REFERENCES `prices` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscription_items_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `subscription_items_amount_units_range` CHECK (amount_units BETWEEN -1000000000000000000 AND 1000000000000000000),
  CONSTRAINT `subscription_items_quantity` CHECK (quantity >= 1),
  CONSTRAINT `subscription_items_unit_amount_units_range` CHECK (unit_amount_units BETWEEN -1000000000000000000 AND 1000000000000000000)
);
-- create index "subscriptionitem_organization_id_subscription_id_position" to table: "subscription_items"
CREATE UNIQUE INDEX `subscriptionitem_organization_id_subscription_id_position` ON `subscription_items` (`organization_id`, `subscription_id`, `position`);
-- create "webhook_deliveries" table
CREATE TABLE `webhook_deliveries` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `outbox_id` text NOT NULL,
  `event_type` text NOT NULL,
  `attempt` integer NOT NULL,
  `status` text NOT NULL DEFAULT ('PENDING'),
  `http_status` integer NOT NULL DEFAULT (0),
  `error` text NOT NULL DEFAULT (''),
  `next_attempt_at` datetime NULL,
  `finished_at` datetime NULL,
  `endpoint_id` text NOT NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `webhook_deliveries_webhook_endpoints_deliveries` FOREIGN KEY (`organization_id`, `endpoint_id`) REFERENCES `webhook_endpoints` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `webhook_deliveries_outbox_id_fk` FOREIGN KEY (`organization_id`, `outbox_id`) REFERENCES `outboxes` (`organization_id`, `id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `webhook_deliveries_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `webhook_deliveries_status_known` CHECK (status IN ('PENDING', 'DELIVERED', 'FAILED'))
);
-- create index "webhookdelivery_organization_id_endpoint_id_outbox_id_attempt" to table: "webhook_deliveries"
CREATE UNIQUE INDEX `webhookdelivery_organization_id_endpoint_id_outbox_id_attempt` ON `webhook_deliveries` (`organization_id`, `endpoint_id`, `outbox_id`, `attempt`);
-- create index "webhookdelivery_organization_id_endpoint_id_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_organization_id_endpoint_id_id` ON `webhook_deliveries` (`organization_id`, `endpoint_id`, `id`);
-- create index "webhookdelivery_organization_id_created_at" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_organization_id_created_at` ON `webhook_deliveries` (`organization_id`, `created_at`);
-- create index "webhookdelivery_organization_id_outbox_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_organization_id_outbox_id` ON `webhook_deliveries` (`organization_id`, `outbox_id`);
-- create index "webhookdelivery_organization_id_endpoint_id_next_attempt_at" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_organization_id_endpoint_id_next_attempt_at` ON `webhook_deliveries` (`organization_id`, `endpoint_id`, `next_attempt_at`) WHERE next_attempt_at IS NOT NULL;
-- create "webhook_endpoints" table
CREATE TABLE `webhook_endpoints` (
  `organization_id` text NOT NULL,
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `url` text NOT NULL,
  `description` text NULL,
  `status` text NOT NULL DEFAULT ('ACTIVE'),
  `event_types` json NOT NULL,
  `secret_sealed` blob NULL,
  `secret_previous_sealed` blob NULL,
  `secret_previous_until` datetime NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `webhook_endpoints_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `webhook_endpoints_status_known` CHECK (status IN ('ACTIVE', 'DISABLED', 'DELETED'))
);
-- create index "webhookendpoint_organization_id_status" to table: "webhook_endpoints"
CREATE INDEX `webhookendpoint_organization_id_status` ON `webhook_endpoints` (`organization_id`, `status`);
