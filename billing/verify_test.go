package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/gatewaycall"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/ledgerentry"
	"purser/ent/ledgerseal"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/quote"
	"purser/ent/quoteline"
	"purser/gateway"
	"purser/money"
	"purser/testdb"
)

// wantFault fails the test unless verification names a row of the table, the
// one with the id where one is given.
func wantFault(t testing.TB, f *fixture, o VerifyOptions, table, id string) *Fault {
	t.Helper()
	_, err := f.Verify(f.ctx, o)
	var fault *Fault
	if !errors.As(err, &fault) {
		t.Errorf("verified with %v, want a fault in %s", err, table)
		return nil
	}
	if fault.Table != table || id != "" && fault.ID != id || fault.What == "" || fault.Expected == fault.Found {
		t.Errorf("found %v, want %s %s", fault, table, id)
	}
	return fault
}

// books is a fixture on SQLite with a bit of everything in its books, where
// checks and foreign keys are off: whoever tampers has the file.
type books struct {
	*fixture
	// Entries; loose and sealed touch no balance, and loose has no seal yet.
	usage, reload, topUp, reversal, loose, sealed string
	balance, payer, other                         string
}

func newBooks(t *testing.T) *books {
	t.Helper()
	f := newFixture(t, newSQLite(t))
	p, other := f.newPayer(t, payer.BillingModePOSTPAID), f.newPayer(t, payer.BillingModePREPAID)
	w := &books{fixture: f, payer: p.ID, other: other.ID}
	f.reload(t, other.ID, usd(t, "3"))
	w.reload = f.reload(t, p.ID, usd(t, "100")).EntryID
	w.topUp = f.topUp(t, p, usd(t, "20"), "pi_1").ID
	occurred := f.clock.Now().Add(-time.Hour)
	used, err := f.RecordUsage(f.ctx, Usage{
		PayerID: p.ID, Amount: usd(t, "2.1572"), Description: ptr("calls"), Metadata: map[string]string{"a": "1", "b": "2"},
		OccurredAt: &occurred, Key: ptr("k"),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.usage, w.balance = used.EntryID, used.BalanceID
	f.use(t, p.ID, usd(t, "1"))
	f.hold(t, f.balanceOf(t, p.ID, "USD"), usd(t, "5"))
	inv := f.newInvoice(t, p, usd(t, "30"), usd(t, "6"), false)
	voided := f.newInvoice(t, p, usd(t, "1"), usd(t, "0"), false)
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		if err := tx.reverseInvoice(ctx, voided); err != nil {
			return err
		}
		return tx.Invoice.Update().Where(invoice.ID(voided.ID)).SetStatus(invoice.StatusVOID).SetVoidedAt(tx.Now).SetAmountDueUnits(0).Exec(ctx)
	})
	f.clock.Advance(sealAfter)
	f.seal(t)
	late := f.newInvoice(t, p, usd(t, "4"), usd(t, "0"), false)
	w.sealed = w.cause(t, invoiceCause(inv.ID, partRevenue))
	w.reversal = w.cause(t, reversalPart(w.cause(t, invoiceCause(voided.ID, partRevenue)), 1))
	w.loose = w.cause(t, invoiceCause(late.ID, partRevenue))
	f.newQuote(t, p.ID)
	f.newOpenCall(t, p)
	f.mustVerify(t)
	f.exec(t, "PRAGMA foreign_keys = OFF")
	f.exec(t, "PRAGMA ignore_check_constraints = ON")
	return w
}

func (w *books) balanceRow(t testing.TB) *ent.Balance {
	t.Helper()
	b, err := w.Client().Balance.Query().Where(balance.ID(w.balance)).Only(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cause finds the entry that was booked for a cause.
func (f *fixture) cause(t testing.TB, key string) string {
	t.Helper()
	id, err := f.Client().LedgerEntry.Query().Where(ledgerentry.CauseKey(key)).OnlyID(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (f *fixture) newQuote(t testing.TB, payerID string) {
	t.Helper()
	id := f.newID(prefixQuote)
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		err := tx.Quote.Create().SetID(id).SetPayerID(payerID).SetCurrency("USD").SetPublicToken(id).
			SetTotalUnits(usd(t, "3.006").Units).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
		if err != nil {
			return err
		}
		return tx.QuoteLine.Create().SetID(f.newID(prefixQuoteLine)).SetQuoteID(id).SetPosition(0).SetDescription("API").
			SetQuantity(2).SetCurrency("USD").SetUnitAmountUnits(usd(t, "1.503").Units).SetAmountUnits(usd(t, "3.006").Units).Exec(ctx)
	})
}

// newOpenCall stores a charge whose outcome nobody knows yet.
func (f *fixture) newOpenCall(t testing.TB, p *ent.Payer) {
	t.Helper()
	id, callID := f.newID(prefixPayment), f.newID(prefixCall)
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		start := paymentStart{id: id, purpose: payment.PurposeTOP_UP, status: payment.StatusPROCESSING, payer: p, callID: callID}
		start.provider = &ent.Provider{ID: f.provider}
		start.draft.Currency, start.draft.AmountUnits = "USD", usd(t, "8").Units
		if _, err := tx.createPayment(ctx, start); err != nil {
			return err
		}
		return tx.openCall(ctx, callID, f.provider, gatewaycall.OperationCHARGE, id, gateway.ChargeRequest{Amount: usd(t, "8")})
	})
}

// exec runs a statement behind the program's back.
func (f *fixture) exec(t testing.TB, statement string, args ...any) int64 {
	t.Helper()
	r, err := f.db.Write.ExecContext(t.Context(), statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tamper runs a statement behind the program's back, wants the verification
// to name a row of the table (any when empty) and the row (any when empty),
// and puts the changed table back as it was, which its callers hold at the end.
func (w *books) tamper(t *testing.T, table, statement, wantTable, wantID string) {
	t.Helper()
	// One copy for all: a table that comes and goes has SQLite parse every
	// statement anew.
	saved := "saved_" + table
	w.exec(t, "CREATE TABLE IF NOT EXISTS "+saved+" AS SELECT * FROM "+table+" WHERE false")
	w.exec(t, "DELETE FROM "+saved)
	w.exec(t, "INSERT INTO "+saved+" SELECT * FROM "+table)
	if n := w.exec(t, statement); n != 1 {
		t.Errorf("%s: changed %d rows", statement, n)
	}
	_, err := w.Verify(w.ctx, VerifyOptions{PageRows: 2})
	var fault *Fault
	switch {
	case !errors.As(err, &fault):
		t.Errorf("%s: verified with %v", statement, err)
	case wantTable != "" && fault.Table != wantTable, wantID != "" && fault.ID != wantID, fault.Expected == fault.Found:
		t.Errorf("%s: found %v, want %s %s", statement, fault, wantTable, wantID)
	}
	w.exec(t, "DELETE FROM "+table)
	w.exec(t, "INSERT INTO "+table+" SELECT * FROM "+saved)
}

func TestNoColumnOfAnEntryCanBeChanged(t *testing.T) {
	t.Parallel()
	w := newBooks(t)
	for _, entry := range []struct{ name, id string }{
		{"usage", w.usage}, {"reload", w.reload}, {"top-up", w.topUp}, {"reversal", w.reversal}, {"loose", w.loose}, {"sealed", w.sealed},
	} {
		for _, column := range ledgerentry.Columns {
			value, wantTable, wantID := "", ledgerentry.Table, entry.id
			switch column {
			case ledgerentry.FieldID:
				value, wantID = "'ent_x'", "ent_x"
			case ledgerentry.FieldOrganizationID, ledgerentry.FieldBalanceID:
				// The entry is missed by what comes after it.
				value, wantTable, wantID = "'bal_x'", "", ""
			case ledgerentry.FieldSeq, ledgerentry.FieldAmountAfterUnits, ledgerentry.FieldUsageAfterUnits:
				value = "coalesce(" + column + ", 0) + 100"
				if column == ledgerentry.FieldSeq && entry.id != w.loose && entry.id != w.sealed && entry.id != w.reversal {
					wantID = "" // its place is empty: the next one is named
				}
			case ledgerentry.FieldAmountUnits:
				value = column + " + 1"
			case ledgerentry.FieldEffectiveAt, ledgerentry.FieldBookedAt:
				value = "'2026-03-10 01:02:03.000004+00:00'"
			case ledgerentry.FieldMetadata:
				value = `'{"a":"1","b":"3"}'`
			case ledgerentry.FieldFingerprint, ledgerentry.FieldHash:
				value = "x'00'"
			case ledgerentry.FieldKind:
				value = "'ADJUSTMENT'"
			default:
				value = "coalesce(" + column + ", '') || 'x'"
			}
			t.Run(entry.name+"/"+column, func(t *testing.T) {
				update := fmt.Sprintf("UPDATE ledger_entries SET %s = %%s WHERE id = '%s'", column, entry.id)
				w.tamper(t, ledgerentry.Table, fmt.Sprintf(update, value), wantTable, wantID)
				// Nothing turned into the empty text looks the same.
				if n := testdb.Count(t, w.db.Write, "SELECT count(*) FROM ledger_entries WHERE id = ? AND "+column+" IS NULL", entry.id); n == 1 && strings.HasSuffix(value, "'x'") {
					w.tamper(t, ledgerentry.Table, fmt.Sprintf(update, "''"), wantTable, wantID)
				}
			})
		}
	}
	w.mustVerify(t)
}

func TestNoEntryCanBeTakenAwayOrAdded(t *testing.T) {
	t.Parallel()
	w := newBooks(t)
	for _, id := range []string{w.usage, w.reload, w.topUp, w.reversal, w.sealed, w.loose} {
		w.tamper(t, ledgerentry.Table, "DELETE FROM ledger_entries WHERE id = '"+id+"'", "", "")
	}
	last := w.balanceRow(t).LastSeq
	w.tamper(t, ledgerentry.Table, fmt.Sprintf("DELETE FROM ledger_entries WHERE balance_id = '%s' AND seq = %d", w.balance, last), balance.Table, w.balance)
	columns := strings.Join(ledgerentry.Columns, ", ")
	again := strings.NewReplacer(" id,", " 'ent_zz',", " seq,", fmt.Sprintf(" %d,", last+1), " cause_key,", " NULL,", " operation,", " NULL,", " idempotency_key,", " NULL,").Replace(" " + columns + ",")
	for _, id := range []string{w.usage, w.reload} {
		w.tamper(t, ledgerentry.Table, "INSERT INTO ledger_entries ("+columns+") SELECT "+strings.TrimSuffix(again, ",")+" FROM ledger_entries WHERE id = '"+id+"'", ledgerentry.Table, "ent_zz")
	}
	w.mustVerify(t)
}

func TestNoLedgerColumnOfABalanceCanBeChanged(t *testing.T) {
	t.Parallel()
	w := newBooks(t)
	for _, c := range []struct{ column, value string }{
		{balance.FieldAmountUnits, "amount_units + 1"},
		{balance.FieldUsageUnits, "usage_units + 1"},
		{balance.FieldUsageUnits, "usage_units + 1, amount_units = amount_units + 1"}, // remaining is the same
		{balance.FieldAmountUnits, "amount_units - usage_units, usage_units = 0"},     // rolled over too early
		{balance.FieldHeldUnits, "held_units - 1"},
		{balance.FieldUnpaidUnits, "unpaid_units - 1"},
		{balance.FieldPeriod, "'2026-02'"},
		{balance.FieldPeriod, "'2026-04'"},
		{balance.FieldPeriod, "''"},
		{balance.FieldLastSeq, "last_seq + 1"},
		{balance.FieldLastSeq, "last_seq - 1"},
		{balance.FieldLastHash, "x'00'"},
	} {
		w.tamper(t, balance.Table, fmt.Sprintf("UPDATE balances SET %s = %s WHERE id = '%s'", c.column, c.value, w.balance), balance.Table, w.balance)
	}
	for _, value := range []string{"currency = 'JPY'", "payer_id = '" + w.other + "', currency = 'KWD'", "id = 'bal_0'"} {
		w.tamper(t, balance.Table, fmt.Sprintf("UPDATE balances SET %s WHERE id = '%s'", value, w.balance), "", "")
	}
	w.tamper(t, balance.Table, "DELETE FROM balances WHERE id = '"+w.balance+"'", ledgerentry.Table, "")
	w.mustVerify(t)
}

func TestNothingElseCanBeChanged(t *testing.T) {
	t.Parallel()
	w := newBooks(t)
	first := func(table string) string {
		t.Helper()
		var id string
		if err := w.db.Write.QueryRowContext(t.Context(), "SELECT id FROM "+table+" ORDER BY id LIMIT 1").Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, c := range []struct{ table, change, wantTable string }{
		{ledgerseal.Table, "seq = seq + 100", ledgerseal.Table},
		{ledgerseal.Table, "hash = x'00'", ledgerseal.Table},
		{ledgerseal.Table, "entry_id = '" + w.loose + "'", ledgerseal.Table},
		{ledgerseal.Table, "entry_id = 'ent_x'", ledgerseal.Table},
		{ledgerseal.Table, "entry_id = '" + w.usage + "'", ledgerentry.Table},
		{payment.Table, "status = 'FAILED'", ledgerentry.Table},
		{payment.Table, "amount_units = amount_units + 1000000", ledgerentry.Table},
		{payment.Table, "currency = 'JPY'", ledgerentry.Table},
		{payment.Table, "provider_id = 'prv_x'", ledgerentry.Table},
		{payment.Table, "payer_id = '" + w.other + "'", ledgerentry.Table},
		{payment.Table, "gateway_payment_id = 'pi_2'", ledgerentry.Table},
		{hold.Table, "amount_units = amount_units + 1", balance.Table},
		{hold.Table, "status = 'RELEASED'", balance.Table},
		{invoice.Table, "subtotal_units = subtotal_units + 1", invoice.Table},
		{invoice.Table, "tax_units = tax_units + 1000000", invoice.Table},
		{invoice.Table, "total_units = total_units + 1000000", invoice.Table},
		{invoice.Table, "amount_due_units = amount_due_units - 1", balance.Table},
		{invoice.Table, "amount_paid_units = amount_paid_units + 1", invoice.Table},
		{invoice.Table, "status = 'VOID'", balance.Table},
		{invoice.Table, "status = 'PAID'", balance.Table},
		{invoice.Table, "status = 'UNCOLLECTIBLE', amount_due_units = 0, amount_paid_units = total_units", balance.Table},
		{invoiceline.Table, "quantity = quantity + 1", invoiceline.Table},
		{invoiceline.Table, "amount_units = amount_units + 1, unit_amount_units = unit_amount_units + 1", invoice.Table},
		{quote.Table, "total_units = total_units + 1", quote.Table},
		{quoteline.Table, "amount_units = amount_units - 1", quoteline.Table},
		{gatewaycall.Table, "next_check_at = NULL", gatewaycall.Table},
	} {
		t.Run(c.table+"/"+c.change, func(t *testing.T) {
			w.tamper(t, c.table, fmt.Sprintf("UPDATE %s SET %s WHERE id = '%s'", c.table, c.change, first(c.table)), c.wantTable, "")
		})
	}
	w.tamper(t, ledgerseal.Table, "DELETE FROM ledger_seals WHERE id = '"+first(ledgerseal.Table)+"'", ledgerseal.Table, "")
	w.tamper(t, invoiceline.Table, "DELETE FROM invoice_lines WHERE id = '"+first(invoiceline.Table)+"'", invoice.Table, "")
	// An invoice whose rows agree with each other and with the balance, but
	// not with the ledger.
	w.tamper(t, invoice.Table, "DELETE FROM invoices WHERE id = '"+first(invoice.Table)+"'", "", "")
	w.mustVerify(t)
	// A payment that succeeded and was never booked.
	f := w.fixture
	f.exec(t, "PRAGMA foreign_keys = ON")
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.Payer.Query().Where(payer.ID(w.payer)).Only(ctx)
		if err != nil {
			return err
		}
		_, err = tx.storePaid(ctx, f, p, usd(t, "9"), nil, "pi_lost")
		return err
	})
	wantFault(t, f, VerifyOptions{}, payment.Table, "")
}

// The sums of all invoices tell that something is not booked; the invoice is
// named.
func TestUnbookedInvoiceIsNamed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.newInvoice(t, p, usd(t, "5"), usd(t, "1"), false)
		inv := f.newInvoice(t, p, usd(t, "7"), usd(t, "0"), false)
		f.newInvoice(t, p, usd(t, "1"), usd(t, "0"), false)
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			if err := tx.paidInvoice(ctx, inv); err != nil {
				return err
			}
			return tx.countUnpaid(ctx, inv, 0)
		})
		wantFault(t, f, VerifyOptions{PageRows: 1}, invoice.Table, inv.ID)
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error { return tx.bookInvoiceOutOfBand(ctx, inv) })
	})
}

func TestVerifyCountsWhatItReads(t *testing.T) {
	t.Parallel()
	w := newBooks(t)
	for _, rows := range []int{1, 2, 3, 1000} {
		seen := map[string]int{}
		r, err := w.Verify(w.ctx, VerifyOptions{PageRows: rows, Progress: func(p VerifyProgress) {
			if p.OrganizationID != w.org || p.Rows < seen[p.Table] {
				t.Errorf("progress %+v after %d", p, seen[p.Table])
			}
			seen[p.Table] = p.Rows
		}})
		want := VerifyReport{OrganizationID: w.org, Balances: 2, Entries: 10, Seals: 4, Unsealed: 1, Holds: 1, Payments: 1, Invoices: 3, Quotes: 1, OpenCalls: 1}
		if err != nil || r != want {
			t.Errorf("pages of %d: %+v, %v; want %+v", rows, r, err, want)
		}
		if seen[ledgerentry.Table] != 10 || seen[balance.Table] != 2 || seen[invoice.Table] != 3 {
			t.Errorf("pages of %d: progress %v", rows, seen)
		}
	}
}

func TestVerifyAllNamesAFaultOfEachOrganization(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		_, ctx := f.newOrganization(t, "second", "Asia/Tokyo")
		second := &fixture{Service: f.Service, db: f.db, clock: f.clock, ctx: ctx}
		var undo []func()
		for _, g := range []*fixture{f, second} {
			p := g.newPayer(t, payer.BillingModePREPAID)
			g.reload(t, p.ID, usd(t, "1"))
			id := g.balanceOf(t, p.ID, "USD").ID
			g.add(t, id, 1)
			undo = append(undo, func() { g.add(t, id, -1) })
		}
		reports, err := f.VerifyAll(t.Context(), VerifyOptions{})
		if len(reports) != 2 || err == nil || strings.Count(err.Error(), "amount_units against its entries") != 2 {
			t.Errorf("got %+v, %v", reports, err)
		}
		for _, u := range undo {
			u()
		}
	})
}

// add changes a balance's amount without an entry.
func (f *fixture) add(t testing.TB, balanceID string, units int64) {
	t.Helper()
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		b, err := tx.lockBalance(ctx, balanceID)
		if err != nil {
			return err
		}
		return tx.Balance.Update().Where(balance.ID(balanceID)).SetAmountUnits(b.AmountUnits + money.Units(units)).Exec(ctx)
	})
}

// A verification reads one state: what is written meanwhile is not its
// business and does not disturb it.
func TestVerifyWhileOthersWrite(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		for range 20 {
			f.reload(t, p.ID, usd(t, "1"))
		}
		r, err := f.Verify(f.ctx, VerifyOptions{PageRows: 3, Progress: func(VerifyProgress) {
			f.use(t, p.ID, usd(t, "0.1"))
		}})
		if err != nil || r.Entries != 20 {
			t.Errorf("verified %+v, %v; want the 20 entries that were there", r, err)
		}
	})
}
