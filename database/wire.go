package database

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// wire is the network connection below a PostgreSQL session. It counts what
// was written, because the driver gives the same error for a statement that
// was never sent and for one whose reply was lost.
type wire struct {
	net.Conn

	sent atomic.Int64
}

// Write implements net.Conn. A write that fails half-way counts: the server may
// have received all of it.
func (w *wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	if n > 0 {
		w.sent.Add(int64(n))
	}
	return n, err
}

// hungUp reports whether the other side has closed an idle connection or has
// something to say on it, which to an idle session is a farewell.
func (w *wire) hungUp() bool { return peekHungUp(w.Conn) }

// dialedKey carries a *dialed through the driver's Connect to the dialer, so
// that the wrapper learns which network connection belongs to its session.
// Connections that the driver opens for itself, to cancel a query, carry none.
type dialedKey struct{}

type dialed struct{ wire *wire }

// wireDialer dials as the driver would and wraps what it dialed.
type wireDialer struct{ dialer net.Dialer }

// Dial implements pq.Dialer.
func (d *wireDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d *wireDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d *wireDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	base, err := d.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: base}
	if slot, ok := ctx.Value(dialedKey{}).(*dialed); ok {
		if slot.wire != nil {
			// The driver dials again after the server declined TLS and leaves
			// the first connection open, which holds one of the server's.
			_ = slot.wire.Close()
		}
		slot.wire = w
	}
	return w, nil
}
