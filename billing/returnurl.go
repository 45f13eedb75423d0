package billing

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"purser/ent"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/ent/schema"
	"purser/language"
	"purser/money"
)

// checkReturnURLs refuses addresses that a browser must not be sent to after
// a hosted page, and any for an organization that is not active.
func (tx *Tx) checkReturnURLs(ctx context.Context, r schema.ReturnURLs) error {
	o, err := tx.organization(ctx)
	if err != nil {
		return err
	}
	for _, u := range []struct{ field, address string }{
		{"success", r.Success}, {"failure", r.Failure}, {"pending", r.Pending}, {"cancel", r.Cancel}, {"error", r.Error},
	} {
		if err := mayReturnTo(o, u.address, "returnUrls."+u.field); err != nil {
			return err
		}
	}
	return nil
}

// checkReturnURL is checkReturnURLs for the input's one returnUrl.
func (tx *Tx) checkReturnURL(ctx context.Context, address string) error {
	o, err := tx.organization(ctx)
	if err != nil {
		return err
	}
	return mayReturnTo(o, address, "returnUrl")
}

// sameURL returns to one address whatever became of the payment.
func sameURL(address string) *schema.ReturnURLs {
	return &schema.ReturnURLs{Success: address, Failure: address, Pending: address, Cancel: address}
}

// mayReturnTo refuses all but the organization's listed origins, and in
// SANDBOX any port of this machine; an empty address is good.
func mayReturnTo(o *ent.Organization, address, field string) error {
	if address == "" {
		return nil
	}
	origin, err := returnOrigin(address, o.Environment == organization.EnvironmentSANDBOX)
	if err != nil {
		return refuse(CodeInvalid, field, "%s", err.Error())
	}
	if origin != "" && !slices.Contains(o.AllowedReturnOrigins, origin) {
		return refuse(CodeInvalid, field, "%s is not among the organization's allowedReturnOrigins: add it with organizationUpdate", origin)
	}
	return nil
}

type addressError string

func (e addressError) Error() string { return string(e) }

// returnOrigin returns the origin of an address that a browser may be sent
// to, or "" for this machine in SANDBOX. Go's parser takes addresses that
// browsers read otherwise (//host, https:/host, backslashes, user@host), so
// everything but scheme, host, path, query and fragment is refused.
func returnOrigin(address string, sandbox bool) (string, error) {
	if len(address) > 2048 || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return "", addressError("the address has more than 2,048 characters, a blank, a control character or a backslash")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || u.Hostname() == "" {
		return "", addressError("the address must be absolute, such as https://portal.example.com/thanks, without a user name")
	}
	host := strings.ToLower(u.Host)
	if sandbox && (u.Scheme == "http" || u.Scheme == "https") && isLoopback(u.Hostname()) {
		return "", nil
	}
	if u.Scheme != "https" {
		return "", addressError("the address must begin with https:// (http:// is good only for this machine, in SANDBOX)")
	}
	return "https://" + strings.TrimSuffix(host, ":443"), nil
}

// PaymentStatus is how a payment stands.
type PaymentStatus = payment.Status

// How a payment may stand.
const (
	PaymentRequiresAction = payment.StatusREQUIRES_ACTION
	PaymentSucceeded      = payment.StatusSUCCEEDED
	PaymentFailed         = payment.StatusFAILED
	PaymentCanceled       = payment.StatusCANCELED
)

// PublicPayment is what a browser that knows a payment's unguessable address
// may see of it.
type PublicPayment struct {
	// Language is the payer's, or the one that the browser asks for.
	Language       *language.Language
	PaymentID      string
	Token          string
	ProviderID     string
	OrderCode      string
	Status         PaymentStatus
	Amount         money.Amount
	ReceiptURL     string
	FailureMessage string
	ReturnURLs     schema.ReturnURLs
	// ActionURL is the page on which the payer goes on, empty where there is
	// none (any more).
	ActionURL string
	// Seller is the organization's name.
	Seller string
	// Test says that no real money is meant.
	Test bool
	// ReturnProblem is, for whoever tries the page out and not in LIVE, what is
	// wrong with how browsers come back from the provider's pages.
	ReturnProblem string
}

// PublicPayment finds a payment by the unguessable part of its return address,
// inside the viewer's organization.
//
// Codes: NOT_FOUND.
func (s *Service) PublicPayment(ctx context.Context, token string) (*PublicPayment, error) {
	p, err := s.read.Payment.Query().Where(payment.PublicToken(token)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "", "payment", "")
	}
	o, err := s.read.Organization.Query().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	in, err := s.languageOf(ctx, orEmpty(p.PayerID))
	if err != nil {
		return nil, err
	}
	out := &PublicPayment{
		Language: in, PaymentID: p.ID, Token: p.PublicToken, ProviderID: p.ProviderID, OrderCode: p.OrderCode, Status: p.Status, Amount: p.Amount(),
		ReceiptURL: orEmpty(p.ReceiptURL), FailureMessage: in.Refusal(p.FailureMessage, p.FailureDeclineCode, p.FailureCode),
		Seller: o.Name, Test: o.Environment != organization.EnvironmentLIVE,
	}
	if p.Status == PaymentRequiresAction && (p.ActionExpiresAt == nil || s.Now().Before(*p.ActionExpiresAt)) {
		out.ActionURL = p.ActionURL
	}
	if p.ReturnUrls != nil {
		out.ReturnURLs = *p.ReturnUrls
	}
	if !out.Test {
		return out, nil
	}
	account, err := s.read.Provider.Query().Where(provider.ID(p.ProviderID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read provider of payment %s: %w", p.ID, err)
	}
	out.ReturnProblem = ReturnProblem(account.ReturnProblem).Message()
	return out, nil
}

// languageOf is the language of a page for a payer; empty for one that is for
// nobody.
func (s *Service) languageOf(ctx context.Context, payerID string) (*language.Language, error) {
	if payerID == "" {
		return language.For(ctx, ""), nil
	}
	p, err := s.read.Payer.Query().Where(payer.ID(payerID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payer %s: %w", payerID, err)
	}
	return language.For(ctx, orEmpty(p.Locale)), nil
}

// ThankYouURL is where the viewer's organization sends browsers after a
// payment, or "".
func (s *Service) ThankYouURL(ctx context.Context) string {
	o, err := s.read.Organization.Query().Only(ctx)
	if err != nil {
		return ""
	}
	return orEmpty(o.ThankYouURL)
}
