package stripesandbox

import "purser/sandbox"

// schema lists the steps of the sandbox's own tables; steps are only appended.
//
// Objects are stored as their JSON: the sandbox is judged by the documents it
// sends, and a document store keeps them the way they are sent. seq is the
// order of creation and thereby the order of lists; due_at is the account time
// at which something happens to an object by itself.
var schema = []string{`
CREATE TABLE accounts (
	id TEXT PRIMARY KEY,
	key_digest TEXT NOT NULL UNIQUE,
	publishable_key TEXT NOT NULL,
	clock_offset INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL
);
CREATE TABLE objects (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL REFERENCES accounts (id),
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	body TEXT NOT NULL,
	due_at INTEGER,
	deleted INTEGER NOT NULL DEFAULT 0,
	page_token TEXT,
	UNIQUE (account, id)
);
CREATE INDEX objects_list ON objects (account, kind, deleted, seq);
CREATE INDEX objects_due ON objects (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX objects_customer ON objects (account, kind, json_extract(body, '$.customer'), seq);
CREATE UNIQUE INDEX objects_page ON objects (page_token) WHERE page_token IS NOT NULL;
CREATE TABLE idempotency_keys (
	account TEXT NOT NULL REFERENCES accounts (id),
	key TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	request_id TEXT NOT NULL,
	status INTEGER NOT NULL,
	body TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (account, key)
);`, sandbox.QueueSchema}
