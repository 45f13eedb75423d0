package database

import "container/list"

// stmtCacheSizeMax bounds the prepared statements that one connection keeps.
// The program has fewer distinct statements with arguments than that on its
// busy paths; lists with varying filters make the rest.
const stmtCacheSizeMax = 256

// stmtCache keeps the most recently used prepared statements of one
// connection. Like the connection it is used by one goroutine at a time.
type stmtCache struct {
	max     int
	byQuery map[string]*list.Element
	order   *list.List // of *stmtEntry, most recently used first
}

// stmtEntry is a prepared statement, cached or lent out.
type stmtEntry struct {
	query string
	stmt  fullStmt

	// busy says that the statement is running or its rows are being read. On
	// SQLite the statement is the cursor, so it can neither run a second time
	// meanwhile nor be closed.
	busy bool

	// dropped says that the cache no longer holds the entry: whoever releases
	// it closes it.
	dropped bool
}

func newStmtCache(size int) *stmtCache {
	return &stmtCache{max: size, byQuery: make(map[string]*list.Element), order: list.New()}
}

// acquire returns the free statement for query, marked busy, or nil.
func (c *stmtCache) acquire(query string) *stmtEntry {
	element, ok := c.byQuery[query]
	if !ok {
		return nil
	}
	entry := element.Value.(*stmtEntry)
	if entry.busy {
		return nil
	}
	c.order.MoveToFront(element)
	entry.busy = true
	return entry
}

// add takes a fresh statement, returns it marked busy, and drops the least
// recently used one when there are too many. A second statement for a query
// whose first is busy lives until it is released.
func (c *stmtCache) add(query string, st fullStmt) *stmtEntry {
	entry := &stmtEntry{query: query, stmt: st, busy: true}
	if _, ok := c.byQuery[query]; ok {
		entry.dropped = true
		return entry
	}
	c.byQuery[query] = c.order.PushFront(entry)
	if c.order.Len() > c.max {
		c.evict(c.order.Back().Value.(*stmtEntry))
	}
	return entry
}

// release marks a statement as free again.
func (c *stmtCache) release(entry *stmtEntry) {
	entry.busy = false
	if entry.dropped {
		closeStmt(entry)
	}
}

// evict forgets a statement and closes it as soon as it is free.
func (c *stmtCache) evict(entry *stmtEntry) {
	if entry.dropped {
		return
	}
	entry.dropped = true
	c.order.Remove(c.byQuery[entry.query])
	delete(c.byQuery, entry.query)
	if !entry.busy {
		closeStmt(entry)
	}
}

// closeAll closes every statement, busy or not; the connection is going away.
func (c *stmtCache) closeAll() {
	for element := c.order.Front(); element != nil; element = element.Next() {
		closeStmt(element.Value.(*stmtEntry))
	}
	c.order.Init()
	clear(c.byQuery)
}

// len returns the number of statements held.
func (c *stmtCache) len() int { return c.order.Len() }

// closeStmt ignores the error of closing: a statement that the server no
// longer knows is what was wanted, and a broken connection is found by the
// next statement.
func closeStmt(entry *stmtEntry) { _ = entry.stmt.Close() }
