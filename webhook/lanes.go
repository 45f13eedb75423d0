package webhook

import "sync"

// How many events are applied right after their delivery at the same time, in
// all and of one provider: a gateway that is slow to say how things stand must
// leave room for the others.
const (
	lanesMax           = 16
	lanesOfProviderMax = 4
)

// lanes counts the events that are being applied. The zero value has none.
type lanes struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

// enter takes a lane for an event of a provider, if there is one.
func (l *lanes) enter(provider string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == lanesMax || l.of[provider] == lanesOfProviderMax {
		return false
	}
	if l.of == nil {
		l.of = map[string]int{}
	}
	l.all++
	l.of[provider]++
	return true
}

func (l *lanes) leave(provider string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.of[provider]--; l.of[provider] == 0 {
		delete(l.of, provider)
	}
}
