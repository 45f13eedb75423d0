// Package database opens the two kinds of database that Purser runs on and
// brings their tables up to date. It owns connection settings, the statement
// cache, the classification of database errors, the application of versioned
// migrations, and the backup of an embedded database. It does not own a single
// table of the domain, nor the retry of a transaction: callers decide with
// IsRetryable and IsOutcomeUnknown.
//
// Invariants:
//
//   - A statement that has left this process is never sent a second time
//     behind the caller's back. When the connection breaks before the reply
//     arrived, the caller reads ErrOutcomeUnknown (a write outside a
//     transaction, or COMMIT) or ErrConnectionLost (nothing was applied, try
//     the whole unit of work again).
//   - SQLite has exactly one writing connection, whose transactions take the
//     write lock when they begin, and syncs every commit to disk.
//   - Both databases give up a transaction at its first failed statement.
//   - A migration file is applied completely or not at all.
package database
