package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
)

// benchCase is one way to record usage.
type benchCase struct {
	name    string
	payers  int // on how many balances
	callers int // at once
	batch   int // events in a request
	clients int // of pgbench, to compare with
	// same has pgbench send our statements in one transaction, not one
	// statement of its own.
	same bool
}

// benchCases are all of them, where random means one of so many balances.
func benchCases(payers int) []benchCase {
	return []benchCase{
		{"W1 random, 256 in flight", payers, 256, 1, 64, false},
		{"W2 hot, 64 in flight", 1, 64, 1, 64, false},
		{"W2 hot, 256 in flight", 1, 256, 1, 64, false},
		{"W3 random, batches of 100", payers, 16, benchBatch, 64, false},
		{"W3 hot, batches of 100", 1, 16, benchBatch, 64, false},
		{"W6 random, 1 in flight", payers, 1, 1, 1, true},
	}
}

// run measures each case, pgbench's part of it just before and just after.
func (b *benchmark) run(ctx context.Context) error {
	if _, err := fmt.Fprintf(b.out, "%-28s %10s %9s %9s %12s %10s %6s\n", "", "events/s", "ms", "WAL B", "events/fsync", "pgbench/s", "ratio"); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	for _, c := range benchCases(len(b.payers)) {
		if !strings.HasPrefix(c.name, b.only) {
			continue
		}
		before, err := b.compare(ctx, c)
		if err != nil {
			return err
		}
		var events atomic.Int64
		log, err := b.log(ctx)
		if err != nil {
			return err
		}
		started := time.Now()
		if err := b.record(ctx, c.payers, c.batch, c.callers, &events); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		took := time.Since(started).Seconds()
		written, err := b.log(ctx)
		if err != nil {
			return err
		}
		after, err := b.compare(ctx, c)
		if err != nil {
			return err
		}
		n := float64(events.Load())
		line := fmt.Sprintf("%-28s %10.0f %9.2f", c.name, n/took, took*1000*float64(c.callers*c.batch)/n)
		if b.db.Dialect == dialect.Postgres {
			line += fmt.Sprintf(" %9.0f %12.1f", float64(written.bytes-log.bytes)/n, n/float64(max(1, written.syncs-log.syncs)))
		}
		if before+after > 0 {
			line += fmt.Sprintf(" %10.0f %6.2f", (before+after)/2, n/took/((before+after)/2))
		}
		if _, err := fmt.Fprintln(b.out, line); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// logState is how much PostgreSQL has written to its log and how often it has
// waited for the disk to keep it.
type logState struct{ bytes, syncs int64 }

// log reads the state of the log; it is zero on SQLite.
func (b *benchmark) log(ctx context.Context) (at logState, err error) {
	if b.db.Dialect != dialect.Postgres {
		return at, nil
	}
	err = b.db.Read.QueryRowContext(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, wal_sync FROM pg_stat_wal").Scan(&at.bytes, &at.syncs)
	if err != nil {
		return at, fmt.Errorf("read the state of the log: %w", err)
	}
	return at, nil
}

func (b *benchmark) compare(ctx context.Context, c benchCase) (float64, error) {
	if b.pgbench == nil {
		return 0, nil
	}
	return b.pgbench.run(ctx, b, c)
}

// The documents that the bench sends. They ask for what a caller at line speed
// needs: what was booked, and why not.
const (
	benchOne  = `mutation($input: UsageRecordInput!) { usageRecord(input: $input) { entry { id } userErrors { code } } }`
	benchMany = `mutation($input: UsageRecordBatchInput!) { usageRecordBatch(input: $input) { results { entry { id } userErrors { code } } userErrors { code } } }`
)

// record sends usage over HTTP for the length of a case; without a counter
// once to each payer.
func (b *benchmark) record(ctx context.Context, payers, batch, callers int, events *atomic.Int64) error {
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	var next atomic.Int64
	event := func() map[string]any {
		n := next.Add(1)
		return map[string]any{
			"payerId": b.payers[int(n*7919)%payers], "amount": map[string]any{"amount": "0.0001", "currency": "USD"},
			"onInsufficient": "RECORD", "idempotencyKey": run + "-" + strconv.FormatInt(n, 10),
		}
	}
	ends := time.Now().Add(b.length)
	more := func() bool {
		if events == nil {
			return next.Load() < int64(payers)
		}
		return time.Now().Before(ends)
	}
	failed := make(chan error, callers)
	var working sync.WaitGroup
	for range callers {
		working.Go(func() {
			caller, err := b.dial(ctx)
			if err != nil {
				failed <- err
				return
			}
			defer caller.Close()
			for more() {
				query, input := benchOne, any(nil)
				if batch == 1 {
					input = event()
				} else {
					all := make([]any, batch)
					for i := range all {
						all[i] = event()
					}
					query, input = benchMany, map[string]any{"events": all}
				}
				if err := caller.ask(map[string]any{"query": query, "variables": map[string]any{"input": input}}); err != nil {
					failed <- err
					return
				}
				if events != nil {
					events.Add(int64(batch))
				}
			}
		})
	}
	working.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// benchCaller is one connection, which costs the machine as little as it can.
type benchCaller struct {
	net.Conn
	head string
	in   *bufio.Reader
	out  bytes.Buffer
}

func (b *benchmark) dial(ctx context.Context) (*benchCaller, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.address)
	if err != nil {
		return nil, fmt.Errorf("reach the server: %w", err)
	}
	head := "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json\r\nAuthorization: Bearer " + b.token + "\r\nContent-Length: "
	return &benchCaller{Conn: conn, head: head, in: bufio.NewReader(conn)}, nil
}

// ask sends one document, which has to succeed.
func (c *benchCaller) ask(document map[string]any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	c.out.Reset()
	fmt.Fprintf(&c.out, "%s%d\r\n\r\n", c.head, len(body))
	c.out.Write(body)
	if _, err := c.Write(c.out.Bytes()); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if resp.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"errors"`)) || bytes.Contains(answer, []byte(`"code":"`)) {
		return fmt.Errorf("answered %s: %.300s", resp.Status, answer)
	}
	return nil
}
