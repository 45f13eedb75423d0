package database

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
)

// Observer is told of every statement just before it is sent, with its
// arguments. BEGIN, COMMIT and ROLLBACK made by database/sql are not
// statements. It is called from many goroutines and must not keep args.
type Observer func(ctx context.Context, query string, args []driver.NamedValue)

// connector wraps a driver's connector so that every connection caches its
// prepared statements and tells a lost reply from a statement that never left.
type connector struct {
	driver.Connector

	observe Observer

	// countsBytes says that the connections run over a network and that the
	// dialer reports what was written (see wire).
	countsBytes bool
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	dialed := new(dialed)
	base, err := c.Connector.Connect(context.WithValue(ctx, dialedKey{}, dialed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	full, ok := base.(fullConn)
	if !ok {
		_ = base.Close()
		return nil, fmt.Errorf("open connection: driver %T lacks an interface that the statement cache needs", base)
	}
	cn := &conn{base: full, cache: newStmtCache(stmtCacheSizeMax), observe: c.observe}
	if c.countsBytes {
		if dialed.wire == nil {
			_ = base.Close()
			return nil, fmt.Errorf("open connection: driver %T did not use the given dialer", base)
		}
		cn.wire = dialed.wire
	}
	return cn, nil
}

// fullConn is what both drivers' connections can do.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// fullStmt is what both drivers' statements can do.
type fullStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn is one connection. database/sql lets one goroutine at a time use it.
type conn struct {
	base    fullConn
	cache   *stmtCache
	observe Observer
	wire    *wire // nil for SQLite, which has no network to lose replies on

	inTx     bool
	aborted  bool // SQLite: a statement of this transaction failed
	broken   bool
	rowsOpen bool // PostgreSQL: a result is being read
}

var (
	_ fullConn                 = (*conn)(nil)
	_ driver.NamedValueChecker = (*conn)(nil)
)

// ExecContext implements driver.ExecerContext. A statement with arguments is
// prepared once per connection; one without runs as text, which costs
// PostgreSQL one round trip and allows scripts.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.admit(ctx, query, args); err != nil {
		return nil, err
	}
	if len(args) == 0 {
		sent := c.sent()
		res, err := c.base.ExecContext(ctx, query, args)
		return res, c.judge(ctx, query, sent, err)
	}
	for attempt := 1; ; attempt++ {
		entry, hit, err := c.prepared(ctx, query)
		if err != nil {
			return nil, err
		}
		sent := c.sent()
		res, err := entry.stmt.ExecContext(ctx, args)
		c.cache.release(entry)
		if err != nil && c.mayRepeat(entry, err, hit, attempt) {
			continue
		}
		return res, c.judge(ctx, query, sent, err)
	}
}

// QueryContext implements driver.QueryerContext; see ExecContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.admit(ctx, query, args); err != nil {
		return nil, err
	}
	if len(args) == 0 {
		sent := c.sent()
		r, err := c.base.QueryContext(ctx, query, args)
		if err != nil {
			return nil, c.judge(ctx, query, sent, err)
		}
		return c.newRows(ctx, query, sent, r, nil), nil
	}
	for attempt := 1; ; attempt++ {
		entry, hit, err := c.prepared(ctx, query)
		if err != nil {
			return nil, err
		}
		sent := c.sent()
		r, err := entry.stmt.QueryContext(ctx, args)
		if err == nil {
			return c.newRows(ctx, query, sent, r, entry), nil
		}
		c.cache.release(entry)
		if c.mayRepeat(entry, err, hit, attempt) {
			continue
		}
		return nil, c.judge(ctx, query, sent, err)
	}
}

// prepared returns the statement for query, from the cache or fresh, marked as
// in use. Preparing runs nothing, so losing its reply is harmless.
func (c *conn) prepared(ctx context.Context, query string) (entry *stmtEntry, hit bool, err error) {
	if entry := c.cache.acquire(query); entry != nil {
		return entry, true, nil
	}
	st, err := c.prepare(ctx, query)
	if err != nil {
		return nil, false, err
	}
	return c.cache.add(query, st), false, nil
}

// mayRepeat evicts a statement whose plan has gone stale and reports whether
// to prepare it again at once. Inside a transaction PostgreSQL has already
// given the transaction up, so its owner has to repeat the whole of it.
func (c *conn) mayRepeat(entry *stmtEntry, err error, hit bool, attempt int) bool {
	if !isStalePlan(err) {
		return false
	}
	c.cache.evict(entry)
	return hit && !c.inTx && attempt == 1
}

// PrepareContext implements driver.ConnPrepareContext. The statement belongs to
// the caller and is not cached.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.ready(query); err != nil {
		return nil, err
	}
	st, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{conn: c, base: st, query: query}, nil
}

func (c *conn) prepare(ctx context.Context, query string) (fullStmt, error) {
	base, err := c.base.PrepareContext(ctx, query)
	if err != nil {
		if c.isBroken(err) {
			return nil, c.lostHarmlessly(err)
		}
		return nil, c.failed(explainCancel(ctx, err))
	}
	st, ok := base.(fullStmt)
	if !ok {
		_ = base.Close()
		return nil, fmt.Errorf("prepare statement: %T lacks an interface that the statement cache needs", base)
	}
	return st, nil
}

// Prepare implements driver.Conn.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// Begin implements driver.Conn; database/sql calls BeginTx instead.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *conn) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := c.base.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error {
	err := c.base.Ping(ctx)
	if c.isBroken(err) {
		return c.lostHarmlessly(err)
	}
	return err
}

// ResetSession implements driver.SessionResetter: it runs before a connection
// from the pool is used again. A connection that the server has closed in the
// meantime is found here, before anything is sent on it; otherwise the first
// write after a restart of the server would end with an unknown outcome.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.broken || c.inTx {
		return driver.ErrBadConn
	}
	c.rowsOpen = false
	if err := c.base.ResetSession(ctx); err != nil {
		return err
	}
	if c.wire != nil && c.wire.hungUp() {
		c.broken = true
		return driver.ErrBadConn
	}
	return nil
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return !c.broken && c.base.IsValid() }

// Close implements driver.Conn.
func (c *conn) Close() error {
	if c.wire == nil {
		// SQLite keeps the file open until its last statement is finalized;
		// PostgreSQL forgets them with the session.
		c.cache.closeAll()
	}
	return c.base.Close()
}

// admit refuses a statement that the state of the connection forbids, and
// tells the observer of any other.
func (c *conn) admit(ctx context.Context, query string, args []driver.NamedValue) error {
	if err := c.ready(query); err != nil {
		return err
	}
	if c.observe != nil {
		c.observe(ctx, query, args)
	}
	return nil
}

func (c *conn) ready(query string) error {
	if c.rowsOpen {
		return errRowsOpen
	}
	if !c.aborted {
		return nil
	}
	if hasKeyword(query, "ROLLBACK") {
		c.aborted = false // back to a savepoint, as PostgreSQL allows
		return nil
	}
	return ErrTxAborted
}

// sent returns how many bytes have left on this connection.
func (c *conn) sent() int64 {
	if c.wire == nil {
		return 0
	}
	return c.wire.sent.Load()
}

// isBroken reports whether the connection failed with err.
func (c *conn) isBroken(err error) bool {
	return err != nil && c.wire != nil && isBroken(err)
}

// judge turns the driver's error of an executed statement into what the caller
// may conclude from it. sentBefore is the byte count before the call.
func (c *conn) judge(ctx context.Context, query string, sentBefore int64, err error) error {
	if err == nil {
		return nil
	}
	if !c.isBroken(err) {
		return c.failed(explainCancel(ctx, err))
	}
	// Statements that begin with SELECT change nothing here: the program has
	// no functions with effects and writes no data-modifying WITH.
	if c.inTx || c.sent() == sentBefore || hasKeyword(query, "SELECT") {
		return c.lostHarmlessly(err)
	}
	c.broken = true
	return unknown(err)
}

// failed notes a failed statement of a transaction on SQLite.
func (c *conn) failed(err error) error {
	if c.inTx && c.wire == nil {
		c.aborted = true
	}
	return err
}

// lostHarmlessly answers for a connection that broke without anything having
// been applied. Outside a transaction database/sql repeats the call on another
// connection; inside one it cannot, so the error tells the caller to.
func (c *conn) lostHarmlessly(err error) error {
	c.broken = true
	if c.inTx {
		return lost(err)
	}
	return driver.ErrBadConn
}

// unknown and lost put the driver's error into the text only: an error that
// wraps driver.ErrBadConn would make database/sql send the statement again.
func unknown(err error) error {
	return fmt.Errorf("%w: no reply from the database: %s", ErrOutcomeUnknown, err.Error())
}
func lost(err error) error { return fmt.Errorf("%w: %s", ErrConnectionLost, err.Error()) }

// hasKeyword reports whether query begins with the given upper-case keyword.
func hasKeyword(query, keyword string) bool {
	query = strings.TrimLeft(query, " \t\r\n")
	return len(query) >= len(keyword) && strings.EqualFold(query[:len(keyword)], keyword) &&
		(len(query) == len(keyword) || !isWordByte(query[len(keyword)]))
}

func isWordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
}
