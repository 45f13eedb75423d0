package billing

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"purser/ent/ledgerentry"
	"purser/gateway"
)

// A day of a merchant account is compared with what is written here; each way
// in which the two may differ is told, and nothing else.
func TestReconcile(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		paid, gone, other := s.toppedUp(t, "25"), s.toppedUp(t, "10"), s.toppedUp(t, "7")
		back := s.beginRefund(t, paid, "5")
		if err := s.FinishRefund(s.ctx, back.ID, refundAt(gateway.RefundSucceeded, "re_1", usd(t, "5"))); err != nil {
			t.Fatal(err)
		}
		at := s.clock.Now()
		payment := func(id, amount string) gateway.Movement {
			return gateway.Movement{Kind: gateway.MovementPayment, ID: id, Amount: usd(t, amount), At: at}
		}
		fee := gateway.Movement{Kind: gateway.MovementFee, ID: "txn_1", PaymentID: *paid.GatewayPaymentID, Amount: usd(t, "1.03"), At: at}
		payout := gateway.Movement{Kind: gateway.MovementPayout, ID: "po_1", Amount: usd(t, "20"), At: at}
		refund := gateway.Movement{Kind: gateway.MovementRefund, ID: "re_1", PaymentID: *paid.GatewayPaymentID, Amount: usd(t, "5"), At: at}
		yesterday := payment("pi_yesterday", "3")
		yesterday.At = at.Add(-days)
		theirs := gateway.MovementsResult{Outcome: succeeded(), Complete: true, Movements: []gateway.Movement{
			payment(*paid.GatewayPaymentID, "25"), payment(*other.GatewayPaymentID, "7.01"), payment("pi_stranger", "99"), yesterday, fee, payout, refund,
			{Kind: gateway.MovementDispute, ID: "dp_1", PaymentID: *paid.GatewayPaymentID, Amount: usd(t, "25"), At: at},
			{Kind: gateway.MovementOther, ID: "txn_2", Amount: usd(t, "2"), At: at, Note: "reserve_transaction"},
		}}
		type found struct {
			kind    gateway.MovementKind
			problem ReconcileProblem
			id      string
		}
		reconcile := func(book bool, theirs gateway.MovementsResult) (*ReconcileReport, []found) {
			t.Helper()
			d, err := s.BeginReconcile(s.ctx, s.provider, at.Format(time.DateOnly), book)
			if err != nil {
				t.Fatal(err)
			}
			if d.From.Hour() != 0 || d.To.Sub(d.From) != days || len(d.Known) != 4 {
				t.Errorf("asked about %+v", d)
			}
			r, err := s.FinishReconcile(s.ctx, d, theirs)
			if err != nil {
				t.Fatal(err)
			}
			var all []found
			for _, e := range r.Exceptions {
				all = append(all, found{e.Kind, e.Problem, e.GatewayID})
			}
			return r, all
		}
		want := []found{
			{gateway.MovementDispute, ProblemMissingHere, "dp_1"},
			{gateway.MovementOther, ProblemMissingHere, "txn_2"},
			{gateway.MovementPayment, ProblemMissingAtGateway, *gone.GatewayPaymentID},
			{gateway.MovementPayment, ProblemDifferent, *other.GatewayPaymentID},
			{gateway.MovementPayment, ProblemMissingHere, "pi_stranger"},
		}
		slices.SortFunc(want[2:], func(a, b found) int { return cmp.Compare(a.id, b.id) })
		unbooked := append([]found{want[0], {gateway.MovementFee, ProblemMissingHere, "txn_1"}, want[1]}, want[2:]...)
		unbooked = append(unbooked, found{gateway.MovementPayout, ProblemMissingHere, "po_1"})
		if r, all := reconcile(false, theirs); !slices.Equal(all, unbooked) || r.Agreed != 2 || r.Booked != 0 || !r.Complete {
			t.Errorf("found %v with %+v, want %v", all, r, unbooked)
		}
		// Fees and payouts are written once.
		if r, all := reconcile(true, theirs); !slices.Equal(all, want) || r.Agreed != 2 || r.Booked != 2 {
			t.Errorf("found %v with %+v, want %v", all, r, want)
		}
		if r, all := reconcile(true, theirs); !slices.Equal(all, want) || r.Agreed != 4 || r.Booked != 0 {
			t.Errorf("found %v with %+v, want %v", all, r, want)
		}
		e, err := s.Client().LedgerEntry.Query().Where(ledgerentry.KindEQ(ledgerentry.KindFEE)).Only(s.ctx)
		if err != nil || e.DebitAccount != feesAccount(s.provider) || e.CreditAccount != clearingAccount(s.provider) || e.AmountUnits != usd(t, "1.03").Units {
			t.Errorf("%+v, %v", e, err)
		}
		// Once written, a fee and a payout are compared like anything else: told
		// with another amount, and not told any more.
		changed, kept := theirs, slices.Clone(theirs.Movements)
		changed.Movements = kept
		for i := range kept {
			if amount := map[gateway.MovementKind]string{gateway.MovementFee: "1.04", gateway.MovementPayout: "19.99"}[kept[i].Kind]; amount != "" {
				kept[i].Amount = usd(t, amount)
			}
		}
		different := slices.Clone(unbooked)
		different[1].problem, different[len(different)-1].problem = ProblemDifferent, ProblemDifferent
		if r, all := reconcile(true, changed); !slices.Equal(all, different) || r.Booked != 0 || *r.Exceptions[1].Ours != usd(t, "1.03") {
			t.Errorf("found %v with %+v, want %v", all, r, different)
		}
		changed.Movements = slices.DeleteFunc(slices.Clone(theirs.Movements), func(m gateway.Movement) bool {
			return m.Kind == gateway.MovementFee || m.Kind == gateway.MovementPayout
		})
		extra := slices.Clone(unbooked)
		extra[1].problem, extra[len(extra)-1].problem = ProblemMissingAtGateway, ProblemMissingAtGateway
		if r, all := reconcile(true, changed); !slices.Equal(all, extra) || r.Agreed != 2 || *r.Exceptions[1].Ours != usd(t, "1.03") {
			t.Errorf("found %v with %+v, want %v", all, r, extra)
		}
		// By inquiry what the gateway has and we do not cannot be seen.
		asked := gateway.MovementsResult{Outcome: succeeded(), Complete: true, Asked: true, Movements: []gateway.Movement{
			payment(*paid.GatewayPaymentID, "25"), payment(*other.GatewayPaymentID, "7"), refund,
		}}
		if r, all := reconcile(false, asked); !slices.Equal(all, []found{{gateway.MovementPayment, ProblemMissingAtGateway, *gone.GatewayPaymentID}}) || r.Agreed != 3 {
			t.Errorf("found %v with %+v", all, r)
		}
		d, err := s.BeginReconcile(s.ctx, s.provider, at.Format(time.DateOnly), false)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.FinishReconcile(s.ctx, d, gateway.MovementsResult{Outcome: ended(gateway.StatusUnknown)})
		wantCode(t, err, CodeProviderUnavailable, "providerId")
		_, err = s.BeginReconcile(s.ctx, s.provider, "2026-03-99", false)
		wantCode(t, err, CodeInvalid, "date")
		_, err = s.BeginReconcile(s.ctx, s.provider, "2026-03-11", false)
		wantCode(t, err, CodeInvalid, "date")
	})
}

// What neither side counts as taken is no exception, nor is what the gateway
// had too much of to read.
func TestReconcileTellsNothingThatIsRight(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		refused, warned, kept := s.toppedUp(t, "25"), s.toppedUp(t, "10"), s.toppedUp(t, "7")
		s.refusedLate(t, refused)
		s.disputed(t, warned, gateway.DisputeWarning, gateway.DisputeWarningClosed)
		at := s.clock.Now()
		reconcile := func(theirs gateway.MovementsResult) []ReconcileException {
			t.Helper()
			d, err := s.BeginReconcile(s.ctx, s.provider, at.Format(time.DateOnly), false)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.FinishReconcile(s.ctx, d, theirs)
			if err != nil {
				t.Fatal(err)
			}
			return r.Exceptions
		}
		movement := func(p string) gateway.Movement {
			return gateway.Movement{Kind: gateway.MovementPayment, ID: p, Amount: usd(t, "7"), At: at}
		}
		first := movement(*warned.GatewayPaymentID)
		first.Amount = usd(t, "10")
		all := gateway.MovementsResult{Outcome: succeeded(), Complete: true, Movements: []gateway.Movement{first, movement(*kept.GatewayPaymentID)}}
		if found := reconcile(all); len(found) != 0 {
			t.Errorf("told %+v", found)
		}
		one := gateway.MovementsResult{Outcome: succeeded(), Asked: true, Movements: all.Movements[:1], Unasked: all.Movements[1:]}
		if found := reconcile(one); len(found) != 0 {
			t.Errorf("what was not answered: %+v", found)
		}
		cut := all
		cut.Complete, cut.Movements = false, all.Movements[:1]
		if found := reconcile(cut); len(found) != 0 {
			t.Errorf("of a part of the list: %+v", found)
		}
	})
}

// A payout that comes back, and a fee that is given back, are booked the other way
// round, once.
func TestReconcileBooksWhatComesBack(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		at := s.clock.Now()
		var theirs []gateway.Movement
		for _, kind := range []gateway.MovementKind{gateway.MovementPayout, gateway.MovementFee} {
			m := gateway.Movement{Kind: kind, ID: "id_" + string(kind), Amount: usd(t, "20"), At: at}
			back := m
			back.Reversed = true
			theirs = append(theirs, m, back)
		}
		reconcile := func(theirs ...gateway.Movement) *ReconcileReport {
			t.Helper()
			d, err := s.BeginReconcile(s.ctx, s.provider, at.Format(time.DateOnly), true)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.FinishReconcile(s.ctx, d, gateway.MovementsResult{Outcome: succeeded(), Complete: true, Movements: theirs})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		for want := 4; want >= 0; want -= 4 {
			if r := reconcile(theirs...); r.Booked != want || len(r.Exceptions) != 0 {
				t.Fatalf("%+v; want %d booked", r, want)
			}
		}
		// One of them is gone there: the payout stands, and it is its return that is extra.
		if r := reconcile(theirs[0], theirs[2], theirs[3]); len(r.Exceptions) != 1 || r.Exceptions[0].Problem != ProblemMissingAtGateway ||
			r.Exceptions[0].GatewayID != theirs[1].ID {
			t.Errorf("%+v", r.Exceptions)
		}
		for kind, account := range map[ledgerentry.Kind]string{ledgerentry.KindPAYOUT: accountBank, ledgerentry.KindFEE: feesAccount(s.provider)} {
			rows, err := s.Client().LedgerEntry.Query().Where(ledgerentry.KindEQ(kind)).All(s.ctx)
			if err != nil || len(rows) != 2 || rows[0].DebitAccount == rows[1].DebitAccount || rows[0].DebitAccount != account && rows[1].DebitAccount != account {
				t.Errorf("%s is booked by %+v, %v", kind, rows, err)
			}
		}
	})
}
