package billing

import (
	"fmt"
	"testing"
	"time"

	"purser/ent/payer"
	"purser/testdb"
)

// The database's answers are lost one after the other, that of COMMIT among
// them: the caller hears of success, each thing has happened once, and what is
// told of it is told once.
func TestEveryLostReplyMovesAHoldOnce(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, newPostgresURL(t))
	f := newFixture(t, testdb.Open(t, proxy.URL()))
	for _, c := range []struct {
		name string
		// do is done with a hold of 4 on a balance of 10, of which 6 is the low
		// level.
		do                         func(try int, payerID string, h HoldChange) error
		remaining, held, available string
		booked                     int // entries
		noticed                    int
	}{
		{"create", func(try int, payerID string, _ HoldChange) error {
			_, err := f.CreateHold(f.ctx, HoldDraft{PayerID: payerID, Amount: usd(t, "5"), ExpiresIn: time.Hour, Key: ptr(fmt.Sprint("hold ", try))})
			return err
		}, "10", "9", "1", 0, 0},
		{"capture", func(try int, _ string, h HoldChange) error {
			_, err := f.CaptureHold(f.ctx, HoldCapture{HoldID: h.HoldID, Amount: ptr(usd(t, "4.5")), Key: ptr(fmt.Sprint("capture ", try))})
			return err
		}, "5.5", "0", "5.5", 1, 1},
		{"release", func(_ int, _ string, h HoldChange) error {
			_, err := f.ReleaseHold(f.ctx, h.HoldID)
			return err
		}, "10", "0", "10", 0, 0},
		{"expire", func(_ int, _ string, h HoldChange) error {
			f.clock.Advance(time.Hour)
			return f.ExpireHolds(f.ctx, h.BalanceID)
		}, "10", "0", "10", 0, 0},
		{"credit", func(try int, payerID string, _ HoldChange) error {
			_, err := f.CreditBalance(f.ctx, Credit{PayerID: payerID, Amount: usd(t, "-5"), Reason: "r", Key: ptr(fmt.Sprint("credit ", try))})
			return err
		}, "5", "4", "1", 1, 1},
		{"level", func(_ int, payerID string, _ HoldChange) error {
			_, err := f.SetLowBalanceNotice(f.ctx, LowBalanceChange{PayerID: payerID, Currency: "USD", Level: ptr(usd(t, "11"))})
			return err
		}, "10", "4", "6", 0, 1},
	} {
		lost := 0
		for try := 1; ; try++ {
			payerID := f.newPayer(t, payer.BillingModePREPAID).ID
			f.reload(t, payerID, usd(t, "10"))
			if _, err := f.SetLowBalanceNotice(f.ctx, LowBalanceChange{PayerID: payerID, Currency: "USD", Level: ptr(usd(t, "6"))}); err != nil {
				t.Fatal(err)
			}
			h := f.setAside(t, payerID, usd(t, "4"))
			entries, notices := f.entries(t), len(f.lowNotices(t))
			cut, err := withoutReply(proxy, try, func() error { return c.do(try, payerID, h) })
			if err != nil {
				t.Errorf("%s, reply %d lost: %v", c.name, try, err)
			}
			f.wantBalance(t, payerID, c.remaining, c.held, c.available)
			if n := f.entries(t) - entries; n != c.booked {
				t.Errorf("%s, reply %d lost: booked %d times, want %d", c.name, try, n, c.booked)
			}
			if n := len(f.lowNotices(t)) - notices; n != c.noticed {
				t.Errorf("%s, reply %d lost: noticed %d times, want %d", c.name, try, n, c.noticed)
			}
			if !cut {
				break
			}
			lost++
		}
		if lost < 5 {
			t.Errorf("%s: only %d replies were lost", c.name, lost)
		}
	}
	f.mustVerify(t)
}
