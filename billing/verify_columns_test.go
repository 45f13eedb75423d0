package billing

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/creditnote"
	"purser/ent/dispute"
	"purser/ent/gatewaycall"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/ledgerseal"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/price"
	"purser/ent/provider"
	"purser/ent/refund"
	"purser/ent/subscription"
	"purser/gateway"
)

// newTrade is a sale on SQLite in which everything has happened that can
// happen, by the flows themselves.
func newTrade(t *testing.T) *sale {
	t.Helper()
	s := &sale{fixture: newFixture(t, newSQLite(t))}
	s.provider = s.newKind(t, provider.KindSTRIPE)
	s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
	other := s.newPayer(t, payer.BillingModePREPAID)
	s.reload(t, other.ID, usd(t, "7"))
	s.payer = s.newPayer(t, payer.BillingModePOSTPAID)
	s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(200_000) })
	line := func(amount string) LineDraft { return item(t, "API", amount, "USD", 2) }
	apply := func(id string, state gateway.InvoiceState) {
		if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, state)); err != nil {
			t.Fatal(err)
		}
	}
	pay := func(d InvoicePayDraft) *InvoicePayment {
		d.Key = ptr(s.newID("key"))
		begun, err := s.BeginInvoicePayment(s.ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		return begun
	}
	card := s.card(t)

	s.invoiceOf(t, line("1"))                             // a draft
	s.openInvoiceOf(t, line("2.0013"))                    // open, with a rounding
	apply(s.openInvoiceOf(t, line("3")), "paid")          // paid on its page
	apply(s.openInvoiceOf(t, line("4")), "uncollectible") // written off
	voided := s.openInvoiceOf(t, line("5"))
	apply(voided, "void")
	late := s.openInvoiceOf(t, line("6.0013"))
	apply(late, "uncollectible") // and paid after all
	apply(late, "paid")
	outside := s.openInvoiceOf(t, line("7"))
	begun := pay(InvoicePayDraft{InvoiceID: outside, OutOfBand: true})
	elsewhere := s.invoiceAt(t, outside, "paid")
	elsewhere.PaidOutside = true
	if err := s.FinishInvoicePayment(s.ctx, begun.ID, elsewhere); err != nil {
		t.Fatal(err)
	}
	waits := s.openInvoiceOf(t, line("8")) // a payer is on its page
	pay(InvoicePayDraft{InvoiceID: waits})
	charged := s.openInvoiceOf(t, line("9")) // a charge whose outcome nobody knows
	begun = pay(InvoicePayDraft{InvoiceID: charged, PaymentMethodID: card})
	if err := s.FinishInvoicePayment(s.ctx, begun.ID, gateway.InvoiceResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
		t.Fatal(err)
	}
	s.accepted(t, s.openQuoteOf(t, line("10")))
	s.quoteOf(t, line("11"))
	s.openQuoteOf(t, line("12"))

	topUp := func(amount string, r gateway.PaymentResult) {
		begun, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, amount), PaymentMethodID: card, Key: ptr(s.newID("key"))})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishPayment(s.ctx, begun.ID, r); err != nil {
			t.Fatal(err)
		}
	}
	topUp("20", gateway.PaymentResult{Outcome: succeeded(), Payment: gateway.PaymentState{GatewayPaymentID: "pi_topup", Amount: usd(t, "20")}})
	topUp("21", gateway.PaymentResult{Outcome: ended(gateway.StatusDeclined)})
	topUp("22", gateway.PaymentResult{Outcome: ended(gateway.StatusUnknown)})
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error { // a call that a person has to look at
		return tx.openCall(ctx, s.newID(prefixCall), s.provider, gatewaycall.OperationINVOICE_VOID, voided, "in_x")
	})
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.GatewayCall.Update().Where(gatewaycall.Subject(voided), gatewaycall.OperationEQ(gatewaycall.OperationINVOICE_VOID)).SetState(gatewaycall.StateREVIEW).ClearNextCheckAt().ClearLeaseUntil().Exec(ctx)
	})
	begunPage, err := s.BeginHostedPayment(s.ctx, HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "23"), Key: ptr(s.newID("key"))})
	if err != nil {
		t.Fatal(err)
	}
	err = s.FinishPayment(s.ctx, begunPage.ID, gateway.PaymentResult{
		Outcome: gateway.Outcome{Status: gateway.StatusActionNeeded}, ReferenceID: "cs_23", NextAction: gateway.NextAction{RedirectURL: "https://pay.example/23"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.useRecorded(t, s.payer.ID, usd(t, "30.5043"))
	s.usageInvoiced(t)
	s.openInvoiceOf(t, item(t, "Back", "-9.0013", "USD", 1))
	s.useRecorded(t, s.payer.ID, usd(t, "0.5"))
	if _, err := s.SetCreditLimit(s.ctx, CreditLimitChange{PayerID: s.payer.ID, Amount: ptr(usd(t, "500"))}); err != nil {
		t.Fatal(err)
	}
	for _, h := range []HoldChange{s.setAside(t, s.payer.ID, usd(t, "3")), s.setAside(t, s.payer.ID, usd(t, "4"))} {
		if _, err := s.capture(h.HoldID, ptr(usd(t, "3.5")), ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ReleaseHold(s.ctx, s.setAside(t, s.payer.ID, usd(t, "5")).HoldID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateHold(s.ctx, HoldDraft{PayerID: s.payer.ID, Amount: usd(t, "6"), ExpiresIn: holdLifeMin, Key: ptr("short")}); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(holdLifeMin)
	s.expire(t)
	s.setAside(t, s.payer.ID, usd(t, "7"))
	s.subscribed(t)
	for _, a := range []string{"2", "-1"} {
		must(s.credit(s.payer.ID, usd(t, a)))(t)
		must(s.adjust(s.payer.ID, usd(t, a)))(t)
	}
	s.notes(t, other, line)
	s.moneyBack(t, other)
	s.clock.Advance(sealAfter)
	s.seal(t)
	s.mustVerify(t)
	s.exec(t, "PRAGMA foreign_keys = OFF")
	s.exec(t, "PRAGMA ignore_check_constraints = ON")
	return s
}

// subscribed makes one subscription that runs, one on trial and one that has
// ended.
func (s *sale) subscribed(t testing.TB) {
	t.Helper()
	monthly := s.monthly(t, "9")
	for n, d := range []SubscriptionDraft{{}, {TrialDays: 7}, {TrialDays: 9}} {
		d.PayerID, d.Collection, d.Key = s.payer.ID, "SEND", ptr(s.newID("key"))
		d.Items = []LineDraft{{PriceID: monthly, Quantity: 1}}
		id, _, err := s.CreateSubscription(s.ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			if _, err := s.CancelSubscription(s.ctx, id, false); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// monthly makes a price that is paid by the month.
func (f *fixture) monthly(t testing.TB, amount string) string {
	t.Helper()
	return f.every(t, price.RecurrenceIntervalMONTH, amount)
}

func (f *fixture) every(t testing.TB, interval price.RecurrenceInterval, amount string) string {
	t.Helper()
	product, err := f.CreateProduct(f.ctx, ProductDraft{Name: "Plan " + amount}, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.CreatePrice(f.ctx, PriceDraft{ProductID: product, UnitAmount: usd(t, amount), Recurrence: &Recurrence{Interval: interval, Count: 1}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// notes makes credit notes of every kind.
func (s *sale) notes(t testing.TB, prepaid *ent.Payer, line func(string) LineDraft) {
	t.Helper()
	seller := s.payer
	s.payer = prepaid
	s.noteTo(t, s.ownInvoiceOf(t, line("600")), "2", "")
	s.noteTo(t, s.ownInvoiceOf(t, line("601.0013")), "", "")
	s.payer = seller
	kept := s.keptNoteTo(t, s.openInvoiceOf(t, line("15")), "3")
	if err := s.FinishCreditNote(s.ctx, kept.ID, s.noteAt(t, "3")); err != nil {
		t.Fatal(err)
	}
	s.keptNoteTo(t, s.openInvoiceOf(t, line("16")), "3") // which the gateway has not answered
	paid := s.paidInvoiceOf(t, line("14"))
	begun := s.noteTo(t, paid, "2", creditnote.SettlementREFUND)
	if err := s.FinishRefund(s.ctx, begun.Refund.ID, refundAt(gateway.RefundSucceeded, s.named("re"), usd(t, "2"))); err != nil {
		t.Fatal(err)
	}
	s.noteTo(t, paid, "3", creditnote.SettlementREFUND)
	s.noteTo(t, paid, "4", creditnote.SettlementBALANCE)
	s.noteTo(t, paid, "1", creditnote.SettlementOUT_OF_BAND)
}

// moneyBack makes a payer's balance that is being reloaded, with payments of
// which something went back, is on its way back or has been taken by a bank.
func (s *sale) moneyBack(t testing.TB, p *ent.Payer) {
	t.Helper()
	seller := s.payer
	s.payer = p
	defer func() { s.payer = seller }()
	s.card(t)
	paid := s.toppedUp(t, "30")
	finish := func(amount string, states ...gateway.RefundState) {
		begun := s.beginRefund(t, paid, amount)
		id := s.named("re")
		for _, state := range states {
			if err := s.ApplyRefund(s.ctx, paid.ID, begun.RefundID, refundAt(state, id, usd(t, amount))); err != nil {
				t.Fatal(err)
			}
		}
	}
	finish("5", gateway.RefundSucceeded)
	finish("4", gateway.RefundPending)
	finish("3", gateway.RefundSucceeded, gateway.RefundFailed)
	finish("2")
	s.disputed(t, s.toppedUp(t, "40"), gateway.DisputeNeedsResponse)
	s.disputed(t, s.toppedUp(t, "41"), gateway.DisputeNeedsResponse, gateway.DisputeWon)
	s.disputed(t, s.toppedUp(t, "42"), gateway.DisputeLost)
	s.refusedLate(t, s.toppedUp(t, "43"))
	s.reloading(t, nil)
	s.spend(t, "80")
	s.begin(t)
}

// provable is a kind of rows with the values of their enums, and the columns
// in which verification may miss a change, because nothing else in the
// database says what they were: wishes, texts, links, the gateway's names, and
// times that decide nothing.
type provable struct {
	table, where string
	states       map[string][]string
	untold       []string
}

func provables() []provable {
	payments := map[string][]string{
		payment.FieldStatus:  {"REQUIRES_ACTION", "PROCESSING", "SUCCEEDED", "FAILED", "CANCELED"},
		payment.FieldPurpose: {"TOP_UP", "INVOICE", "TEST"},
	}
	shown := []string{ // of every payment
		payment.FieldActionExpiresAt, payment.FieldActionSecretSealed, payment.FieldActionURL, payment.FieldChecks,
		payment.FieldCreatedAt, payment.FieldFailureCode, payment.FieldFailureDeclineCode, payment.FieldFailureMessage,
		payment.FieldPaymentMethodID, payment.FieldPublicToken, payment.FieldReceiptURL, payment.FieldRecurring,
		payment.FieldReferenceID, payment.FieldReturnUrls, payment.FieldSaveCard, payment.FieldUpdatedAt, payment.FieldBalanceID,
	}
	holds := map[string][]string{hold.FieldStatus: {"OPEN", "CAPTURED", "RELEASED", "EXPIRED"}}
	promised := []string{ // of every hold
		hold.FieldCreatedAt, hold.FieldDescription, hold.FieldIdempotencyKey, hold.FieldFingerprint,
	}
	return []provable{
		{table: invoice.Table, states: map[string][]string{
			invoice.FieldStatus: {"DRAFT", "OPEN", "PAID", "UNCOLLECTIBLE", "VOID"},
		}, untold: []string{
			// Without payment, quote or debt, nothing else tells whose it was.
			invoice.FieldPayerID, invoice.FieldProviderID,
			invoice.FieldUsageMonth, invoice.FieldReverseCharge, invoice.FieldSeller, invoice.FieldSentAt,
			invoice.FieldCollection, invoice.FieldDescription, invoice.FieldRecipient, invoice.FieldDueAt, invoice.FieldFinalizesAt,
			invoice.FieldHostedURL, invoice.FieldPdfURL, invoice.FieldReceiptURL, invoice.FieldSubscriptionID,
			invoice.FieldAttempts, invoice.FieldNextAttemptAt, invoice.FieldDunning, invoice.FieldPeriodStart, invoice.FieldPeriodEnd,
			invoice.FieldGatewayInvoiceID, invoice.FieldNextCheckAt, invoice.FieldChecks, invoice.FieldPublicToken,
			invoice.FieldCreatedAt, invoice.FieldUpdatedAt, invoice.FieldPendingCallID, // taken away
		}},
		{table: creditnote.Table, states: map[string][]string{creditnote.FieldSettlement: {"DUE", "REFUND", "BALANCE", "OUT_OF_BAND"}}, untold: []string{
			creditnote.FieldReason, creditnote.FieldPublicToken, creditnote.FieldGatewayCreditNoteID,
		}},
		{table: payment.Table, where: "status = 'SUCCEEDED'", states: payments, untold: shown},
		{table: payment.Table, where: "status <> 'SUCCEEDED'", states: payments, untold: append([]string{
			// The gateway has not confirmed what it will call the payment, nor
			// how it stands.
			payment.FieldGatewayPaymentID, payment.FieldStatus, payment.FieldNextCheckAt,
		}, shown...)},
		{table: balance.Table, states: map[string][]string{balance.FieldBillingMode: {"PREPAID", "POSTPAID"}}, untold: []string{
			balance.FieldAutoReloadAmountUnits, balance.FieldAutoReloadDailyCapUnits, balance.FieldAutoReloadEnabled,
			balance.FieldAutoReloadMonthlyCapUnits, balance.FieldAutoReloadPaymentMethodID,
			balance.FieldAutoReloadDueAt, balance.FieldAutoReloadFailures, balance.FieldAutoReloadProviderID, balance.FieldAutoReloadSuspendedReason, balance.FieldAutoReloadThresholdUnits,
			balance.FieldLowBalanceLevelUnits, balance.FieldLowBalanceNoticedAt,
			balance.FieldCreditLimitUnits, // of POSTPAID: it is agreed, not derived
			balance.FieldUsageInvoiceAt, balance.FieldVersion, balance.FieldCreatedAt, balance.FieldUpdatedAt,
		}},
		{table: refund.Table, states: map[string][]string{
			refund.FieldStatus: {"PROCESSING", "SUCCEEDED", "FAILED"},
		}, untold: []string{
			refund.FieldReason, refund.FieldFailureMessage, refund.FieldChecks, refund.FieldNextCheckAt,
			refund.FieldCreatedAt, refund.FieldUpdatedAt, refund.FieldHoldID, // of one that has ended
			// The gateway has not named one whose call is open; and of a credit
			// note's nothing is on hold.
			refund.FieldGatewayRefundID, refund.FieldStatus,
		}},
		{table: dispute.Table, states: map[string][]string{
			dispute.FieldStatus: {"WARNING", "NEEDS_RESPONSE", "UNDER_REVIEW", "WON", "LOST"},
		}, untold: []string{
			dispute.FieldReason, dispute.FieldEvidenceDueAt, dispute.FieldChecks, dispute.FieldNextCheckAt,
			dispute.FieldCreatedAt, dispute.FieldUpdatedAt, dispute.FieldStatus, // of as much weight
		}},
		{table: hold.Table, where: "status = 'OPEN'", states: holds, untold: append([]string{hold.FieldID, hold.FieldExpiresAt}, promised...)},
		{table: hold.Table, where: "status = 'CAPTURED'", states: holds, untold: append([]string{hold.FieldAmountUnits}, promised...)},
		// Of one that came to nothing only its times tell how it ended.
		{table: hold.Table, where: "status IN ('RELEASED', 'EXPIRED')", states: holds, untold: append([]string{
			hold.FieldID, hold.FieldAmountUnits, hold.FieldClosedAt, hold.FieldExpiresAt,
		}, promised...)},
		{table: subscription.Table, states: map[string][]string{
			subscription.FieldStatus: {"SCHEDULED", "INCOMPLETE", "TRIALING", "ACTIVE", "PAST_DUE", "UNPAID", "CANCELED"},
		}, untold: []string{
			subscription.FieldPayerID,                                                                     // of one on trial
			subscription.FieldProviderID, subscription.FieldPaymentMethodID, subscription.FieldCollection, // wishes
			subscription.FieldLatestInvoiceID, subscription.FieldCancelAtPeriodEnd,
			subscription.FieldDueAt, subscription.FieldNoticeAt, subscription.FieldCanceledAt, subscription.FieldVersion,
			subscription.FieldRecurrenceInterval, subscription.FieldRecurrenceCount, // of one on trial
			subscription.FieldCreatedAt, subscription.FieldUpdatedAt,
			subscription.FieldStatus, // of as much weight
		}},
		{table: ledgerseal.Table},
		{table: gatewaycall.Table, where: "state <> 'DONE'", states: map[string][]string{
			gatewaycall.FieldState: {"OPEN", "DONE", "REVIEW"},
		}, untold: []string{
			gatewaycall.FieldAttempts, gatewaycall.FieldCreatedAt, gatewaycall.FieldFailureCode, gatewaycall.FieldFailureMessage,
			gatewaycall.FieldFence, gatewaycall.FieldGatewayRequestID, gatewaycall.FieldLeaseUntil, gatewaycall.FieldNextCheckAt, gatewaycall.FieldOutcome,
		}},
		// One that has ended is history; only that it has is of weight.
		{table: gatewaycall.Table, where: "state = 'DONE' AND operation IN ('CHARGE', 'INVOICE_SETTLE')", states: map[string][]string{
			gatewaycall.FieldState: {"OPEN", "REVIEW"},
		}, untold: []string{
			gatewaycall.FieldAttempts, gatewaycall.FieldCreatedAt, gatewaycall.FieldFailureCode, gatewaycall.FieldFailureMessage,
			gatewaycall.FieldFence, gatewaycall.FieldGatewayRequestID, gatewaycall.FieldLeaseUntil, gatewaycall.FieldOutcome,
			gatewaycall.FieldID, gatewaycall.FieldSubject, gatewaycall.FieldOperation, gatewaycall.FieldGatewayKey,
			gatewaycall.FieldProviderID, gatewaycall.FieldRequest, gatewaycall.FieldFinishedAt,
		}},
	}
}

// TestVerifyProves changes every column of every row of the tables that money
// stands in, one at a time and in several ways, and wants verification to
// tell; but for the columns of which that cannot be asked, and of those it
// wants to miss a change. Unless everything is to be tried, one row stands for
// all that differ from it neither in a state nor in what is there at all.
func TestVerifyProves(t *testing.T) {
	t.Parallel()
	s := newTrade(t)
	for _, p := range provables() {
		missed := map[string]string{}
		rows, shapes := s.rows(t, p)
		for i, rowid := range rows {
			for _, column := range s.columns(t, p.table) {
				if missed[column] != "" {
					continue
				}
				if i >= shapes && !full() && !slices.Contains(p.untold, column) {
					continue
				}
				for _, value := range s.others(t, p.table, column, rowid, p.states[column]) {
					if !s.found(t, p.table, column, rowid, value) {
						missed[column] = fmt.Sprintf("row %s: %s", rowid, value)
					}
				}
			}
		}
		for _, column := range slices.Sorted(maps.Keys(missed)) {
			if !slices.Contains(p.untold, column) {
				t.Errorf("%s.%s can be changed where %s: %s", p.table, column, p.where, missed[column])
			}
		}
		for _, column := range p.untold {
			if missed[column] == "" {
				t.Errorf("every change of %s.%s where %s was found: take it off the list", p.table, column, p.where)
			}
		}
	}
	s.mustVerify(t)
}

func (s *sale) texts(t testing.TB, query string, args ...any) []string {
	t.Helper()
	rows, err := s.db.Write.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// rows lists the rows of a kind. The first of them, as many as shapes says,
// are one of each shape.
func (s *sale) rows(t testing.TB, p provable) (rows []string, shapes int) {
	t.Helper()
	where := p.where
	if where == "" {
		where = "true"
	}
	var shape []string
	for _, column := range s.columns(t, p.table) {
		if p.states[column] == nil {
			column += " IS NULL"
		}
		shape = append(shape, column)
	}
	from := " FROM " + p.table + " WHERE " + where
	first := "SELECT min(rowid)" + from + " GROUP BY " + strings.Join(shape, ", ")
	rows = s.texts(t, first+" ORDER BY 1")
	if len(rows) == 0 {
		t.Fatalf("there are no %s where %s", p.table, where)
	}
	return append(rows, s.texts(t, "SELECT rowid"+from+" AND rowid NOT IN ("+first+") ORDER BY rowid")...), len(rows)
}

// full reports whether tests should try everything instead of a sample that
// fits a change's few minutes.
func full() bool { return os.Getenv("PURSER_TEST_FULL") == "1" }

func (s *sale) columns(t testing.TB, table string) []string {
	t.Helper()
	// In another organization a row is as good as deleted.
	return s.texts(t, "SELECT name FROM pragma_table_info(?) WHERE name <> 'organization_id'", table)
}

// others are values, in SQL, that the column of the row might be changed to.
func (s *sale) others(t testing.TB, table, column, rowid string, states []string) []string {
	t.Helper()
	at := " FROM " + table + " WHERE rowid = " + rowid
	is := s.texts(t, "SELECT typeof("+column+") || ' ' || coalesce("+column+", '')"+at)[0]
	kind, value, _ := strings.Cut(is, " ")
	if states != nil {
		var out []string
		for _, state := range states {
			if state != value {
				out = append(out, "'"+state+"'")
			}
		}
		return out
	}
	var out []string
	switch {
	case strings.HasSuffix(column, "_units"):
		out = []string{"coalesce(" + column + ", 0) + 1", "coalesce(" + column + ", 0) + 1000000"}
	case strings.HasSuffix(column, "_at"), column == gatewaycall.FieldLeaseUntil, column == invoice.FieldPeriodStart, column == invoice.FieldPeriodEnd:
		out = []string{"'" + fixtureStart.Add(-time.Hour).Format("2006-01-02 15:04:05-07:00") + "'"}
	case column == payment.FieldReturnUrls:
		out = []string{"'{}'"}
	case column == balance.FieldPayerID: // of a hold as well
		out = s.texts(t, "SELECT '''' || id || '''' FROM payers WHERE id <> ?", value)
	case kind == "integer":
		out = []string{column + " + 1"}
	case kind == "blob":
		out = []string{"x'00'"}
	default:
		out = []string{"coalesce(" + column + ", '') || 'x'"}
	}
	if kind != "null" && s.texts(t, "SELECT count(*) FROM pragma_table_info(?) WHERE name = ? AND \"notnull\" = 0", table, column)[0] == "1" {
		out = append(out, "NULL")
	}
	return out
}

// found changes one column of a row, reports whether verification tells, and
// puts it back. What stood there is kept here and not in a table: a table that
// comes and goes has SQLite parse every statement anew.
func (s *sale) found(t testing.TB, table, column, rowid, value string) bool {
	t.Helper()
	at := " WHERE rowid = " + rowid
	was := s.texts(t, "SELECT quote("+column+") FROM "+table+at)[0]
	_, err := s.db.Write.ExecContext(t.Context(), "UPDATE "+table+" SET "+column+" = "+value+at)
	if err == nil { // not even the database tells
		_, err = s.Verify(s.ctx, VerifyOptions{SealAge: time.Minute})
	}
	s.exec(t, "UPDATE "+table+" SET "+column+" = "+was+at)
	return err != nil // a value that cannot even be read is found as well
}
