package billing

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/email"
	"purser/ent/invoice"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
	"purser/gateway"
	"purser/mail"
)

// queued writes a mail to the fixture's payer and returns its id.
func (s *sale) queued(t testing.TB, ctx context.Context, kind mail.Kind, f mailFacts) string {
	t.Helper()
	s.must(t, ctx, func(ctx context.Context, tx *Tx) error { return tx.queueMail(ctx, kind, s.payer.ID, f) })
	return s.mails(t)[0].ID
}

// mails are all mails, the newest first.
func (f *fixture) mails(t testing.TB) []*ent.Email {
	t.Helper()
	rows, err := f.Client().Email.Query().Order(ent.Desc(email.FieldID)).All(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// claimed takes a mail as a job does; nil where there is none to send.
func (s *sale) claimed(t testing.TB, id string) *mail.Message {
	t.Helper()
	m, err := s.ClaimMail(s.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (s *sale) wantMail(t testing.TB, id string, status email.Status, attempts int) *ent.Email {
	t.Helper()
	e, err := s.Client().Email.Query().Where(email.ID(id)).Only(s.ctx)
	if err != nil || e.Status != status || e.Attempts != attempts || (e.Status == email.StatusQUEUED) != (e.NextAttemptAt != nil) || (e.Status == email.StatusSENT) != (e.SentAt != nil) {
		t.Fatalf("mail %+v, %v; want %s after %d", e, err, status, attempts)
	}
	return e
}

func (s *sale) setInvoice(t testing.TB, id string, change func(*ent.InvoiceUpdate)) {
	t.Helper()
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		u := tx.Invoice.Update().Where(invoice.ID(id))
		change(u)
		return u.Exec(ctx)
	})
}

// A mail is sent at least once: by one of the servers that want to, again by
// another where that one dies, always under one name, and not once it is noted
// that it was sent.
func TestMailIsSentAtLeastOnce(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.queued(t, s.ctx, mail.BalanceLow, mailFacts{Reason: "x"})
		if due, err := s.DueMails(s.ctx, 10); err != nil || len(due) != 1 || due[0] != id {
			t.Fatalf("due %v, %v", due, err)
		}
		var won sync.Map
		var servers sync.WaitGroup
		for n := range 4 {
			servers.Go(func() {
				if m, err := s.ClaimMail(s.ctx, id); err != nil {
					t.Error(err)
				} else if m != nil {
					won.Store(n, m)
				}
			})
		}
		servers.Wait()
		var first *mail.Message
		won.Range(func(_, m any) bool {
			if first != nil {
				t.Error("two servers took one mail")
			}
			first, _ = m.(*mail.Message)
			return true
		})
		if first == nil {
			t.Fatal("nobody took the mail")
		}
		// Whoever has it says no more.
		if due, err := s.DueMails(s.ctx, 10); err != nil || len(due) > 0 || s.claimed(t, id) != nil {
			t.Fatalf("due at once %v, %v", due, err)
		}
		s.clock.Advance(time.Minute)
		second := s.claimed(t, id)
		if second == nil || second.ID != first.ID || !second.At.Equal(first.At) || second.To != first.To {
			t.Fatalf("%+v, then %+v", first, second)
		}
		// It is down for good only when the one that is down for now has said so.
		if err := s.FinishMail(s.ctx, id, &mail.Failure{Message: "busy"}); err != nil {
			t.Fatal(err)
		}
		if e := s.wantMail(t, id, email.StatusQUEUED, 2); orEmpty(e.Failure) != "busy" || !e.NextAttemptAt.Equal(s.clock.Now().Add(5*time.Minute)) {
			t.Errorf("%+v", e)
		}
		for range 2 {
			if err := s.FinishMail(s.ctx, id, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.FinishMail(s.ctx, id, &mail.Failure{Final: true, Message: "late"}); err != nil {
			t.Fatal(err)
		}
		if e := s.wantMail(t, id, email.StatusSENT, 2); e.Failure != nil {
			t.Errorf("%+v", e)
		}
		_, err := s.resend(id)
		wantCode(t, err, CodeInvalidState, "id")
	})
}

func (s *sale) resend(id string) (string, error) { return id, s.ResendMail(s.ctx, id) }

// A mail that nobody takes is given up after days, which shows, and can be
// sent again; one that is refused for good at once.
func TestMailIsGivenUp(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.queued(t, s.ctx, mail.BalanceLow, mailFacts{})
		began, tries := s.clock.Now(), 0
		for ; s.claimed(t, id) != nil; tries++ {
			if err := s.FinishMail(s.ctx, id, &mail.Failure{Message: "the mail server could not be reached"}); err != nil {
				t.Fatal(err)
			}
			if e := s.mails(t)[0]; e.NextAttemptAt != nil {
				s.clock.Set(*e.NextAttemptAt)
			}
		}
		if took := s.clock.Now().Sub(began); tries != 10 || took < 4*24*time.Hour || took > 6*24*time.Hour {
			t.Errorf("given up after %d tries in %s", tries, took)
		}
		s.wantMail(t, id, email.StatusFAILED, 10)
		if _, err := s.resend(id); err != nil {
			t.Fatal(err)
		}
		s.wantMail(t, id, email.StatusQUEUED, 0)
		if s.claimed(t, id) == nil {
			t.Fatal("not due again")
		}
		if err := s.FinishMail(s.ctx, id, &mail.Failure{Final: true, Message: "refused (550)"}); err != nil {
			t.Fatal(err)
		}
		if e := s.wantMail(t, id, email.StatusFAILED, 1); orEmpty(e.Failure) != "refused (550)" {
			t.Errorf("%+v", e)
		}
		// Servers that die one after the other give up as well.
		id = s.queued(t, s.ctx, mail.BalanceLow, mailFacts{})
		for range 10 {
			if s.claimed(t, id) == nil {
				t.Fatal("given up early")
			}
			s.clock.Set(*s.mails(t)[0].NextAttemptAt)
		}
		if s.claimed(t, id) != nil {
			t.Error("tried for ever")
		}
		s.wantMail(t, id, email.StatusFAILED, 10)
		_, err := s.resend("eml_none")
		wantCode(t, err, CodeNotFound, "id")
	})
}

// Who gets a mail is who the payer is when it is sent.
func TestMailGoesToThePayerOfNow(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.queued(t, s.ctx, mail.BalanceLow, mailFacts{})
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetBillingEmail("new@example.com") })
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetSupportEmail("help@example.com") })
		m := s.claimed(t, id)
		if m.To != "new@example.com" || m.ReplyTo != "help@example.com" || m.FromAddress != "" || !m.Local || m.Folder != "demo" || !strings.Contains(m.Text, "Write to help@example.com") {
			t.Errorf("%+v", m)
		}
		s.setOrganization(t, func(u *ent.OrganizationUpdate) {
			u.SetFinanceSupportEmail("finance@example.com").SetSenderEmail("bills@example.com")
		})
		s.setPayer(t, func(u *ent.PayerUpdate) { u.ClearBillingEmail() })
		s.clock.Advance(time.Minute)
		if m := s.claimed(t, id); m.To != *s.payer.Email || m.ReplyTo != "finance@example.com" || m.FromAddress != "bills@example.com" {
			t.Errorf("%+v", m)
		}
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusCLOSED) })
		if err := s.ErasePayer(s.ctx, s.payer.ID); err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(time.Hour)
		if m := s.claimed(t, id); m != nil {
			t.Errorf("to somebody who was erased: %+v", m)
		}
		s.wantMail(t, id, email.StatusCANCELED, 3)
		_, err := s.resend(id)
		wantCode(t, err, CodeInvalidState, "id")

		company, err := s.CreateCompany(s.ctx, PayerDraft{Slug: "acme", Name: "ACME", BillingMode: payer.BillingModePREPAID}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.payer = &ent.Payer{ID: company}
		id = s.queued(t, s.ctx, mail.BalanceLow, mailFacts{})
		if m := s.claimed(t, id); m != nil {
			t.Errorf("to a company without an address: %+v", m)
		}
		s.wantMail(t, id, email.StatusFAILED, 1)
	})
}

// The organization's words in the payer's language come first, then the
// system's in it, then English. Words that cannot be rendered any more give
// way to the system's.
func TestMailIsWordedInTheBestLanguage(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		override := func(locale, body string) {
			t.Helper()
			if err := s.OverrideMailTemplate(s.ctx, MailDraft{Kind: mail.BalanceLow, Locale: locale, Subject: ptr("s"), Body: &body}); err != nil {
				t.Fatal(err)
			}
		}
		want := func(locale, text string) {
			t.Helper()
			s.setPayer(t, func(u *ent.PayerUpdate) { u.SetLocale(locale) })
			if m := s.claimed(t, s.queued(t, s.ctx, mail.BalanceLow, mailFacts{})); m == nil || !strings.Contains(m.Text, text) {
				t.Errorf("%s: %+v, want %q", locale, m, text)
			}
		}
		want("pt-BR", "Your balance")
		want("uk", "Залишок")
		override("en", "our English {{ account.name }}")
		want("pt-BR", "our English")
		want("uk-UA", "Залишок")
		override("pt", "o nosso saldo")
		want("pt-BR", "o nosso saldo")
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.EmailTemplate.Update().SetBody("{{ gone }}").Exec(ctx)
		})
		want("pt-BR", "Your balance")
		list, err := s.MailTemplates(s.ctx, "pt")
		if err != nil || len(list) != len(mail.Kinds()) {
			t.Fatalf("%d templates, %v", len(list), err)
		}
		for _, m := range list {
			if m.Overridden != (m.Kind == mail.BalanceLow) || m.Subject == "" || m.Body == "" || m.HTML == "" && !m.Overridden {
				t.Errorf("%+v", m)
			}
		}
	})
}

// What is done in a session of the payer's is told later, and not at all once
// it has been put right; what nobody was there for is told at once.
func TestMailOfADeclinedCharge(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		session := s.session(t, s.payer.ID)
		var inv *ent.Invoice
		try := func(ctx context.Context, key string, status gateway.Status) {
			t.Helper()
			begun, err := s.BeginInvoicePayment(ctx, InvoicePayDraft{InvoiceID: inv.ID, PaymentMethodID: card, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			r := s.invoiceAt(t, inv.ID, gateway.InvoiceOpen)
			r.Outcome = gateway.Outcome{Status: status, Failure: &gateway.Failure{Code: "card_declined", Message: "Your card was declined."}}
			r.Payment.Status = status
			if status == gateway.StatusActionNeeded {
				r.NextAction.RedirectURL = "https://bank.example/"
			}
			if err := s.FinishInvoicePayment(ctx, begun.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		inv = s.invoiced(t, s.openInvoiceOf(t, item(t, "Forecasts", "10.00", "USD", 1)))
		try(s.ctx, "k1", gateway.StatusDeclined)
		e := s.mails(t)[0]
		m := s.claimed(t, e.ID)
		if e.Kind != email.KindCHARGE_FAILED || m == nil || !strings.Contains(m.Text, "Your bank says: Your card was declined.") {
			t.Errorf("%+v: %+v", e, m)
		}
		// What dunning has decided on since stands in it.
		next := s.clock.Now().Add(72 * time.Hour)
		s.setInvoice(t, inv.ID, func(u *ent.InvoiceUpdate) { u.SetNextAttemptAt(next) })
		s.clock.Advance(time.Minute)
		if m = s.claimed(t, e.ID); m.Kind != mail.ChargeFailed || !strings.Contains(m.Text, "try again on 2026-03-13") {
			t.Errorf("%+v", m)
		}
		s.setInvoice(t, inv.ID, func(u *ent.InvoiceUpdate) { u.ClearNextAttemptAt().SetDunning(invoice.DunningEXHAUSTED) })
		s.clock.Advance(time.Hour)
		if m = s.claimed(t, e.ID); m.Kind != mail.ChargeFailedFinal || !strings.Contains(m.Text, "will not try again") {
			t.Errorf("%+v", m)
		}
		try(session, "k2", gateway.StatusDeclined)
		e = s.mails(t)[0]
		if s.claimed(t, e.ID) != nil {
			t.Error("the payer was there")
		}
		try(s.ctx, "k3", gateway.StatusActionNeeded)
		asks := s.mails(t)[0]
		if asks.Kind != email.KindPAYMENT_ACTION_REQUIRED || len(s.mails(t)) != 3 {
			t.Errorf("%d mails, the last %+v", len(s.mails(t)), asks)
		}
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			i, err := tx.Invoice.Query().Where(invoice.ID(inv.ID)).Only(ctx)
			if err != nil {
				return err
			}
			return tx.settleOutside(ctx, i)
		})
		s.clock.Advance(mailForPresent)
		for _, id := range []string{e.ID, asks.ID} {
			if m := s.claimed(t, id); m != nil {
				t.Errorf("told although it is paid: %+v", m)
			}
			s.wantMail(t, id, email.StatusCANCELED, 1)
		}
		if paid := s.mails(t)[0]; paid.Kind != email.KindINVOICE_PAID || !strings.Contains(s.claimed(t, paid.ID).Text, "We have received") {
			t.Errorf("%+v", paid)
		}
	})
}

// A mail about an invoice knows the time it is for, its tax, the card, and what
// was tried, by the names that templates made for 3scale have for them.
func TestMailKnowsTheInvoice(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(190_000).SetTaxID("DE123") })
		card := s.card(t)
		body := `{{ invoice.name }} of {{ invoice.period_begin }} to {{ invoice.period_end }}, {{ invoice.vat_rate }} % by {{ invoice.vat_code }}
{% if account.credit_card_stored? %}{{ account.credit_card_display_number }}, {{ account.credit_card_expiration_date }}{% else %}no card{% endif %}
{% if invoice.pay_now? %}pay now{% endif %}
{% for t in invoice.payment_transactions %}
{{ t.created_at }} {% if t.success? %}paid{% else %}{{ t.message }}{% endif %} {{ t.amount }} {{ t.currency }} {{ t.reference }}
{% endfor %}`
		for _, kind := range []mail.Kind{mail.ChargeFailed, mail.InvoicePaid} {
			if err := s.OverrideMailTemplate(s.ctx, MailDraft{Kind: kind, Locale: "en", Subject: ptr("s"), Body: &body}); err != nil {
				t.Fatal(err)
			}
		}
		id := s.openInvoiceOf(t, item(t, "Forecasts", "10.00", "USD", 1))
		s.setInvoice(t, id, func(u *ent.InvoiceUpdate) {
			u.SetPeriodStart(time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)).SetPeriodEnd(time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC))
		})
		begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: ptr("k1")})
		if err != nil {
			t.Fatal(err)
		}
		r := s.invoiceAt(t, id, gateway.InvoiceOpen)
		r.Outcome = gateway.Outcome{Status: gateway.StatusDeclined, Failure: &gateway.Failure{Code: "card_declined", Message: "Your card was declined."}}
		r.Payment.Status = gateway.StatusDeclined
		if err := s.FinishInvoicePayment(s.ctx, begun.ID, r); err != nil {
			t.Fatal(err)
		}
		number := *s.invoiced(t, id).Number
		want := number + ` of 2026-03-01 to 2026-03-31, 19 % by DE123
visa •••• 4242, 2030-12
pay now
2026-03-10 Your card was declined. 11.90 USD `
		if m := s.claimed(t, s.mails(t)[0].ID); m == nil || !strings.HasPrefix(m.Text, want) {
			t.Errorf("%+v, want %q", m, want)
		}
		if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "paid")); err != nil {
			t.Fatal(err)
		}
		if m := s.claimed(t, s.mails(t)[0].ID); m == nil || m.Kind != mail.InvoicePaid || strings.Contains(m.Text, "pay now") || !strings.Contains(m.Text, "2026-03-10 paid 11.90 USD") {
			t.Errorf("%+v", m)
		}
		of := &mailSubject{zone: time.UTC}
		if begin, end := of.periodOf(&ent.Invoice{UsageMonth: ptr("2028-02")}); begin != "2028-02-01" || end != "2028-02-29" {
			t.Errorf("a month of use is from %s to %s", begin, end)
		}
		// With no card any more.
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.PaymentMethod.Update().Where(paymentmethod.ID(card)).SetStatus(paymentmethod.StatusDETACHED).Exec(ctx)
		})
		if m := s.claimed(t, s.queued(t, s.ctx, mail.InvoicePaid, mailFacts{InvoiceID: id})); m == nil || !strings.Contains(m.Text, "no card") {
			t.Errorf("%+v", m)
		}
	})
}

// A card's payer is told ten days before it ends, once, unless it is gone.
func TestMailOfACardThatEnds(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		kept, gone := s.card(t), s.card(t)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.PaymentMethod.Update().Where(paymentmethod.ID(gone)).SetStatus(paymentmethod.StatusDETACHED).Exec(ctx)
		})
		tell := func(want int) {
			t.Helper()
			ids, err := s.CardsThatExpire(s.ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range append(ids, kept) {
				if err := s.TellCardExpires(s.ctx, id); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.mails(t); len(got) != want {
				t.Errorf("%d mails, want %d", len(got), want)
			}
		}
		end := time.Date(2031, time.January, 1, 0, 0, 0, 0, time.UTC) // both end 12/2030
		s.clock.Set(end.Add(-10*24*time.Hour - time.Second))
		tell(0)
		s.clock.Set(end.Add(-10 * 24 * time.Hour))
		tell(1)
		tell(1)
		m := s.claimed(t, s.mails(t)[0].ID)
		if m == nil || m.Kind != mail.CardExpiring || !strings.Contains(m.Text, "visa •••• 4242 expires in 2030-12") {
			t.Errorf("%+v", m)
		}
		// One that is saved as late as that is told of at once.
		s.card(t)
		tell(2)
		tell(2)
	})
}
