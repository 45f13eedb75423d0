package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
)

// closeCounter is a statement that only counts how often it is closed.
type closeCounter struct{ closed int }

var errNotRun = errors.New("this statement is never run")

func (s *closeCounter) Close() error  { s.closed++; return nil }
func (s *closeCounter) NumInput() int { return -1 }
func (s *closeCounter) Exec([]driver.Value) (driver.Result, error) {
	return nil, errNotRun
}
func (s *closeCounter) Query([]driver.Value) (driver.Rows, error) { return nil, errNotRun }
func (s *closeCounter) ExecContext(context.Context, []driver.NamedValue) (driver.Result, error) {
	return nil, errNotRun
}

func (s *closeCounter) QueryContext(context.Context, []driver.NamedValue) (driver.Rows, error) {
	return nil, errNotRun
}

func fill(c *stmtCache, queries ...string) map[string]*closeCounter {
	statements := make(map[string]*closeCounter)
	for _, query := range queries {
		statements[query] = new(closeCounter)
		c.release(c.add(query, statements[query]))
	}
	return statements
}

func TestStmtCacheDropsTheLeastRecentlyUsed(t *testing.T) {
	t.Parallel()
	c := newStmtCache(2)
	statements := fill(c, "a", "b")
	entry := c.acquire("a")
	if entry == nil {
		t.Fatal("a is not cached")
	}
	c.release(entry)
	for query, statement := range fill(c, "c") {
		statements[query] = statement
	}
	for query, closed := range map[string]int{"a": 0, "b": 1, "c": 0} {
		if statements[query].closed != closed {
			t.Errorf("%s was closed %d times, want %d", query, statements[query].closed, closed)
		}
		if cached := c.acquire(query) != nil; cached != (closed == 0) {
			t.Errorf("%s is cached: %v", query, cached)
		}
	}
}

func TestStmtCacheNeverLendsOrClosesABusyStatement(t *testing.T) {
	t.Parallel()
	c := newStmtCache(2)
	first := new(closeCounter)
	busy := c.add("a", first)
	if c.acquire("a") != nil {
		t.Error("a busy statement was lent a second time")
	}
	second := new(closeCounter)
	c.release(c.add("a", second))
	if second.closed != 1 {
		t.Errorf("the second statement of a busy query was closed %d times, want 1", second.closed)
	}
	fill(c, "b", "c", "d")
	if first.closed != 0 {
		t.Error("a busy statement was closed")
	}
	c.release(busy)
	if first.closed != 1 {
		t.Errorf("an evicted statement was closed %d times after its release, want 1", first.closed)
	}
}

func TestStmtCacheEvictsOnce(t *testing.T) {
	t.Parallel()
	c := newStmtCache(2)
	statement := new(closeCounter)
	entry := c.add("a", statement)
	c.evict(entry)
	c.evict(entry)
	c.release(entry)
	if statement.closed != 1 || c.len() != 0 {
		t.Errorf("closed %d times with %d left, want 1 and 0", statement.closed, c.len())
	}
}

func TestStmtCacheStaysBelowItsLimitAndClosesEverything(t *testing.T) {
	t.Parallel()
	c := newStmtCache(stmtCacheSizeMax)
	statements := make([]*closeCounter, 1000)
	for i := range statements {
		statements[i] = new(closeCounter)
		c.release(c.add(fmt.Sprint(i), statements[i]))
	}
	if c.len() != stmtCacheSizeMax {
		t.Errorf("%d statements are cached, want %d", c.len(), stmtCacheSizeMax)
	}
	c.closeAll()
	for i, statement := range statements {
		if statement.closed != 1 {
			t.Fatalf("statement %d was closed %d times, want 1", i, statement.closed)
		}
	}
}

func TestHasKeyword(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		"SELECT 1":              true,
		"\n\t select 1":         true,
		"SELECT":                true,
		"SELECT(1)":             true,
		"SELECTED":              false,
		"INSERT INTO a SELECT":  false,
		"WITH x AS (SELECT 1) ": false,
		"":                      false,
	} {
		if got := hasKeyword(query, "SELECT"); got != want {
			t.Errorf("hasKeyword(%q) = %v, want %v", query, got, want)
		}
	}
}
