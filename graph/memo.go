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
// and the payers that were read so far, so that what belongs to each of them
// is read for all of them at once.
//
// gqlgen's own batches do not reach through a connection's edges, which is
// where payers come in numbers.
type memo struct {
	organization once[*entgen.Organization]
	currencies   once[map[string]*entgen.Currency]
	providers    once[map[string]*entgen.Provider]

	globalProviders once[map[string]*entgen.GlobalProvider]

	shown atomic.Int64 // objects in lists

	mu     sync.Mutex
	payers []string
	fields map[string]any // *perPayer[T], by what is selected
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

// notePayers is an interceptor on payers: whatever query of an operation
// brings payers along, they are noted in its memo.
func notePayers(next ent.Querier) ent.Querier {
	return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
		v, err := next.Query(ctx, q)
		if rows, ok := v.([]*entgen.Payer); ok {
			if m, ok := ctx.Value(memoKey{}).(*memo); ok {
				m.note(rows)
			}
		}
		return v, err
	})
}

func (m *memo) note(rows []*entgen.Payer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range rows {
		m.payers = append(m.payers, p.ID)
	}
}

// perPayer is what one field of the document has read for payers.
type perPayer[T any] struct {
	mu    sync.Mutex
	known map[string]T
}

// forPayer returns the value of the field being resolved for one payer. read
// gets all payers known so far whose value is not, and returns the values of
// those that have one.
func forPayer[T any](ctx context.Context, id string, read func(ids []string) (map[string]T, error)) (T, error) {
	m := memoFrom(ctx)
	// The same field may stand at two places with more and less selected.
	field := entgen.SelectionKey(ctx)
	m.mu.Lock()
	f, ok := m.fields[field].(*perPayer[T])
	if !ok {
		f = &perPayer[T]{known: map[string]T{}}
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
	for _, p := range m.payers {
		if _, ok := f.known[p]; !ok {
			ids = append(ids, p)
		}
	}
	m.mu.Unlock()
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var none T
	for chunk := range slices.Chunk(ids, payersPerStatement) {
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

// payersPerStatement bounds the ids in one statement.
const payersPerStatement = 500
