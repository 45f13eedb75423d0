package graph

import (
	"context"
	"reflect"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"purser/auth"
	"purser/graph/transport"
)

// access says who may select a field: whoever may read, or for a mutation
// write, any of the areas; with none, every caller with credentials.
type access struct {
	areas []auth.Area
	write bool
}

func (a access) allows(v *auth.Viewer) bool {
	if len(a.areas) == 0 {
		return v != nil
	}
	if !a.write {
		return readsAny(v, a.areas)
	}
	return slices.ContainsFunc(a.areas, func(area auth.Area) bool { return auth.CanWrite(v, area) })
}

func readsAny(v *auth.Viewer, areas []auth.Area) bool {
	return slices.ContainsFunc(areas, func(area auth.Area) bool { return auth.CanRead(v, area) })
}

func reading(areas ...auth.Area) access { return access{areas: areas} }
func writing(areas ...auth.Area) access { return access{areas: areas, write: true} }

// rules is who may do what, for every field of every type of the schema. A
// field that stands here neither by itself nor through its type is refused,
// and fails a test.
type rules struct {
	types  map[string]access // a type's fields, where nothing else is said
	fields map[string]access // "Type.field"
}

// newRules returns the table. The rows of an object are filtered elsewhere
// (the tenant's and the payer's, in ent/schema); here stands which kinds of
// objects, and which of their fields, credentials reach at all.
func newRules() *rules {
	var (
		// What everybody may see who has credentials.
		everybody = access{}
		// What a payer may see of itself, and billing of all payers.
		payer = reading(auth.AreaPayer)
		// What billing sees of the organization as a whole.
		billing = reading(auth.AreaBilling)
		// The organization's settings.
		account = reading(auth.AreaAccount)
		// What billing and settings both show.
		both = reading(auth.AreaBilling, auth.AreaAccount)
		// What also a payer needs to know of the organization it pays.
		shared = reading(auth.AreaPayer, auth.AreaAccount)
		// The operator's.
		system = reading(auth.AreaSystem)
		// What an organization shows to whoever belongs to it, and to the operator.
		face = reading(auth.AreaPayer, auth.AreaAccount, auth.AreaSystem)
		// Settings that the operator sees as well.
		settings = reading(auth.AreaAccount, auth.AreaSystem)
		// A token's own description, which its bearer may see.
		token = reading(auth.AreaBilling, auth.AreaAccount, auth.AreaSystem)
	)
	r := &rules{
		types: map[string]access{
			// Parts that say nothing without the object they belong to.
			"PageInfo": everybody, "Money": everybody, "Address": everybody,
			"UserError": everybody, "FundsDetails": everybody, "Viewer": everybody,
			"Node": everybody, "Recurrence": everybody, "LineItem": payer,

			"Organization": settings, "DunningPolicy": settings, "DueDays": settings, "LeftBehind": account,
			"Currency": shared,
			"Provider": account, "GlobalProvider": settings, "ReturnProblem": account,
			"WebhookEndpoint": account, "WebhookDelivery": account,
			"AccessToken": token,

			"Payer": payer, "Developer": payer, "Company": payer, "SpendCheck": payer, "Statement": payer,
			"Membership": billing,
			"Product":    shared, "Price": shared,
			"Balance": payer, "BalanceSnapshot": payer, "LedgerEntry": payer, "UsageRecordResult": billing,
			"Hold": payer, "LowBalanceNotice": payer, "AutoReload": payer,
			"Quote": payer, "QuoteLine": payer,
			"Invoice": payer, "InvoiceLine": payer, "InvoiceTax": payer, "CreditNote": payer, "CreditNoteLine": payer,
			"Subscription": payer, "SubscriptionItem": payer,
			"SubscriptionPreview": billing, "SubscriptionPreviewLine": billing,
			"Payment": payer, "PaymentAttempt": payer, "PaymentFailure": payer, "Refund": payer, "Dispute": payer,
			"RedirectAction": payer, "ClientSecretAction": payer,
			"PaymentMethod": payer, "Card": payer,
			"GatewayEvent": billing, "ReconcileReport": billing, "ReconcileException": billing,
			"Email": billing,

			"EmailTemplate": account, "EmailPreview": account,

			"Stream": payer,
		},
		fields: map[string]access{
			// Roots that look things up. What they find is held to its own rules.
			"Query.node": everybody, "Query.nodes": everybody, "Query.viewer": everybody,

			"Query.organization":  face,
			"Query.organizations": system,
			"Query.currencies":    account,
			"Query.providers":     account, "Query.globalProviders": settings,
			"Query.accessTokens": account, "Query.emailTemplates": account, "Query.webhookEndpoints": account,

			"Query.payer": payer, "Query.balances": payer, "Query.quotes": payer,
			"Query.invoices": payer, "Query.payments": payer, "Query.subscriptions": payer,
			"Query.developers": billing, "Query.companies": billing,
			"Query.products": billing, "Query.gatewayEvents": billing, "Query.emails": billing,

			"Mutation.organizationCreate": writing(auth.AreaSystem),
			"Mutation.organizationUpdate": writing(auth.AreaAccount),

			"Mutation.organizationStatusSet": writing(auth.AreaSystem),
			"Mutation.globalProviderCreate":  writing(auth.AreaSystem),
			"Mutation.globalProviderUpdate":  writing(auth.AreaSystem),
			"Mutation.globalProviderDelete":  writing(auth.AreaSystem),
			"Mutation.globalProviderTest":    writing(auth.AreaSystem),
			"Mutation.payerExport":           writing(auth.AreaBilling),
			"Mutation.payerErase":            writing(auth.AreaBilling),
			"Mutation.reconcile":             writing(auth.AreaBilling),

			"Mutation.currencySet":           writing(auth.AreaAccount),
			"Mutation.currencyDelete":        writing(auth.AreaAccount),
			"Mutation.providerCreate":        writing(auth.AreaAccount),
			"Mutation.providerUpdate":        writing(auth.AreaAccount),
			"Mutation.providerDelete":        writing(auth.AreaAccount),
			"Mutation.providerTest":          writing(auth.AreaAccount),
			"Mutation.emailTemplateOverride": writing(auth.AreaAccount),
			"Mutation.emailTemplateReset":    writing(auth.AreaAccount),
			"Mutation.emailTemplatePreview":  writing(auth.AreaAccount),
			"Mutation.emailResend":           writing(auth.AreaBilling),

			"Mutation.providerTestPayment":         writing(auth.AreaAccount),
			"Mutation.webhookEndpointCreate":       writing(auth.AreaAccount),
			"Mutation.webhookEndpointUpdate":       writing(auth.AreaAccount),
			"Mutation.webhookEndpointDelete":       writing(auth.AreaAccount),
			"Mutation.webhookEndpointRotateSecret": writing(auth.AreaAccount),
			"Mutation.webhookRedeliver":            writing(auth.AreaAccount),

			"Mutation.accessTokenCreate": writing(auth.AreaAdmin),
			"Mutation.accessTokenUpdate": writing(auth.AreaAdmin),
			"Mutation.accessTokenRevoke": writing(auth.AreaAdmin),

			"Mutation.payerSessionCreate":  writing(auth.AreaBilling),
			"Mutation.developerCreate":     writing(auth.AreaBilling),
			"Mutation.developerUpdate":     writing(auth.AreaBilling),
			"Mutation.developerClose":      writing(auth.AreaBilling),
			"Mutation.companyCreate":       writing(auth.AreaBilling),
			"Mutation.companyUpdate":       writing(auth.AreaBilling),
			"Mutation.companyClose":        writing(auth.AreaBilling),
			"Mutation.companyMemberAdd":    writing(auth.AreaBilling),
			"Mutation.companyMemberRemove": writing(auth.AreaBilling),
			"Mutation.productCreate":       writing(auth.AreaBilling),
			"Mutation.productUpdate":       writing(auth.AreaBilling),
			"Mutation.priceCreate":         writing(auth.AreaBilling),
			"Mutation.priceArchive":        writing(auth.AreaBilling),
			"Mutation.balanceReload":       writing(auth.AreaBilling),
			"Mutation.paymentRefund":       writing(auth.AreaBilling),
			"Mutation.creditNoteCreate":    writing(auth.AreaBilling),
			"Mutation.creditNoteRefund":    writing(auth.AreaBilling),
			"Mutation.usageRecord":         writing(auth.AreaBilling),
			"Mutation.usageRecordBatch":    writing(auth.AreaBilling),
			"Mutation.usageReverse":        writing(auth.AreaBilling),
			"Mutation.balanceCredit":       writing(auth.AreaBilling),
			"Mutation.balanceAdjust":       writing(auth.AreaBilling),
			"Mutation.creditLimitSet":      writing(auth.AreaBilling),
			"Mutation.lowBalanceNoticeSet": writing(auth.AreaBilling),
			"Mutation.holdCreate":          writing(auth.AreaBilling),
			"Mutation.holdCapture":         writing(auth.AreaBilling),
			"Mutation.holdRelease":         writing(auth.AreaBilling),
			"Mutation.quoteCreate":         writing(auth.AreaBilling),
			"Mutation.quoteUpdate":         writing(auth.AreaBilling),
			"Mutation.quoteFinalize":       writing(auth.AreaBilling),
			"Mutation.quoteSend":           writing(auth.AreaBilling),
			"Mutation.quoteRevise":         writing(auth.AreaBilling),
			"Mutation.invoiceCreate":       writing(auth.AreaBilling),
			"Mutation.subscriptionCreate":  writing(auth.AreaBilling),
			"Mutation.subscriptionUpdate":  writing(auth.AreaBilling),
			"Mutation.subscriptionPreview": writing(auth.AreaBilling),
			"Mutation.subscriptionResume":  writing(auth.AreaBilling),
			"Mutation.clockAdvance":        writing(auth.AreaAccount),
			"Mutation.invoiceFinalize":     writing(auth.AreaBilling),
			"Mutation.invoiceVoid":         writing(auth.AreaBilling),

			"Mutation.usageInvoice": writing(auth.AreaBilling), "Mutation.invoiceUpdate": writing(auth.AreaBilling),
			"Mutation.invoiceLineAdd": writing(auth.AreaBilling), "Mutation.invoiceLineUpdate": writing(auth.AreaBilling),
			"Mutation.invoiceLineRemove": writing(auth.AreaBilling), "Mutation.invoiceSend": writing(auth.AreaBilling),
			"Mutation.invoiceMarkUncollectible": writing(auth.AreaBilling),

			// What a payer does for itself.
			"Mutation.quoteAccept":             writing(auth.AreaPayer),
			"Mutation.quoteCancel":             writing(auth.AreaPayer),
			"Mutation.invoicePay":              writing(auth.AreaPayer),
			"Mutation.subscriptionCancel":      writing(auth.AreaPayer),
			"Mutation.paymentStart":            writing(auth.AreaPayer),
			"Mutation.balanceTopUp":            writing(auth.AreaPayer),
			"Mutation.autoReloadSet":           writing(auth.AreaPayer),
			"Mutation.paymentSync":             writing(auth.AreaPayer),
			"Mutation.paymentMethodSetup":      writing(auth.AreaPayer),
			"Mutation.paymentMethodAttach":     writing(auth.AreaPayer),
			"Mutation.paymentMethodSetDefault": writing(auth.AreaPayer),
			"Mutation.paymentMethodDetach":     writing(auth.AreaPayer),

			"Organization.id": face, "Organization.slug": face, "Organization.name": face,
			"Organization.status": face, "Organization.environment": face,
			"Organization.defaultCurrency": face, "Organization.timeZone": face, "Organization.country": face,
			"Organization.addresses":    face,
			"Organization.billingModes": face, "Organization.billingCycle": face, "Organization.taxModel": face,
			"Organization.supportEmail": face, "Organization.financeSupportEmail": face,
			"Organization.createdAt":  face,
			"Organization.now":        face,
			"Organization.developers": billing, "Organization.companies": billing,
			// The operator sees organizations, not what belongs to them.
			"Organization.currencies": account, "Organization.providers": account,
			"Organization.defaultProvider": account,

			// What a sale shows of the account it goes through.
			"Provider.id": shared, "Provider.slug": shared, "Provider.name": shared,
			"Provider.kind": shared, "Provider.environment": shared, "Provider.status": shared,
			"Provider.publishableKey": shared, "Provider.capabilities": shared,

			// How the operator's accounts are set up.
			"GlobalProvider.secretHint": system, "GlobalProvider.webhookUrl": system,
			"GlobalProvider.merchantCode": system, "GlobalProvider.installationId": system, "GlobalProvider.endpoint": system,

			// What a sale shows of the catalog: not what else there is.
			"Product.prices": both, "Product.provider": both,

			// Whoever has the page's address can accept.
			"Quote.acceptUrl": writing(auth.AreaPayer),

			"Developer.memberships": billing, "Company.members": billing,
			// Other people's notes about a payer.
			"Payer.metadata": billing, "Developer.metadata": billing, "Company.metadata": billing,
			"Payer.externalId": billing, "Developer.externalId": billing, "Company.externalId": billing,
		},
	}
	return r
}

// of returns the rule of a field. Connections, edges and payloads are open:
// the field that leads to them and the fields of what they hold decide.
func (r *rules) of(schema *ast.Schema, owner *ast.Definition, field string) (access, bool) {
	if a, ok := r.fields[owner.Name+"."+field]; ok {
		return a, true
	}
	if isRoot(schema, owner) && owner != schema.Subscription {
		return access{}, false // each root field has a rule of its own
	}
	if a, ok := r.types[owner.Name]; ok {
		return a, true
	}
	return access{}, isWrapping(schema, owner)
}

func isRoot(schema *ast.Schema, d *ast.Definition) bool {
	return d == schema.Query || d == schema.Mutation || d == schema.Subscription
}

// isWrapping reports whether a type only holds others: a connection, an edge
// or the payload of a mutation.
func isWrapping(schema *ast.Schema, d *ast.Definition) bool {
	if d.Kind != ast.Object {
		return false
	}
	if f := d.Fields.ForName("cursor"); f != nil && d.Fields.ForName("node") != nil && len(d.Fields) == 2 {
		return true
	}
	if d.Fields.ForName("edges") != nil && d.Fields.ForName("pageInfo") != nil {
		return true
	}
	return schema.Mutation != nil && slices.ContainsFunc(schema.Mutation.Fields, func(m *ast.FieldDefinition) bool { return m.Type.Name() == d.Name })
}

// gatekeeper holds every operation to the rules before any resolver runs: one
// field out of reach refuses the whole, so that nothing was written. It also
// gives each root field a memo.
type gatekeeper struct {
	rules  *rules
	schema *ast.Schema
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
	graphql.RootFieldInterceptor
	graphql.FieldInterceptor
} = (*gatekeeper)(nil)

// ExtensionName names the extension in gqlgen's diagnostics.
func (g *gatekeeper) ExtensionName() string { return "Gatekeeper" }

// Validate accepts every schema.
func (g *gatekeeper) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext refuses an operation with a field that the caller's
// credentials do not reach.
func (g *gatekeeper) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	w := &reach{gatekeeper: g, viewer: auth.FromContext(ctx), variables: op.Variables, document: op.Doc, seen: map[string]bool{}}
	if denied := w.set(op.Operation.SelectionSet); denied != nil {
		e := transport.Errorf(transport.CodeForbidden, "%s: %s.%s", forbidden, denied.ObjectDefinition.Name, denied.Name)
		return &gqlerror.Error{
			Err: e, Message: e.Message,
			Locations:  []gqlerror.Location{{Line: denied.Position.Line, Column: denied.Position.Column}},
			Extensions: map[string]any{"code": e.Code},
		}
	}
	return nil
}

// InterceptRootField gives each root field a memo of its own: a mutation must
// not see what was true before the one in front of it.
func (g *gatekeeper) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	return next(withMemo(ctx))
}

// objectsShown bounds the objects in the lists of one root field, counted while
// they are shown. The price of an operation guesses how long the lists are that
// are shown whole; here nothing is guessed.
const objectsShown = 100_000

// InterceptField stops an answer that grows beyond bounds, and one that nobody
// waits for any more, at its lists: what is not shown is not walked either.
func (g *gatekeeper) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	v, err := next(ctx)
	if err != nil || graphql.GetFieldContext(ctx).Field.Definition.Type.Elem == nil {
		return v, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, ok := ctx.Value(memoKey{}).(*memo)
	list := reflect.ValueOf(v)
	if !ok || list.Kind() != reflect.Slice {
		return v, nil
	}
	if n := m.shown.Add(int64(list.Len())); n > objectsShown {
		return nil, transport.Errorf(transport.CodeComplexity, "objects in the lists of one field: at least %d; the limit is %d", n, objectsShown)
	}
	return v, nil
}

// reach walks an operation for the first field out of reach.
type reach struct {
	*gatekeeper
	viewer    *auth.Viewer
	variables map[string]any
	document  *ast.QueryDocument
	seen      map[string]bool // fragments
}

func (w *reach) set(set ast.SelectionSet) *ast.Field {
	for _, s := range set {
		var denied *ast.Field
		switch s := s.(type) {
		case *ast.Field:
			if !included(s.Directives, w.variables) {
				continue
			}
			if denied = w.field(s); denied == nil && !w.absent(s) {
				denied = w.set(s.SelectionSet)
			}
		case *ast.InlineFragment:
			if included(s.Directives, w.variables) {
				denied = w.set(s.SelectionSet)
			}
		case *ast.FragmentSpread:
			if !included(s.Directives, w.variables) || w.seen[s.Name] {
				continue
			}
			w.seen[s.Name] = true
			if f := w.document.Fragments.ForName(s.Name); f != nil {
				denied = w.set(f.SelectionSet)
			}
		}
		if denied != nil {
			return denied
		}
	}
	return nil
}

func (w *reach) field(f *ast.Field) *ast.Field {
	// Introspection describes the API, not the data.
	if len(f.Name) > 2 && f.Name[:2] == "__" || f.ObjectDefinition.BuiltIn {
		return nil
	}
	if a, ok := w.rules.of(w.schema, f.ObjectDefinition, f.Name); ok && a.allows(w.viewer) {
		return nil
	}
	return f
}

// absent reports whether a field of the viewer is null for this caller: what
// is selected of it shows nothing, and everybody may ask who they are with one
// and the same document.
func (w *reach) absent(f *ast.Field) bool {
	if f.ObjectDefinition.Name != "Viewer" {
		return false
	}
	switch f.Name {
	case "payer":
		return !w.viewer.IsSession()
	case "accessToken", "organization":
		return w.viewer.IsSession() && f.Name == "accessToken" || w.viewer.OrganizationID == ""
	}
	return false
}

// included reports whether @skip and @include leave a selection in.
func included(directives ast.DirectiveList, variables map[string]any) bool {
	for _, d := range directives {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		on, _ := d.ArgumentMap(variables)["if"].(bool)
		if on == (d.Name == "skip") {
			return false
		}
	}
	return true
}
