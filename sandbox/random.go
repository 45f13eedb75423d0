package sandbox

import (
	"crypto/rand"
	"fmt"
	"io"
	"sync"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Random makes ids and secrets. It may be used by many goroutines at once.
type Random struct {
	mu     sync.Mutex
	source io.Reader
}

// NewRandom reads from source, or from the system's generator when it is nil.
func NewRandom(source io.Reader) *Random {
	if source == nil {
		source = rand.Reader
	}
	return &Random{source: source}
}

// Text returns n letters and digits, each equally likely: about 5.95 bits per
// character. It fails when the source does.
func (r *Random) Text(n int) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]byte, 0, n)
	buf := make([]byte, n+n/8+1)
	for len(out) < n {
		if _, err := io.ReadFull(r.source, buf); err != nil {
			return "", fmt.Errorf("read randomness: %w", err)
		}
		for _, b := range buf {
			// 248 is the largest multiple of 62 in a byte; what is above would
			// make the first letters likelier than the others.
			if b < 248 && len(out) < n {
				out = append(out, alphabet[b%62])
			}
		}
	}
	return string(out), nil
}
