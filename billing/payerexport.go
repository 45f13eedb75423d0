package billing

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/organization"
	"purser/ent/payer"
)

// exportLife is how long the link of an export is good.
const exportLife = 15 * time.Minute

// exportPage is how many rows of an export are held in memory at once.
const exportPage = 500

// exportFormat names the form of the document, for programs that read it.
const exportFormat = "purser payer export 1"

// exportLink is what the link of an export says, sealed.
type exportLink struct {
	PayerID   string
	ExpiresAt time.Time
}

// ExportPayer makes a link by which everything that is kept about a payer can
// be fetched for a while, and records that it was made. Nothing is stored: the
// link itself is the right. Refusals: NOT_FOUND.
func (s *Service) ExportPayer(ctx context.Context, id string) (link string, expiresAt time.Time, err error) {
	var slug string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.payer(ctx, id, "id")
		if err != nil {
			return err
		}
		o, err := tx.tenant(ctx)
		if err != nil {
			return err
		}
		slug, expiresAt = o.Slug, tx.Now.Add(exportLife)
		return tx.audit(ctx, "payer.export", p.ID, nil)
	})
	if err != nil {
		return "", time.Time{}, err
	}
	text, err := json.Marshal(exportLink{PayerID: id, ExpiresAt: expiresAt})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("make link: %w", err)
	}
	sealed, err := s.sealer.Seal(auth.Secret(text), exportPlace(ctx))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("seal link: %w", err)
	}
	return s.publicLink("personal-data", slug, base64.RawURLEncoding.EncodeToString(sealed)), expiresAt, nil
}

// exportPlace is where the link of an export can be opened: in its own
// organization.
func exportPlace(ctx context.Context) auth.Place {
	return auth.Place{OrganizationID: auth.FromContext(ctx).OrganizationID, EntityID: "export", Column: "link"}
}

// PayerExport is an export that is about to be written.
type PayerExport struct {
	PayerID string
	s       *Service
	payer   *ent.Payer
	seller  *ent.Organization
}

// OpenPayerExport finds what the last part of an export's link names, inside
// the viewer's organization. A link that is damaged, too old or of another
// organization is NOT_FOUND.
func (s *Service) OpenPayerExport(ctx context.Context, token string) (*PayerExport, error) {
	unknown := notFound("token", "export", "")
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, unknown
	}
	text, err := s.sealer.Open(sealed, exportPlace(ctx))
	if err != nil {
		return nil, unknown
	}
	var link exportLink
	if err := json.Unmarshal([]byte(text.Reveal()), &link); err != nil {
		return nil, unknown
	}
	if !s.now(ctx).Before(link.ExpiresAt) {
		return nil, unknown
	}
	x := &PayerExport{PayerID: link.PayerID, s: s}
	if x.payer, err = s.read.Payer.Query().Where(payer.ID(link.PayerID)).Only(ctx); err != nil {
		return nil, orNotFound(err, "token", "export", "")
	}
	if x.seller, err = s.read.Organization.Query().Where(organization.ID(x.payer.OrganizationID)).Only(ctx); err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	return x, nil
}

// Write writes the export as one JSON document, page by page, so that its
// length does not matter; breath is called before each page. Amounts are
// decimals, as everywhere in the API. Each balance agrees with the entries
// written with it; otherwise what changes meanwhile may be written as before
// or as after.
func (x *PayerExport) Write(ctx context.Context, w io.Writer, breath func()) error {
	d := &exportWriter{w: w, breath: breath}
	d.text(`{"format":`)
	d.value(exportFormat)
	d.text(`,"exportedAt":`)
	d.value(x.s.now(ctx))
	d.text(`,"organization":`)
	d.value(map[string]string{"slug": x.seller.Slug, "name": x.seller.Name})
	d.text(`,"payer":`)
	d.value(exportedPayer(x.payer))
	for _, section := range []struct {
		name string
		next exportedPage
	}{
		{"memberships", x.memberships},
		{"gatewayCustomers", x.customers},
		{"paymentMethods", x.cards},
		{"mails", x.mails},
		{"quotes", x.quotes},
		{"invoices", x.invoices},
		{"subscriptions", x.subscriptions},
		{"payments", x.payments},
		{"holds", x.holds},
		{"sessions", x.sessions},
		{"auditEvents", x.audits},
	} {
		d.text(`,"` + section.name + `":`)
		d.list(ctx, section.next)
	}
	d.text(`,"balances":[`)
	x.balances(ctx, d)
	d.text("]}\n")
	if d.err != nil {
		return fmt.Errorf("write export of %s: %w", x.PayerID, d.err)
	}
	return nil
}

// exportedPage returns the rows that come after one, in the order of their
// ids, and the last one's id; no rows at the end.
type exportedPage func(ctx context.Context, after string) (rows []any, last string, err error)

// exportWriter writes a document until something goes wrong.
type exportWriter struct {
	w      io.Writer
	breath func()
	err    error
}

func (d *exportWriter) text(s string) {
	if d.err == nil {
		_, d.err = io.WriteString(d.w, s)
	}
}

func (d *exportWriter) value(v any) {
	if d.err != nil {
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		d.err = err
		return
	}
	_, d.err = d.w.Write(text)
}

func (d *exportWriter) list(ctx context.Context, next exportedPage) {
	d.text("[")
	last, first := "", true
	for d.err == nil {
		d.breath()
		rows, end, err := next(ctx, last)
		if err != nil {
			d.err = err
			return
		}
		if len(rows) == 0 {
			break
		}
		for _, row := range rows {
			if !first {
				d.text(",\n")
			}
			first = false
			d.value(row)
		}
		last = end
	}
	d.text("]")
}
