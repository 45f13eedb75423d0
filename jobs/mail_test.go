package jobs

import (
	"context"
	"strings"
	"testing"
	"time"

	"purser/billing"
	"purser/ent/payer"
	"purser/mail"
	"purser/money"
)

// postOffice is a mail server that can be away.
type postOffice struct {
	away  bool
	taken []mail.Message
}

func (p *postOffice) Send(_ context.Context, m mail.Message) error {
	if p.away {
		return &mail.Failure{Message: "the mail server could not be reached"}
	}
	p.taken = append(p.taken, m)
	return nil
}

// A mail waits until the server is back, is sent then, and no more. What is
// logged names nobody.
func TestMailWaitsForItsServer(t *testing.T) {
	t.Parallel()
	o, post := newOffice(t), &postOffice{away: true}
	o.Mail = post
	ctx, _ := o.organization(t, "one", 0)
	ada, err := o.CreateDeveloper(ctx, billing.PayerDraft{Email: "ada@example.com", Name: "Ada", BillingMode: payer.BillingModePREPAID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	level, err := money.Parse("5", "USD")
	if err != nil {
		t.Fatal(err)
	}
	// There is nothing on the balance: it is low at once.
	if _, err := o.SetLowBalanceNotice(ctx, billing.LowBalanceChange{PayerID: ada, Currency: "USD", Level: &level}); err != nil {
		t.Fatal(err)
	}
	if err := o.Round(t.Context()); err == nil || !strings.Contains(err.Error(), "could not be reached") {
		t.Errorf("the round tells %v", err)
	}
	if log := o.logged(); !strings.Contains(log, "send mail") || strings.Contains(log, "ada@") || strings.Contains(log, "Ada") {
		t.Errorf("logged: %s", log)
	}
	post.away = false
	for range 3 {
		if err := o.Round(t.Context()); err != nil || len(post.taken) > 0 {
			t.Fatalf("before its time: %v, %v", post.taken, err)
		}
	}
	o.later(2 * time.Minute)
	for range 2 {
		if err := o.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(post.taken) != 1 || post.taken[0].To != "ada@example.com" || post.taken[0].Kind != mail.BalanceLow {
		t.Errorf("sent %+v", post.taken)
	}
}
