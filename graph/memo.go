package graph

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"entgo.io/ent"

	entgen "purser/ent"
)

// memo remembers, for one query or mutation, what many of its fields need and
// must not read one by one: the organization, its currencies and providers,
// and the payers and balances that were read so far, so that what belongs to
// each of them is read for all of them at once.
//
// gqlgen's own batches do not reach through a connection's edges, which is
// where payers and balances come in numbers.
type memo struct {
	organization once[*entgen.Organization]
	currencies   once[map[string]*entgen.Currency]
	providers    once[map[string]*entgen.Provider]

	globalProviders once[map[string]*entgen.GlobalProvider]

	shown atomic.Int64 // objects in lists

	mu       sync.Mutex
	payers   []string
	balances []string
	cards    []string       // that balances are reloaded from
	fields   map[string]any // *perRow[T], by what is selected
}

// once reads a value once.
type once[T any] struct {
	once  sync.Once
	value T
	err   error
}

func (o *once[T]) get(read func() (T, error)) (T, error) {
	o.once.Do(func() { o.value, o.err = read() })
	return o.value, o.err
}

type memoKey struct{}

// withMemo returns a context with a fresh memo.
func withMemo(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoKey{}, &memo{fields: map[string]any{}})
}

// memoFrom returns the operation's memo. A subscription has none, because it
// outlives what it would remember: each of its events gets an empty one.
func memoFrom(ctx context.Context) *memo {
	if m, ok := ctx.Value(memoKey{}).(*memo); ok {
		return m
	}
	return &memo{fields: map[string]any{}}
}

// note is an interceptor on payers and balances: whatever query of an operation
// brings them along, they are noted in its memo.
func note(next ent.Querier) ent.Querier {
	return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
		v, err := next.Query(ctx, q)
		if m, ok := ctx.Value(memoKey{}).(*memo); ok {
			m.note(v)
		}
		return v, err
	})
}

func (m *memo) note(v ent.Value) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch rows := v.(type) {
	case []*entgen.Payer:
		for _, p := range rows {
			m.payers = append(m.payers, p.ID)
		}
	case []*entgen.Balance:
		for _, b := range rows {
			m.balances = append(m.balances, b.ID)
			if b.AutoReloadPaymentMethodID != nil {
				m.cards = append(m.cards, *b.AutoReloadPaymentMethodID)
			}
		}
	}
}

// perRow is what one field of the document has read for payers or balances.
type perRow[T any] struct {
	mu    sync.Mutex
	known map[string]T
}

// forPayer returns the value of the field being resolved for one payer. read
// gets all payers known so far whose value is not, and returns the values of
// those that have one.
func forPayer[T any](ctx context.Context, id string, read func(ids []string) (map[string]T, error)) (T, error) {
	m := memoFrom(ctx)
	return forRow(ctx, m, &m.payers, id, read)
}

// forCard is forPayer for the cards that balances are reloaded from.
func forCard[T any](ctx context.Context, id string, read func(ids []string) (map[string]T, error)) (T, error) {
	m := memoFrom(ctx)
	return forRow(ctx, m, &m.cards, id, read)
}

// forBalance is forPayer for balances.
func forBalance[T any](ctx context.Context, id string, read func(ids []string) (map[string]T, error)) (T, error) {
	m := memoFrom(ctx)
	return forRow(ctx, m, &m.balances, id, read)
}

func forRow[T any](ctx context.Context, m *memo, noted *[]string, id string, read func(ids []string) (map[string]T, error)) (T, error) {
	// The same field may stand at two places with more and less selected.
	field := entgen.SelectionKey(ctx)
	m.mu.Lock()
	f, ok := m.fields[field].(*perRow[T])
	if !ok {
		f = &perRow[T]{known: map[string]T{}}
		m.fields[field] = f
	}
	m.mu.Unlock()

	f.mu.Lock()
	defer f.mu.Unlock()
	if v, ok := f.known[id]; ok {
		return v, nil
	}
	ids := []string{id}
	m.mu.Lock()
	for _, p := range *noted {
		if _, ok := f.known[p]; !ok {
			ids = append(ids, p)
		}
	}
	m.mu.Unlock()
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var none T
	for chunk := range slices.Chunk(ids, rowsPerStatement) {
		found, err := read(chunk)
		if err != nil {
			return none, err
		}
		for _, p := range chunk {
			f.known[p] = found[p]
		}
	}
	return f.known[id], nil
}

// rowsPerStatement bounds the ids in one statement.
const rowsPerStatement = 500
