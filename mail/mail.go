// Package mail says what mails look like and sends them.
//
// It owns the wording that is shipped, the Liquid that templates are written
// in, the variables that each mail has, the form of a message, and the two
// ways by which one leaves: SMTP, and a folder of readable files. It does not
// know who gets a mail and why, nor where an organization's own wording is
// kept; it reads no database and no rule.
//
// Invariants: a template sees nothing but the values that it is given, which
// are texts, numbers and lists of them; it reads no file, calls nothing, and
// ends, within bounds of time, steps and output; what it puts into HTML is
// escaped. A message has one recipient, and nothing in it can add a header.
package mail

import (
	"slices"
	"time"
)

// Kind is what a mail is sent for.
type Kind string

// The kinds of mails.
const (
	ChargeFailed          Kind = "CHARGE_FAILED"
	ChargeFailedFinal     Kind = "CHARGE_FAILED_FINAL"
	UpcomingCharge        Kind = "UPCOMING_CHARGE"
	PaymentActionRequired Kind = "PAYMENT_ACTION_REQUIRED"
	InvoicePaid           Kind = "INVOICE_PAID"
	InvoiceSent           Kind = "INVOICE_SENT"
	QuoteSent             Kind = "QUOTE_SENT"
	UpcomingRenewal       Kind = "UPCOMING_RENEWAL"
	TrialEnded            Kind = "TRIAL_ENDED"
	CardExpiring          Kind = "CARD_EXPIRING"
	BalanceLow            Kind = "BALANCE_LOW"
	AutoReloadFailed      Kind = "AUTO_RELOAD_FAILED"
	AutoReloadAction      Kind = "AUTO_RELOAD_ACTION_REQUIRED"
	AutoReloadSuspended   Kind = "AUTO_RELOAD_SUSPENDED"
)

// kindInfo is how a kind is called and what it tells of.
type kindInfo struct {
	kind Kind
	// systemName is the name that 3scale gave to the same mail, or a name in
	// its manner.
	systemName string
	title      string
	sample     func() Values
}

// kinds lists the kinds in the order in which they are shown.
func kinds() []kindInfo {
	return []kindInfo{
		{ChargeFailed, "invoice_messenger_unsuccessfully_charged_for_buyer", "Invoice charge failure for buyer with retry", sampleInvoice},
		{ChargeFailedFinal, "invoice_messenger_unsuccessfully_charged_for_buyer_final", "Invoice charge failure for buyer without retry", sampleInvoice},
		{UpcomingCharge, "invoice_messenger_upcoming_charge_notification", "Monthly statement: upcoming charge", sampleInvoice},
		{PaymentActionRequired, "invoice_messenger_authentication_required_for_buyer", "Payment that the bank wants confirmed", sampleInvoice},
		{InvoicePaid, "invoice_messenger_successfully_charged", "Payment completed", sampleInvoice},
		{InvoiceSent, "invoice_messenger_sent", "Invoice", sampleInvoice},
		{QuoteSent, "quote_messenger_sent", "Quote", sampleQuote},
		{UpcomingRenewal, "subscription_messenger_upcoming_charge_notification", "Subscription: upcoming charge", sampleSubscription},
		{TrialEnded, "cinstance_messenger_expired_trial_period_notification", "Trial over", sampleSubscription},
		{CardExpiring, "account_messenger_expired_credit_card_notification_for_buyer", "Card expires in 10 days", sampleCard},
		{BalanceLow, "balance_messenger_low", "Balance is low", sampleBalance},
		{AutoReloadFailed, "balance_messenger_auto_reload_failed", "Automatic reload failure with retry", sampleBalance},
		{AutoReloadAction, "balance_messenger_auto_reload_action_required", "Automatic reload that waits for the buyer", sampleBalance},
		{AutoReloadSuspended, "balance_messenger_auto_reload_suspended", "Automatic reload suspended", sampleBalance},
	}
}

// Kinds lists the kinds in the order in which they are shown.
func Kinds() []Kind {
	var out []Kind
	for _, k := range kinds() {
		out = append(out, k.kind)
	}
	return out
}

func (k Kind) info() (kindInfo, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(info kindInfo) bool { return info.kind == k })
	if i < 0 {
		return kindInfo{}, false
	}
	return all[i], true
}

// Known reports whether there are mails of the kind.
func (k Kind) Known() bool { _, ok := k.info(); return ok }

// SystemName is the name that files and imports know the kind by.
func (k Kind) SystemName() string { info, _ := k.info(); return info.systemName }

// Title is what a person reads in a list.
func (k Kind) Title() string { info, _ := k.info(); return info.title }

// Variables lists the variables that a template of the kind may use.
func (k Kind) Variables() []string { return k.Sample().names() }

// Sample are the values that a preview is made with. They are also what says
// which variables there are.
func (k Kind) Sample() Values {
	info, ok := k.info()
	if !ok {
		return Values{}
	}
	return info.sample()
}

// Message is a mail as it is sent.
type Message struct {
	// ID is the same whenever the mail is sent again.
	ID string
	// At is when it was written.
	At time.Time
	// Folder is the name of the folder that it goes to where mails are kept in
	// files.
	Folder string
	// Local has it kept in a file also where there is a mail server.
	Local bool

	FromName    string
	FromAddress string // empty: the installation's
	ReplyTo     string // empty: none
	To          string
	Kind        Kind
	Rendered
}

// Rendered is what a template has become.
type Rendered struct {
	Subject string
	Text    string
	HTML    string
}
