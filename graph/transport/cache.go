package transport

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
)

// textCache is an LRU of values that belong to a text, bounded by their number
// and by the bytes of text: a thousand documents of 64 KiB would otherwise be
// a gigabyte of syntax trees.
type textCache[V any] struct {
	mu       sync.Mutex
	lru      *simplelru.LRU[string, V]
	bytes    int
	bytesMax int
	size     func(key string, value V) int
}

func newTextCache[V any](entries, bytesMax int, size func(string, V) int) *textCache[V] {
	c := &textCache[V]{bytesMax: bytesMax, size: size}
	// The callback runs under mu, inside Add and RemoveOldest.
	lru, err := simplelru.NewLRU(max(entries, 1), func(key string, value V) {
		c.bytes -= size(key, value)
	})
	if err != nil {
		panic(err) // only for a size below 1
	}
	c.lru = lru
	return c
}

func (c *textCache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(key)
}

func (c *textCache[V]) add(key string, value V) {
	n := c.size(key, value)
	if n > c.bytesMax {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Removed first, so that the callback accounts for what is replaced.
	c.lru.Remove(key)
	c.lru.Add(key, value)
	for c.bytes += n; c.bytes > c.bytesMax; {
		c.lru.RemoveOldest()
	}
}

// documentCache keeps parsed and validated documents for the executor, which
// hands every document to Add once, after validation and before its first
// execution. That is the only moment at which the tree belongs to one
// goroutine, so what has to be written into it is written here.
type documentCache struct {
	cache *textCache[*ast.QueryDocument]
	pages *pages
}

var _ graphql.Cache[*ast.QueryDocument] = (*documentCache)(nil)

func newDocumentCache(limits *Limits, p *pages) *documentCache {
	return &documentCache{
		cache: newTextCache(limits.CachedQueries, limits.CachedQueryBytes,
			func(query string, _ *ast.QueryDocument) int { return len(query) }),
		pages: p,
	}
}

// Get returns the document of a text that has been accepted before.
func (c *documentCache) Get(_ context.Context, query string) (*ast.QueryDocument, bool) {
	return c.cache.get(query)
}

// Add writes the page defaults into a fresh document and keeps it.
func (c *documentCache) Add(_ context.Context, query string, document *ast.QueryDocument) {
	c.pages.fill(document)
	c.cache.add(query, document)
}
