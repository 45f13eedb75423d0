package billing

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"

	"github.com/google/uuid"
)

// Prefixes of ids, one per type. The table of node types in package graph has
// the same ones; a test keeps them equal.
const (
	prefixOrganization   = "org"
	prefixCurrency       = "cur"
	prefixDeveloper      = "dev"
	prefixCompany        = "com"
	prefixMembership     = "mem"
	prefixProvider       = "prv"
	prefixGlobalProvider = "gpr"
	prefixToken          = "tok"
	prefixSession        = "ses"
	prefixProduct        = "prd"
	prefixPrice          = "prc"
	prefixBalance        = "bal"
	prefixEntry          = "ent"
	prefixTransaction    = "txn"
	prefixSeal           = "sea"
	prefixHold           = "hld"
	prefixQuote          = "quo"
	prefixQuoteLine      = "qli"
	prefixInvoice        = "inv"
	prefixInvoiceLine    = "ili"
	prefixCreditNote     = "crn"
	prefixPayment        = "pmt"
	prefixAttempt        = "att"
	prefixPaymentMethod  = "pmd"
	prefixRefund         = "rfd"
	prefixDispute        = "dsp"
	prefixCall           = "cal"
	prefixEvent          = "evt"
	prefixCustomer       = "gcu"
	prefixRecord         = "idr"
	prefixCounter        = "num"
	prefixAudit          = "aud"
	prefixOutbox         = "out"
	prefixEmail          = "eml"
	prefixTemplate       = "etp"
	prefixSubscription   = "sub"

	prefixSubscriptionItem = "sit"

	prefixWebhookEndpoint = "whk"
	prefixWebhookDelivery = "whd"
)

// newID returns a time-ordered random id such as quo_0193…; it does not
// repeat, and ids of one process made one after the other sort in that order.
func (s *Service) newID(prefix string) string {
	u, err := uuid.NewV7FromReader(s.source())
	if err != nil {
		// A program without randomness can make no id that is safe to use.
		panic("read random bytes: " + err.Error())
	}
	return prefix + "_" + hex.EncodeToString(u[:])
}

func (s *Service) source() io.Reader {
	if s.random != nil {
		return s.random
	}
	return rand.Reader
}

// newSecret returns n random bytes as unpadded URL-safe text: an unguessable
// part of a public link.
func (s *Service) newSecret(n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.source(), b); err != nil {
		panic("read random bytes: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// orderCode is our name of a payment at a gateway: base32 of the id, within
// the alphabet [A-Z2-7] and 32 characters that every gateway takes.
func orderCode(id string) string {
	_, body, _ := strings.Cut(id, "_")
	b, err := hex.DecodeString(body)
	if err != nil {
		panic("order code of " + id + ": " + err.Error()) // ids are ours
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}
