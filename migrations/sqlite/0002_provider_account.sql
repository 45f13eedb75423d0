-- disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- create "new_providers" table
CREATE TABLE `new_providers` (
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
  `global_provider_id` text NULL,
  PRIMARY KEY (`organization_id`, `id`),
  CONSTRAINT `providers_global_provider_id_fk` FOREIGN KEY (`global_provider_id`) REFERENCES `global_providers` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `providers_organization_id_fk` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON UPDATE NO ACTION ON DELETE NO ACTION,
  CONSTRAINT `providers_kind_known` CHECK (kind IN ('STRIPE', 'WORLDPAY')),
  CONSTRAINT `providers_status_known` CHECK (status IN ('ACTIVE', 'ARCHIVED'))
);
-- copy rows from old table "providers" to new temporary table "new_providers"
INSERT INTO `new_providers` (`organization_id`, `id`, `created_at`, `slug`, `name`, `description`, `kind`, `status`, `merchant_code`, `auth_type`, `publishable_key`, `secret_hint`, `secret_sealed`, `webhook_secret_sealed`, `webhook_secret_previous_sealed`, `webhook_secret_previous_until`, `mac_secret_sealed`, `legacy_mac`, `endpoint`, `credential_version`, `webhook_token`, `webhook_endpoint_id`, `global_provider_id`) SELECT `organization_id`, `id`, `created_at`, `slug`, `name`, `description`, `kind`, `status`, `merchant_code`, `auth_type`, `publishable_key`, `secret_hint`, `secret_sealed`, `webhook_secret_sealed`, `webhook_secret_previous_sealed`, `webhook_secret_previous_until`, `mac_secret_sealed`, `legacy_mac`, `endpoint`, `credential_version`, `webhook_token`, `webhook_endpoint_id`, `global_provider_id` FROM `providers`;
-- drop "providers" table after copying rows
DROP TABLE `providers`;
-- rename temporary table "new_providers" to "providers"
ALTER TABLE `new_providers` RENAME TO `providers`;
-- create index "provider_organization_id_slug" to table: "providers"
CREATE UNIQUE INDEX `provider_organization_id_slug` ON `providers` (`organization_id`, `slug`);
-- create index "provider_organization_id_webhook_token" to table: "providers"
CREATE UNIQUE INDEX `provider_organization_id_webhook_token` ON `providers` (`organization_id`, `webhook_token`);
-- enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
