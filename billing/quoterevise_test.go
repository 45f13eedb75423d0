package billing

import (
	"testing"

	"purser/ent/quote"
	"purser/gateway"
)

// A quote that a gateway keeps is taken back there before its revision can
// become binding; where it cannot be taken back, the revision is dropped.
func TestQuoteRevision(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		revise := func(id string) *QuoteRevision {
			t.Helper()
			begun, err := s.BeginQuoteRevision(s.ctx, QuoteReviseDraft{ID: id, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			return begun
		}
		finalize := func(id string) error {
			_, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
			return err
		}
		open := func() string { return s.openQuoteOf(t, item(t, "A", "10", "USD", 1)) }

		id := open()
		begun := revise(id)
		if begun.Call == nil || begun.GatewayQuoteID == "" {
			t.Fatalf("begun %+v", begun)
		}
		wantCode(t, finalize(begun.QuoteID), CodeInvalidState, "id") // both would be open
		unknown := gateway.QuoteResult{Outcome: ended(gateway.StatusUnknown)}
		if err := s.FinishQuoteRevision(s.ctx, begun.ID, begun.QuoteID, unknown); err != nil {
			t.Fatal(err)
		}
		wantCode(t, finalize(begun.QuoteID), CodeInvalidState, "id")
		for range 2 { // also when the reply to the COMMIT was lost
			if err := s.FinishQuoteRevision(s.ctx, begun.ID, begun.QuoteID, s.quoteAt(t, id, gateway.QuoteCanceled)); err != nil {
				t.Fatal(err)
			}
		}
		if again := revise(id); again.QuoteID != begun.QuoteID || again.Call != nil {
			t.Errorf("with the same key: %+v", again)
		}
		if q, r := s.quoted(t, id), s.quoted(t, begun.QuoteID); q.Status != quote.StatusCANCELED || r.Status != quote.StatusDRAFT || orEmpty(r.RevisionOfID) != id || *r.Total() != *q.Total() {
			t.Errorf("the quote %+v, its revision %+v", q, r)
		}
		if err := finalize(begun.QuoteID); err != nil {
			t.Error(err)
		}

		// The payer was quicker.
		id = open()
		begun = revise(id)
		wantCode(t, s.FinishQuoteRevision(s.ctx, begun.ID, begun.QuoteID, s.quoteAt(t, id, gateway.QuoteAccepted)), CodeInvalidState, "id")
		if q, r := s.quoted(t, id), s.quoted(t, begun.QuoteID); q.Status != quote.StatusACCEPTED || r.Status != quote.StatusCANCELED {
			t.Errorf("accepted: the quote is %s, its revision %s", q.Status, r.Status)
		}
		// The gateway does not take it back.
		id = open()
		begun = revise(id)
		rejected := gateway.QuoteResult{Outcome: ended(gateway.StatusRejected)}
		wantCode(t, s.FinishQuoteRevision(s.ctx, begun.ID, begun.QuoteID, rejected), CodeProviderRefused, "id")
		if q, r := s.quoted(t, id), s.quoted(t, begun.QuoteID); q.Status != quote.StatusOPEN || q.PendingCallID != nil || r.Status != quote.StatusCANCELED {
			t.Errorf("refused: the quote is %+v, its revision %s", q, r.Status)
		}
		if again := revise(id); again.QuoteID == begun.QuoteID || again.Call == nil {
			t.Errorf("tried again: %+v", again)
		}
		s.mustVerify(t)
	})
}
