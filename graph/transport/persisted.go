package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
)

// persistedQueries are automatic persisted queries: a client sends the
// SHA-256 of a document and, when the server does not know it, the document
// along with it once. The cache is bounded and lives in this process.
type persistedQueries struct {
	cache *textCache[string]
}

func newPersistedQueries(limits *Limits) *persistedQueries {
	return &persistedQueries{
		cache: newTextCache(limits.CachedQueries, limits.CachedQueryBytes,
			func(hash, query string) int { return len(hash) + len(query) }),
	}
}

// resolve fills in the text of a known hash. The returned function remembers
// a text that came with its hash; it is called once the gate has let the text
// pass.
func (p *persistedQueries) resolve(params *graphql.RawParams) (remember func(), _ *Error) {
	nothing := func() {}
	extension, given := params.Extensions["persistedQuery"]
	if !given || extension == nil {
		return nothing, nil
	}
	object, ok := extension.(map[string]any)
	if !ok {
		return nil, Errorf(CodeBadUserInput, "extensions.persistedQuery must be an object")
	}
	if version, ok := object["version"].(json.Number); !ok || version != "1" {
		return nil, Errorf(CodeBadUserInput, "extensions.persistedQuery.version must be 1")
	}
	hash, ok := object["sha256Hash"].(string)
	if !ok || len(hash) != hex.EncodedLen(sha256.Size) {
		return nil, Errorf(CodeBadUserInput, "extensions.persistedQuery.sha256Hash must be a SHA-256 in hexadecimal digits")
	}
	if params.Query == "" {
		query, known := p.cache.get(hash)
		if !known {
			// Clients look for these very words.
			return nil, Errorf(CodePersistedQueryNotFound, "PersistedQueryNotFound")
		}
		params.Query = query
		return nothing, nil
	}
	sum := sha256.Sum256([]byte(params.Query))
	if hex.EncodeToString(sum[:]) != hash {
		return nil, Errorf(CodeBadUserInput, "extensions.persistedQuery.sha256Hash is not the SHA-256 of the query")
	}
	query := params.Query
	return func() { p.cache.add(hash, query) }, nil
}
