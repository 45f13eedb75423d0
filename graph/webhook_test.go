package graph

import (
	"os"
	"slices"
	"strings"
	"testing"

	"purser/billing"
	"purser/graph/model"
)

// TestWebhookEventTypes holds that the domain, the schema and the document name
// the same events, and each of them in the schema's words and its own.
func TestWebhookEventTypes(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []model.WebhookEventType
	for _, wire := range billing.WebhookEventTypes() {
		shown = append(shown, shownEventType(wire))
		if back := wireEventType(shownEventType(wire)); back != wire {
			t.Errorf("%s becomes %s and that %s", wire, shownEventType(wire), back)
		}
		if !strings.Contains(string(document), "\n| `"+wire+"` |") {
			t.Errorf("docs/webhooks.md does not tell of %s", wire)
		}
	}
	all := slices.Clone(model.AllWebhookEventType)
	slices.Sort(all)
	slices.Sort(shown)
	if !slices.Equal(all, shown) {
		t.Errorf("the schema has %v, the domain %v", all, shown)
	}
	if got := wireEventType("MOON_FULL"); slices.Contains(billing.WebhookEventTypes(), got) {
		t.Errorf("an event that is none is %s", got)
	}
}
