package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"purser/auth"
	"purser/ent"
	"purser/ent/accesstoken"
	"purser/ent/balance"
	"purser/ent/creditnote"
	"purser/ent/dispute"
	"purser/ent/email"
	"purser/ent/gatewayevent"
	"purser/ent/globalprovider"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/membership"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/ent/paymentmethod"
	"purser/ent/price"
	"purser/ent/product"
	"purser/ent/provider"
	"purser/ent/quote"
	"purser/ent/refund"
	"purser/ent/subscription"
	"purser/ent/webhookdelivery"
	"purser/ent/webhookendpoint"
	"purser/graph/model"
	"purser/graph/transport"
)

// nodeType is a kind of object that node and nodes resolve.
type nodeType struct {
	name  string // the type in the schema
	table string
	areas []auth.Area // who may look it up by its id: who may read any of these
}

// noTable is the table of what is no row: the system's own templates.
const noTable = ""

// nodeTypes finds the kind of an object by its id's prefix.
func nodeTypes() map[string]nodeType {
	ofPayer := []auth.Area{auth.AreaPayer}
	ofBilling := []auth.Area{auth.AreaBilling}
	return map[string]nodeType{
		"org": {"Organization", organization.Table, []auth.Area{auth.AreaPayer, auth.AreaAccount, auth.AreaSystem}},
		"tok": {"AccessToken", accesstoken.Table, []auth.Area{auth.AreaAccount}},
		"gpr": {"GlobalProvider", globalprovider.Table, []auth.Area{auth.AreaAccount, auth.AreaSystem}},
		"prv": {"Provider", provider.Table, []auth.Area{auth.AreaAccount, auth.AreaBilling}},
		"dev": {"Developer", payer.Table, ofPayer},
		"com": {"Company", payer.Table, ofPayer},
		"mem": {"Membership", membership.Table, ofBilling},
		"prd": {"Product", product.Table, ofBilling},
		"prc": {"Price", price.Table, ofBilling},
		"bal": {"Balance", balance.Table, ofPayer},
		"ent": {"LedgerEntry", ledgerentry.Table, ofPayer},
		"hld": {"Hold", hold.Table, ofPayer},
		"quo": {"Quote", quote.Table, ofPayer},
		"inv": {"Invoice", invoice.Table, ofPayer},
		"sub": {"Subscription", subscription.Table, ofPayer},
		"crn": {"CreditNote", creditnote.Table, ofPayer},
		"pmt": {"Payment", payment.Table, ofPayer},
		"att": {"PaymentAttempt", paymentattempt.Table, ofPayer},
		"rfd": {"Refund", refund.Table, ofPayer},
		"dsp": {"Dispute", dispute.Table, ofPayer},
		"pmd": {"PaymentMethod", paymentmethod.Table, ofPayer},
		"evt": {"GatewayEvent", gatewayevent.Table, ofBilling},
		"eml": {"Email", email.Table, ofBilling},
		"etp": {"EmailTemplate", noTable, []auth.Area{auth.AreaAccount}},
		"whk": {"WebhookEndpoint", webhookendpoint.Table, []auth.Area{auth.AreaAccount}},
		"whd": {"WebhookDelivery", webhookdelivery.Table, []auth.Area{auth.AreaAccount}},
	}
}

// nodeTypeOf returns the kind that an id is of; false for an id that no
// object can have. What the caller may not look up at all is FORBIDDEN,
// whether it exists or not: only the prefix decides.
func nodeTypeOf(ctx context.Context, types map[string]nodeType, id string) (nodeType, bool, error) {
	prefix, _, _ := strings.Cut(id, "_")
	t, ok := types[prefix]
	if !ok {
		return t, false, nil
	}
	if !readsAny(auth.FromContext(ctx), t.areas) {
		return t, false, transport.Errorf(transport.CodeForbidden, "%s: objects of type %s cannot be looked up with these credentials", forbidden, t.name)
	}
	return t, true, nil
}

// node reads any object by its id; nil where there is none or it is not the
// caller's.
func (r *Resolver) node(ctx context.Context, id string) (ent.Noder, error) {
	t, ok, err := nodeTypeOf(ctx, nodeTypes(), id)
	if !ok || err != nil {
		return nil, err
	}
	if t.table == noTable {
		return r.emailTemplateByID(ctx, id)
	}
	n, err := r.client().Noder(ctx, id, ent.WithFixedNodeType(t.table))
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	return shown(n), nil
}

// nodes reads objects by their ids, in one statement per kind, in the order
// asked for; nil where there is none or it is not the caller's.
func (r *Resolver) nodes(ctx context.Context, ids []string) ([]ent.Noder, error) {
	types := nodeTypes()
	out := make([]ent.Noder, len(ids))
	known := make([]string, 0, len(ids))
	places := make([]int, 0, len(ids))
	for i, id := range ids {
		t, ok, err := nodeTypeOf(ctx, types, id)
		if err != nil {
			graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), err)
			continue
		}
		if ok && t.table == noTable {
			if out[i], err = r.emailTemplateByID(ctx, id); err != nil {
				return nil, err
			}
			continue
		}
		if ok {
			known, places = append(known, id), append(places, i)
		}
	}
	if len(known) == 1 {
		n, err := r.node(ctx, known[0])
		out[places[0]] = n
		return out, err
	}
	// ent reports a missing object as an error of the answer; here it is an
	// ordinary null, so errors go to a place of their own first.
	var failure error
	aside := graphql.WithResponseContext(ctx, func(_ context.Context, err error) *gqlerror.Error {
		if !isMissingNode(err) {
			failure = err
		}
		return gqlerror.Wrap(err)
	}, graphql.DefaultRecover)
	found, err := r.client().Noders(aside, known, ent.WithNodeType(func(_ context.Context, id string) (string, error) {
		prefix, _, _ := strings.Cut(id, "_")
		return types[prefix].table, nil
	}))
	if err = errors.Join(err, failure); err != nil {
		return nil, fmt.Errorf("read %d objects: %w", len(known), err)
	}
	for i, n := range found {
		if n != nil {
			out[places[i]] = shown(n)
		}
	}
	return out, nil
}

// isMissingNode reports whether ent says that there is no such object.
func isMissingNode(err error) bool {
	if ent.IsNotFound(err) {
		return true
	}
	var g *gqlerror.Error
	return errors.As(err, &g) && g.Extensions["code"] == "NOT_FOUND"
}

// shown is a row as the schema shows it: payers are developers or companies.
func shown(n ent.Noder) ent.Noder {
	if p, ok := n.(*ent.Payer); ok {
		return model.NewPayer(p)
	}
	return n
}
