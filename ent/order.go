package ent

import "entgo.io/contrib/entgql"

// Every list of the public schema is newest first. The generated defaults are
// ascending by id, cannot be configured, and are read in places that no
// argument reaches (nested connections), so they are turned here, where the
// package is initialised, before anybody reads them. Ids are time-ordered, so
// descending by id is newest first, and the primary key serves it.
var _ = newestFirst(
	&DefaultAccessTokenOrder.Direction,
	&DefaultBalanceOrder.Direction,
	&DefaultGatewayEventOrder.Direction,
	&DefaultInvoiceOrder.Direction,
	&DefaultLedgerEntryOrder.Direction,
	&DefaultMembershipOrder.Direction,
	&DefaultOrganizationOrder.Direction,
	&DefaultPayerOrder.Direction,
	&DefaultPaymentOrder.Direction,
	&DefaultPaymentAttemptOrder.Direction,
	&DefaultPaymentMethodOrder.Direction,
	&DefaultPriceOrder.Direction,
	&DefaultProductOrder.Direction,
	&DefaultProviderOrder.Direction,
	&DefaultQuoteOrder.Direction,
)

func newestFirst(directions ...*entgql.OrderDirection) struct{} {
	for _, d := range directions {
		*d = entgql.OrderDirectionDesc
	}
	return struct{}{}
}
