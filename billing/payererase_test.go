package billing

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/auth"
	"purser/ent/auditevent"
	"purser/ent/gatewaycall"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/membership"
	"purser/ent/payer"
	"purser/ent/quote"
	"purser/ent/schema"
	"purser/gateway"
	"purser/migrations"
	"purser/money"
)

// personal is what tells who a person is, and must be found nowhere once the
// person is erased, but on what was issued.
var personal = []string{"Ada Lovelace", "ada@example.com", "bills@example.com", "St James", "u-1815", "first programmer", "visa"}

// newPerson makes the sale's payer a person about whom everything is known.
func (s *sale) newPerson(t testing.TB) string {
	t.Helper()
	id, err := s.CreateDeveloper(s.ctx, PayerDraft{
		Email: "ada@example.com", Name: "Ada Lovelace", ExternalID: ptr("u-1815"), BillingEmail: ptr("bills@example.com"),
		BillingMode: payer.BillingModePREPAID, Metadata: map[string]string{"note": "first programmer"},
		Address: &schema.Address{Line1: "12 St James's Square", City: "London", Country: "GB"}, TaxRate: ptr(money.Decimal("20")),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.payer, err = s.Client().Payer.Query().Where(payer.ID(id)).Only(s.ctx); err != nil {
		t.Fatal(err)
	}
	company, err := s.CreateCompany(s.ctx, PayerDraft{Slug: "engines", Name: "Engines Ltd", BillingMode: payer.BillingModePREPAID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddMember(s.ctx, company, id, membership.RoleADMIN); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CreatePayerSession(s.ctx, id, time.Hour); err != nil {
		t.Fatal(err)
	}
	return id
}

// liveThrough has the person do business and end it: a paid invoice, a quote
// that came to nothing, a top-up that was used up.
func (s *sale) liveThrough(t testing.TB) (invoiceID, cardID string) {
	t.Helper()
	cardID = s.card(t)
	invoiceID = s.openInvoiceOf(t, item(t, "API", "3", "USD", 1))
	if err := s.ApplyInvoice(s.ctx, invoiceID, s.invoiceAt(t, invoiceID, "paid")); err != nil {
		t.Fatal(err)
	}
	quoteID := s.openQuoteOf(t, item(t, "API", "4", "USD", 1))
	begun, err := s.BeginQuoteCancellation(s.ctx, quoteID)
	if err != nil {
		t.Fatal(err)
	}
	if begun.Call != nil {
		if err := s.FinishQuoteCancellation(s.ctx, begun.ID, s.quoteAt(t, quoteID, gateway.QuoteCanceled)); err != nil {
			t.Fatal(err)
		}
	}
	charge, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "20"), PaymentMethodID: cardID, Key: ptr("top-up")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.FinishPayment(s.ctx, charge.ID, paymentAt(gateway.StatusSucceeded, "pi_ada", usd(t, "20"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: usd(t, "20"), Description: ptr("calls"), Key: ptr("usage")}); err != nil {
		t.Fatal(err)
	}
	return invoiceID, cardID
}

// everything is all rows of all tables in one text, but for what the tables
// named hold.
func (s *sale) everything(t testing.TB, but ...string) string {
	t.Helper()
	var all strings.Builder
	tables, err := migrations.Tables()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if slices.Contains(but, table.Name) {
			continue
		}
		s.textsOf(t, table.Name, &all)
	}
	return all.String()
}

// textsOf writes the texts of a table's rows.
func (s *sale) textsOf(t testing.TB, table string, into *strings.Builder) {
	t.Helper()
	rows, err := s.db.Write.QueryContext(auth.AllTenants(t.Context(), "verify"), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			switch v := (*v.(*any)).(type) {
			case string:
				into.WriteString(table + "." + columns[i] + "=" + v + "\n")
			case []byte:
				into.WriteString(table + "." + columns[i] + "=" + string(v) + "\n")
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// wantNobody fails the test for each line that tells who the person is.
func wantNobody(t testing.TB, all string) {
	t.Helper()
	for line := range strings.Lines(all) {
		for _, secret := range personal {
			if strings.Contains(line, secret) {
				t.Errorf("it is still told who the person is: %s", line)
			}
		}
	}
}

func TestErasePayer(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.newPerson(t)
		invoiceID, cardID := s.liveThrough(t)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error { // somebody wrote her name
			if err := tx.Quote.Update().Where(quote.PayerID(id)).SetDescription("an offer to Ada Lovelace").Exec(ctx); err != nil {
				return err
			}
			return tx.Hold.Create().SetID("hld_1").SetPayerID(id).SetBalanceID(s.balanceOf(t, id, "USD").ID).SetCurrency("USD").SetAmountUnits(1).
				SetStatus(hold.StatusRELEASED).SetClosedAt(tx.Now).SetExpiresAt(tx.Now.Add(time.Second)).SetDescription("a job of Ada Lovelace").SetCreatedAt(tx.Now).Exec(ctx)
		})
		before, err := s.Client().LedgerEntry.Query().Order(ledgerentry.ByID()).All(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.ErasePayer(s.ctx, id), CodeInvalidState, "id") // it is not closed
		if err := s.CloseDeveloper(s.ctx, id, RestBalanceRefuse); err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.ErasePayer(s.ctx, id), CodeInvalidState, "id") // it has a card
		change, err := s.BeginCardDetach(s.ctx, cardID)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.ErasePayer(s.ctx, id), CodeInvalidState, "id") // the gateway has not answered
		if err := s.FinishCardChange(s.ctx, change.ID, gateway.CardResult{Outcome: succeeded()}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // again it changes nothing
			if err := s.ErasePayer(s.ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		// The recipient of the issued invoice stays, and nothing else.
		wantNobody(t, s.everything(t, invoice.Table))
		inv := s.invoiced(t, invoiceID)
		if r := inv.Recipient; r == nil || r.Name != "Ada Lovelace" || r.Email != "bills@example.com" || r.Address.City != "London" || inv.Number == nil {
			t.Errorf("the issued invoice is to %+v", r)
		}
		d, err := s.invoiceDocument(s.ctx, inv.PublicToken)
		if err != nil || d.Payer.Name != "Ada Lovelace" || !slices.Contains(d.Payer.Details, "12 St James's Square") {
			t.Errorf("the issued document is to %+v, %v", d.Payer, err)
		}
		after, err := s.Client().LedgerEntry.Query().Order(ledgerentry.ByID()).All(s.ctx)
		if err != nil || len(after) != len(before) {
			t.Fatalf("%d entries, were %d, %v", len(after), len(before), err)
		}
		for i := range after {
			if !bytes.Equal(after[i].Hash, before[i].Hash) {
				t.Errorf("entry %s has another hash", after[i].ID)
			}
		}
		p, err := s.Client().Payer.Query().Where(payer.ID(id)).Only(s.ctx)
		if err != nil || p.ErasedAt == nil || p.Name != erasedName || *p.Email != id+erasedDomain || p.Status != payer.StatusCLOSED {
			t.Errorf("payer %+v, %v", p, err)
		}
		if n, err := s.Client().AuditEvent.Query().Where(auditevent.Action("payer.erase"), auditevent.Subject(id)).Count(s.ctx); n != 1 || err != nil {
			t.Errorf("%d audit events, %v", n, err)
		}
		// The address and the id are free.
		if _, err := s.CreateDeveloper(s.ctx, PayerDraft{Email: "ada@example.com", Name: "Ada", ExternalID: ptr("u-1815"), BillingMode: payer.BillingModePREPAID}, nil); err != nil {
			t.Errorf("the address is not free: %v", err)
		}
	})
}

// TestEraseWhatNeedsReview: a call that a person has to look at must not keep
// a person's data for ever.
func TestEraseWhatNeedsReview(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.newPerson(t)
		invoiceID, _ := s.liveThrough(t)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			err := tx.openCall(ctx, s.newID(prefixCall), s.provider, gatewaycall.OperationINVOICE_FINALIZE, invoiceID, gateway.InvoiceRequest{
				Customer: gateway.Customer{ID: "cus_1", Name: "Ada Lovelace", Email: "ada@example.com"}, Total: s.invoiced(t, invoiceID).Total(), Description: "for Ada Lovelace",
			})
			if err != nil {
				return err
			}
			return tx.GatewayCall.Update().Where(gatewaycall.StateEQ(gatewaycall.StateOPEN)).SetState(gatewaycall.StateREVIEW).ClearNextCheckAt().ClearLeaseUntil().Exec(ctx)
		})
		for _, page := range s.objectsOf(id) {
			if err := s.eraseRequests(s.ctx, page); err != nil {
				t.Fatal(err)
			}
		}
		c, err := s.Client().GatewayCall.Query().Where(gatewaycall.StateEQ(gatewaycall.StateREVIEW)).Only(s.ctx)
		if err != nil || strings.Contains(string(c.Request), "Ada") || askedAmount(c, "Total") != s.invoiced(t, invoiceID).Total().String() {
			t.Errorf("call %s, %v", c.Request, err)
		}
	})
}

func TestEraseCompany(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, err := f.CreateCompany(f.ctx, PayerDraft{Slug: "jane-doe", Name: "Jane Doe", TaxID: ptr("GB1"), BillingMode: payer.BillingModePREPAID}, nil)
		if err != nil {
			t.Fatal(err)
		}
		member := f.newPayer(t, payer.BillingModePREPAID)
		if _, err := f.AddMember(f.ctx, id, member.ID, membership.RoleMEMBER); err != nil {
			t.Fatal(err)
		}
		if err := f.CloseCompany(f.ctx, id, RestBalanceRefuse); err != nil {
			t.Fatal(err)
		}
		_, other := f.newOrganization(t, "other", "UTC")
		wantCode(t, f.ErasePayer(other, id), CodeNotFound, "id")
		if err := f.ErasePayer(f.ctx, id); err != nil {
			t.Fatal(err)
		}
		p, err := f.Client().Payer.Query().Where(payer.ID(id)).Only(f.ctx)
		if err != nil || *p.Slug != id || p.TaxID != nil || p.Name != erasedName {
			t.Errorf("company %+v, %v", p, err)
		}
		if n, err := f.Client().Membership.Query().Count(f.ctx); n != 0 || err != nil {
			t.Errorf("%d memberships, %v", n, err)
		}
	})
}

func TestExportPayer(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.newPerson(t)
		invoiceID, _ := s.liveThrough(t)
		for range 3 {
			s.useRecorded(t, id, usd(t, "0.25"))
		}
		link, expires, err := s.ExportPayer(s.ctx, id)
		if err != nil || !expires.Equal(s.clock.Now().Add(exportLife)) || !strings.HasPrefix(link, "http://purser.test/personal-data/demo/") {
			t.Fatalf("link %s until %s, %v", link, expires, err)
		}
		token := link[strings.LastIndex(link, "/")+1:]
		x, err := s.OpenPayerExport(s.ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		// What comes while it is written does not make it disagree.
		pages := 0
		var document bytes.Buffer
		if err := x.Write(s.ctx, &document, func() {
			if pages++; pages < 100 {
				s.useRecorded(t, id, usd(t, "0.25"))
			}
		}); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Payer          map[string]any
			Invoices       []map[string]any
			PaymentMethods []map[string]any
			Balances       []struct {
				Balance struct{ Remaining string }
				Entries []struct{ Amount string }
			}
		}
		if err := json.Unmarshal(document.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, document.String())
		}
		for _, secret := range personal {
			if !strings.Contains(document.String(), secret) {
				t.Errorf("%q is not exported", secret)
			}
		}
		if len(got.Invoices) != 1 || got.Invoices[0]["id"] != invoiceID || got.Invoices[0]["total"] != "3.60" {
			t.Errorf("invoices %v", got.Invoices)
		}
		if len(got.Balances) != 1 {
			t.Fatalf("balances %v", got.Balances)
		}
		sum := usd(t, "0")
		for _, e := range got.Balances[0].Entries {
			if sum, err = sum.Add(usd(t, e.Amount)); err != nil {
				t.Fatal(err)
			}
		}
		if string(sum.Decimal()) != got.Balances[0].Balance.Remaining || len(got.Balances[0].Entries) < 5 {
			t.Errorf("%d entries come to %s, remaining is %s", len(got.Balances[0].Entries), sum, got.Balances[0].Balance.Remaining)
		}

		_, other := s.newOrganization(t, "other", "UTC")
		_, err = s.OpenPayerExport(other, token)
		wantCode(t, err, CodeNotFound, "token")
		_, err = s.OpenPayerExport(s.ctx, token[:len(token)-2]+"AA")
		wantCode(t, err, CodeNotFound, "token")
		_, _, err = s.ExportPayer(other, id)
		wantCode(t, err, CodeNotFound, "id")
		s.clock.Advance(exportLife)
		_, err = s.OpenPayerExport(s.ctx, token)
		wantCode(t, err, CodeNotFound, "token")
	})
}

// TestExportIsPaged: a payer with more of everything than one page holds.
func TestExportIsPaged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "100"))
		var pages int
		x := &PayerExport{PayerID: p.ID, s: f.Service, payer: p}
		b := f.balanceOf(t, p.ID, "USD")
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			for range exportPage {
				if _, err := tx.post(ctx, posting{kind: ledgerentry.KindUSAGE, debit: b.Account(), credit: accountRevenue, balanceID: b.ID, amount: usd(t, "0.01")}); err != nil {
					return err
				}
			}
			return nil
		})
		var out bytes.Buffer
		d := &exportWriter{w: &out, breath: func() { pages++ }}
		x.balances(f.ctx, d)
		if n := strings.Count(out.String(), `"kind":"USAGE"`); d.err != nil || n != exportPage || pages != 3 {
			t.Errorf("%d entries on %d pages, %v", n, pages, d.err)
		}
	})
}
