-- modify "providers" table
ALTER TABLE "providers" ADD COLUMN "gateway_account_id" character varying NOT NULL DEFAULT '', ADD COLUMN "account_unproven_at" timestamptz NULL;
