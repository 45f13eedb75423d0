package billing

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/money"
)

// entryStream gives the entries of a query in order, page by page.
type entryStream struct {
	v    *verifier
	load func(ctx context.Context, after *ent.LedgerEntry, limit int) ([]*ent.LedgerEntry, error)
	page []*ent.LedgerEntry
	last *ent.LedgerEntry
	end  bool
	// again: another stream has counted the entries and looked at what they
	// name.
	again bool
	// payments and reversed are what the entries of the page name, mirrored is
	// what all reversals of an entry come to.
	payments map[string]*ent.Payment
	reversed map[string]*ent.LedgerEntry
	mirrored map[string]money.Units
	// causes are what the refunds and disputes are called that they name.
	causes map[string]backCause
}

// peek returns the next entry, or nil after the last one.
func (s *entryStream) peek(ctx context.Context) (*ent.LedgerEntry, error) {
	if len(s.page) > 0 {
		return s.page[0], nil
	}
	if s.end {
		return nil, nil
	}
	limit := s.v.options.PageRows
	page, err := s.load(ctx, s.last, limit)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	s.page, s.end = page, len(page) < limit
	if len(page) == 0 {
		return nil, nil
	}
	s.last = page[len(page)-1]
	if s.again {
		return page[0], nil
	}
	if err := s.loadNamed(ctx); err != nil {
		return nil, err
	}
	s.v.report.Entries += len(page)
	s.v.progress(ledgerentry.Table, s.v.report.Entries)
	return page[0], nil
}

func (s *entryStream) next() { s.page = s.page[1:] }

// loadNamed reads the payments and originals that the page's entries name.
func (s *entryStream) loadNamed(ctx context.Context) error {
	var paymentIDs, reversedIDs []string
	for _, e := range s.page {
		if booksPayment(e) && e.PaymentID != nil {
			paymentIDs = append(paymentIDs, *e.PaymentID)
		}
		if e.ReversesID != nil {
			reversedIDs = append(reversedIDs, *e.ReversesID)
		}
	}
	s.payments, s.reversed = map[string]*ent.Payment{}, map[string]*ent.LedgerEntry{}
	var err error
	if s.causes, err = s.v.backCauses(ctx, s.page); err != nil {
		return err
	}
	if len(paymentIDs) > 0 {
		rows, err := s.v.Payment.Query().Where(payment.IDIn(paymentIDs...)).All(ctx)
		if err != nil {
			return fmt.Errorf("read payments: %w", err)
		}
		for _, p := range rows {
			s.payments[p.ID] = p
		}
	}
	if len(reversedIDs) > 0 {
		rows, err := s.v.LedgerEntry.Query().Where(ledgerentry.IDIn(reversedIDs...)).All(ctx)
		if err != nil {
			return fmt.Errorf("read reversed entries: %w", err)
		}
		for _, e := range rows {
			s.reversed[e.ID] = e
		}
		return s.loadMirrored(ctx, reversedIDs)
	}
	return nil
}

// loadMirrored sums the reversals of entries.
func (s *entryStream) loadMirrored(ctx context.Context, ids []string) error {
	var sums []struct {
		ReversesID string `json:"reverses_id"`
		Sum        money.Units
	}
	err := s.v.LedgerEntry.Query().Where(ledgerentry.ReversesIDIn(ids...)).
		GroupBy(ledgerentry.FieldReversesID).
		Aggregate(ent.As(ent.Sum(ledgerentry.FieldAmountUnits), "sum")).
		Scan(ctx, &sums)
	if err != nil {
		return fmt.Errorf("sum reversals: %w", err)
	}
	s.mirrored = make(map[string]money.Units, len(sums))
	for _, sum := range sums {
		s.mirrored[sum.ReversesID] = sum.Sum
	}
	return nil
}

// booksPayment reports whether the entry says that a gateway has taken money.
func booksPayment(e *ent.LedgerEntry) bool {
	return (e.Kind == ledgerentry.KindTOP_UP || e.Kind == ledgerentry.KindINVOICE_PAYMENT) &&
		strings.HasPrefix(e.DebitAccount, clearingAccount(""))
}

// balances replays every balance from its entries and compares the two.
func (v *verifier) balances(ctx context.Context) error {
	entries := &entryStream{v: v, load: func(ctx context.Context, after *ent.LedgerEntry, limit int) ([]*ent.LedgerEntry, error) {
		q := v.LedgerEntry.Query().Where(ledgerentry.BalanceIDNotNil())
		if after != nil {
			q.Where(func(s *entsql.Selector) {
				s.Where(entsql.CompositeGT([]string{s.C(ledgerentry.FieldBalanceID), s.C(ledgerentry.FieldSeq)}, orEmpty(after.BalanceID), *after.Seq))
			})
		}
		return q.Order(ent.Asc(ledgerentry.FieldBalanceID, ledgerentry.FieldSeq)).Limit(limit).All(ctx)
	}}
	last := ""
	for {
		page, err := v.Balance.Query().Where(balance.IDGT(last)).Order(ent.Asc(balance.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read balances: %w", err)
		}
		owed, err := v.owed(ctx, page)
		if err != nil {
			return err
		}
		if err := v.reloads(ctx, page); err != nil {
			return err
		}
		for _, b := range page {
			if err := v.balance(ctx, b, entries); err != nil {
				return err
			}
			if want := owed.held[b.ID]; b.HeldUnits != want {
				return v.fault(balance.Table, b.ID, "held_units against its open holds", want, b.HeldUnits)
			}
			if want := owed.unpaid[account{b.PayerID, b.Currency}]; b.UnpaidUnits != want {
				return v.fault(balance.Table, b.ID, "unpaid_units against its payer's open invoices", want, b.UnpaidUnits)
			}
			if want := owed.modes[b.PayerID]; string(b.BillingMode) != string(want) {
				return v.fault(balance.Table, b.ID, "billing_mode of its payer", want, b.BillingMode)
			}
			if b.BillingMode == balance.BillingModePREPAID && b.CreditLimitUnits != nil {
				return v.fault(balance.Table, b.ID, "credit_limit_units, being PREPAID", "none", *b.CreditLimitUnits)
			}
			if postpaid(b) != (b.UsageInvoiceAt != nil) {
				return v.fault(balance.Table, b.ID, fmt.Sprintf("usage_invoice_at, being %s", b.BillingMode), presence(postpaid(b)), presence(!postpaid(b)))
			}
			if b.CreditLimitOwn && b.CreditLimitUnits == nil {
				return v.fault(balance.Table, b.ID, "credit_limit_units, being its payer's own", "a limit", "none")
			}
		}
		v.report.Balances += len(page)
		v.progress(balance.Table, v.report.Balances)
		if len(page) < v.options.PageRows {
			break
		}
		last = page[len(page)-1].ID
	}
	orphan, err := entries.peek(ctx)
	if orphan != nil {
		return v.fault(ledgerentry.Table, orphan.ID, "balance_id", "a balance that exists", orEmpty(orphan.BalanceID))
	}
	return err
}

// replayed is a balance as its entries so far have made it. The billing period
// that was open lies between earliest and latest: near the end of a month the
// organization's time zone decides, and that may have changed since.
type replayed struct {
	amount, usage    money.Units
	earliest, latest string
	seq              int64
	hash             []byte
	at               time.Time
}

// opened is the balance carried into a later period.
func (r *replayed) opened(earliest, latest string) replayed {
	out := *r
	out.amount, out.usage, out.earliest, out.latest = r.amount-r.usage, 0, earliest, latest
	return out
}

// balance replays one balance from the stream, which stands at its first
// entry.
func (v *verifier) balance(ctx context.Context, b *ent.Balance, entries *entryStream) error {
	state := replayed{hash: []byte{}, at: b.CreatedAt}
	state.earliest, state.latest = periodsAround(b.CreatedAt)
	for {
		e, err := entries.peek(ctx)
		if err != nil {
			return err
		}
		if e != nil && *e.BalanceID < b.ID {
			return v.fault(ledgerentry.Table, e.ID, "balance_id", "a balance that exists", *e.BalanceID)
		}
		if e == nil || *e.BalanceID != b.ID {
			break
		}
		if err := v.entry(b, &state, e); err != nil {
			return err
		}
		if err := v.meaning(e, b, entries); err != nil {
			return err
		}
		entries.next()
	}
	switch {
	case b.LastSeq != state.seq:
		return v.fault(balance.Table, b.ID, "last_seq against its entries", state.seq, b.LastSeq)
	case !bytes.Equal(b.LastHash, state.hash):
		return v.fault(balance.Table, b.ID, "last_hash against its entries", hex.EncodeToString(state.hash), hex.EncodeToString(b.LastHash))
	case !b.LastBookedAt.Equal(state.at):
		return v.fault(balance.Table, b.ID, "last_booked_at against its entries", state.at, b.LastBookedAt)
	}
	return v.projection(b, &state)
}

// projection compares the balance's columns with what its entries come to.
// The period may have been opened after the last entry, by a write that
// booked nothing.
func (v *verifier) projection(b *ent.Balance, state *replayed) error {
	want := *state
	_, newest := periodsAround(b.UpdatedAt)
	rolled := state.opened(b.Period, b.Period)
	if b.Period > state.earliest && b.Period <= newest && b.AmountUnits == rolled.amount && b.UsageUnits == rolled.usage {
		want = rolled
	}
	switch {
	case b.AmountUnits != want.amount:
		return v.fault(balance.Table, b.ID, "amount_units against its entries", want.amount, b.AmountUnits)
	case b.UsageUnits != want.usage:
		return v.fault(balance.Table, b.ID, "usage_units against its entries", want.usage, b.UsageUnits)
	case b.Period < want.earliest, b.Period > want.latest:
		return v.fault(balance.Table, b.ID, "period against its entries", want.latest, b.Period)
	}
	return nil
}

// entry checks one entry of a balance against the ones before it and carries
// the state on.
func (v *verifier) entry(b *ent.Balance, state *replayed, e *ent.LedgerEntry) error {
	table := ledgerentry.Table
	row := storedRow(e)
	if err := v.canonical(e); err != nil {
		return err
	}
	switch {
	case row.seq != state.seq+1:
		return v.fault(table, e.ID, "seq: an entry is missing or moved", state.seq+1, row.seq)
	case e.BookedAt.Before(state.at):
		return v.fault(table, e.ID, "booked_at: it goes back", "not before "+state.at.String(), e.BookedAt)
	case e.Currency != b.Currency:
		return v.fault(table, e.ID, "currency of its balance", b.Currency, e.Currency)
	case e.DebitAccount != b.Account() && e.CreditAccount != b.Account():
		return v.fault(table, e.ID, "one side is its balance", b.Account(), e.DebitAccount+" / "+e.CreditAccount)
	}
	want, fits := state.after(b, &row)
	if !fits {
		return v.fault(table, e.ID, "the balance after it", fmt.Sprintf("amount %d, usage %d", want.amount, want.usage), fmt.Sprintf("amount %d, usage %d", row.amountAfter, row.usageAfter))
	}
	if digest := row.digest(state.hash); !bytes.Equal(digest, e.Hash) {
		return v.fault(table, e.ID, "hash over the row and the one before it", hex.EncodeToString(digest), hex.EncodeToString(e.Hash))
	}
	want.seq, want.hash, want.at = row.seq, e.Hash, e.BookedAt
	*state = want
	return nil
}

// after carries the state over an entry, into the period of the entry where
// that had begun, and reports whether it comes to what the entry says. Where
// two ways come to the same, both periods are possible from then on.
func (r *replayed) after(b *ent.Balance, row *entryRow) (want replayed, fits bool) {
	earliest, latest := periodsAround(row.bookedAt)
	var ways []replayed
	if r.earliest < latest {
		from := earliest
		if from <= r.earliest {
			from = latest
		}
		ways = append(ways, r.opened(from, latest))
	}
	if r.latest >= earliest {
		same := *r
		same.earliest = max(r.earliest, earliest)
		ways = append(ways, same)
	}
	for _, before := range ways {
		amount, usage, err := row.move(&ent.Balance{ID: b.ID, AmountUnits: before.amount, UsageUnits: before.usage})
		if err != nil {
			continue // out of the range that can be counted
		}
		way := before
		way.amount, way.usage = amount, usage
		switch fit := amount == row.amountAfter && usage == row.usageAfter; {
		case fit && fits:
			want.earliest, want.latest = min(want.earliest, way.earliest), max(want.latest, way.latest)
		case fit, want.latest == "":
			want, fits = way, fit
		}
	}
	return want, fits
}

// canonical refuses a row that reads like another one: the hash does not tell
// an empty text from none.
func (v *verifier) canonical(e *ent.LedgerEntry) error {
	for _, c := range [...]struct {
		column string
		value  *string
	}{
		{ledgerentry.FieldReversedKind, e.ReversedKind},
		{ledgerentry.FieldPaymentID, e.PaymentID},
		{ledgerentry.FieldInvoiceID, e.InvoiceID},
		{ledgerentry.FieldHoldID, e.HoldID},
		{ledgerentry.FieldRefundID, e.RefundID},
		{ledgerentry.FieldDisputeID, e.DisputeID},
		{ledgerentry.FieldCreditNoteID, e.CreditNoteID},
		{ledgerentry.FieldProviderID, e.ProviderID},
		{ledgerentry.FieldReversesID, e.ReversesID},
		{ledgerentry.FieldCauseKey, e.CauseKey},
		{ledgerentry.FieldOperation, e.Operation},
		{ledgerentry.FieldIdempotencyKey, e.IdempotencyKey},
	} {
		if c.value != nil && *c.value == "" {
			return v.fault(ledgerentry.Table, e.ID, c.column, "a text or nothing", `""`)
		}
	}
	onBalance := e.BalanceID != nil
	if (e.Seq != nil) != onBalance || (e.AmountAfterUnits != nil) != onBalance || (e.UsageAfterUnits != nil) != onBalance {
		return v.fault(ledgerentry.Table, e.ID, "seq and the balance after it are there exactly for entries of a balance", onBalance, !onBalance)
	}
	return nil
}

// looseEntries checks the entries that touch no balance, each for itself; the
// seals hold them together.
func (v *verifier) looseEntries(ctx context.Context) error {
	entries := &entryStream{v: v, load: func(ctx context.Context, after *ent.LedgerEntry, limit int) ([]*ent.LedgerEntry, error) {
		q := v.LedgerEntry.Query().Where(ledgerentry.BalanceIDIsNil())
		if after != nil {
			q.Where(ledgerentry.IDGT(after.ID))
		}
		return q.Order(ent.Asc(ledgerentry.FieldID)).Limit(limit).All(ctx)
	}}
	for {
		e, err := entries.peek(ctx)
		if e == nil || err != nil {
			return err
		}
		if err := v.canonical(e); err != nil {
			return err
		}
		row := storedRow(e)
		if digest := row.digest(nil); !bytes.Equal(digest, e.Hash) {
			return v.fault(ledgerentry.Table, e.ID, "hash over the row", hex.EncodeToString(digest), hex.EncodeToString(e.Hash))
		}
		for _, side := range []string{e.DebitAccount, e.CreditAccount} {
			if strings.HasPrefix(side, ent.BalanceAccount("")) {
				return v.fault(ledgerentry.Table, e.ID, "balance_id", side, "none")
			}
		}
		if err := v.meaning(e, nil, entries); err != nil {
			return err
		}
		entries.next()
	}
}

// meaning checks what an entry says about other rows, and sums its accounts.
func (v *verifier) meaning(e *ent.LedgerEntry, b *ent.Balance, named *entryStream) error {
	if e.Kind == ledgerentry.KindREVERSAL {
		if err := v.mirrors(e, named.reversed[orEmpty(e.ReversesID)], named.mirrored[orEmpty(e.ReversesID)]); err != nil {
			return err
		}
	}
	if booksPayment(e) {
		if err := v.confirms(e, b, named.payments[orEmpty(e.PaymentID)]); err != nil {
			return err
		}
		v.clearing.add(e.DebitAccount, e.Currency, e.AmountUnits)
	}
	if err := v.namesBack(e, named.causes); err != nil {
		return err
	}
	if name, by := clearingMoved(e); by != 0 {
		v.clearing.add(name, e.Currency, by)
	}
	if e.InvoiceID == nil && (e.DebitAccount == accountReceivable || e.CreditAccount == accountReceivable) {
		return v.fault(ledgerentry.Table, e.ID, "invoice_id of a claim", "an invoice", "none")
	}
	return v.shape(e)
}

// shapes are the two sides of an entry by its kind, for the kinds that say what
// they are between.
func shapes() map[ledgerentry.Kind][][2]string {
	clearing, onBalance := clearingAccount(""), ent.BalanceAccount("")
	return map[ledgerentry.Kind][][2]string{
		ledgerentry.KindTOP_UP:          {{clearing, onBalance}},
		ledgerentry.KindRELOAD:          {{accountBank, onBalance}},
		ledgerentry.KindUSAGE:           {{onBalance, accountRevenue}},
		ledgerentry.KindCREDIT:          {{accountPromotions, onBalance}, {onBalance, accountPromotions}, {accountRevenue, onBalance}},
		ledgerentry.KindADJUSTMENT:      {{accountAdjustments, onBalance}, {onBalance, accountAdjustments}},
		ledgerentry.KindINVOICE:         {{accountReceivable, accountRevenue}, {accountReceivable, onBalance}},
		ledgerentry.KindTAX:             {{accountReceivable, accountTax}, {accountRevenue, accountTax}, {accountTax, onBalance}, {onBalance, accountTax}},
		ledgerentry.KindROUNDING:        {{accountReceivable, accountRounding}, {accountRounding, accountReceivable}, {accountRounding, onBalance}, {onBalance, accountRounding}},
		ledgerentry.KindINVOICE_PAYMENT: {{clearing, accountReceivable}, {accountBank, accountReceivable}, {onBalance, accountReceivable}},
		ledgerentry.KindWRITE_OFF:       {{accountWriteOff, accountReceivable}, {accountWriteOff, accountDisputes}, {onBalance, accountWriteOff}, {accountWriteOff, onBalance}},
		ledgerentry.KindREFUND:          {{onBalance, clearing}, {onBalance, accountBank}, {accountReceivable, clearing}},
		ledgerentry.KindCREDIT_NOTE: {
			{accountRevenue, accountReceivable},
			{accountTax, accountReceivable},
			{accountRounding, accountReceivable},
			{accountReceivable, accountRounding},
			{accountReceivable, accountRevenue},
			{accountRevenue, accountBank},
			{accountTax, accountBank},
			{accountRounding, accountBank},
			{accountRevenue, accountWriteOff},
			{accountTax, accountWriteOff},
			{accountRounding, accountWriteOff},
			{accountBank, accountRounding},
			{accountBank, accountRevenue},
			{accountWriteOff, accountRounding},
			{accountWriteOff, accountRevenue},
			{accountRevenue, onBalance},
			{accountTax, onBalance},
			{accountRounding, onBalance},
			{onBalance, accountRounding},
			{onBalance, accountRevenue},
		},
		ledgerentry.KindDISPUTE: {{onBalance, clearing}, {accountDisputes, clearing}},
		ledgerentry.KindFEE:     {{feesAccount(""), clearing}, {clearing, feesAccount("")}},
		ledgerentry.KindPAYOUT:  {{accountBank, clearing}, {clearing, accountBank}},
	}
}

// shape checks the two sides of an entry against its kind, for the kinds that
// say what they are between.
func (v *verifier) shape(e *ent.LedgerEntry) error {
	allowed := v.shapes[e.Kind]
	// Accounts of providers and balances end in an id.
	kind := func(name string) string {
		if before, _, ok := strings.Cut(name, ":"); ok {
			return before + ":"
		}
		return name
	}
	if sides := [2]string{kind(e.DebitAccount), kind(e.CreditAccount)}; allowed != nil && !slices.Contains(allowed, sides) {
		return v.fault(ledgerentry.Table, e.ID, "the accounts of a "+string(e.Kind), allowed, sides)
	}
	return nil
}

// mirrors checks a reversal against the entry that it reverses, of which all
// reversals together are given. Usage and write-offs may be reversed in parts.
func (v *verifier) mirrors(e, original *ent.LedgerEntry, mirrored money.Units) error {
	what := func(kind string, amount money.Units, debit, credit, currency string) string {
		return fmt.Sprintf("%s of %d %s from %s to %s", kind, amount, currency, debit, credit)
	}
	found := what(orEmpty(e.ReversedKind), e.AmountUnits, e.DebitAccount, e.CreditAccount, e.Currency)
	if original == nil {
		return v.fault(ledgerentry.Table, e.ID, "reverses_id", "an entry that exists", orEmpty(e.ReversesID))
	}
	if mirrored > original.AmountUnits {
		return v.fault(ledgerentry.Table, original.ID, "all of its reversals", original.AmountUnits, mirrored)
	}
	amount := original.AmountUnits
	if original.Kind == ledgerentry.KindUSAGE || original.Kind == ledgerentry.KindWRITE_OFF {
		amount = min(amount, e.AmountUnits)
	}
	want := what(string(original.Kind), amount, original.CreditAccount, original.DebitAccount, original.Currency)
	if want != found {
		return v.fault(ledgerentry.Table, e.ID, "the mirror of "+original.ID, want, found)
	}
	return nil
}

// confirms checks an entry that books a payment against the payment.
func (v *verifier) confirms(e *ent.LedgerEntry, b *ent.Balance, p *ent.Payment) error {
	if p == nil {
		return v.fault(ledgerentry.Table, e.ID, "payment_id", "a payment that exists", orEmpty(e.PaymentID))
	}
	type facts struct{ status, amount, account, cause, subject, kind string }
	want := facts{
		status: string(payment.StatusSUCCEEDED), amount: p.Amount().String(), account: clearingAccount(p.ProviderID),
		cause: paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID)),
	}
	found := facts{
		kind: string(e.Kind), status: string(p.Status), amount: money.Amount{Units: e.AmountUnits, Currency: e.Currency}.String(),
		account: e.DebitAccount, cause: orEmpty(e.CauseKey),
	}
	switch p.Purpose {
	case payment.PurposeINVOICE:
		if e.Kind == ledgerentry.KindTOP_UP && b != nil { // its invoice was paid already
			want.kind, want.subject, found.subject = string(e.Kind), orEmpty(p.PayerID), b.PayerID
			break
		}
		want.kind = string(ledgerentry.KindINVOICE_PAYMENT)
		want.subject, found.subject = orEmpty(p.InvoiceID), orEmpty(e.InvoiceID)
	case payment.PurposeTOP_UP, payment.PurposeAUTO_RELOAD:
		want.kind, want.subject = string(ledgerentry.KindTOP_UP), orEmpty(p.PayerID)
		if b != nil && (p.BalanceID == nil || *p.BalanceID == b.ID) {
			found.subject = b.PayerID
		}
	case payment.PurposeTEST:
		want.kind = "none"
	}
	if want != found {
		return v.fault(ledgerentry.Table, e.ID, "payment "+p.ID, fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", found))
	}
	return nil
}
