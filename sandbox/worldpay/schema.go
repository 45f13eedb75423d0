package worldpaysandbox

import "purser/sandbox"

// schema lists the steps of the sandbox's own tables; steps are only appended.
//
// Merchants, orders and tokens are stored as their JSON. due_at is the time of
// the merchant's clock at which something happens to an order by itself; a
// ticket is what the address of an order's hosted page holds.
var schema = []string{`
CREATE TABLE merchants (
	code TEXT PRIMARY KEY,
	username TEXT NOT NULL UNIQUE,
	body TEXT NOT NULL,
	clock_offset INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE orders (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	merchant TEXT NOT NULL REFERENCES merchants (code),
	code TEXT NOT NULL,
	body TEXT NOT NULL,
	ticket TEXT UNIQUE,
	ticket_until INTEGER,
	due_at INTEGER,
	UNIQUE (merchant, code)
);
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE tokens (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	merchant TEXT NOT NULL REFERENCES merchants (code),
	id TEXT NOT NULL,
	body TEXT NOT NULL,
	UNIQUE (merchant, id)
);
CREATE TABLE notifications (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	merchant TEXT NOT NULL REFERENCES merchants (code),
	order_code TEXT NOT NULL,
	type TEXT NOT NULL,
	body TEXT NOT NULL
);`, sandbox.QueueSchema}
