package ent

import (
	"strconv"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"

	"purser/ent/ledgerentry"
)

// Every list of the public schema is newest first. The generated defaults are
// ascending by id, cannot be configured, and are read in places that no
// argument reaches (nested connections), so they are turned here, where the
// package is initialised, before anybody reads them. Ids are time-ordered, so
// descending by id is newest first, and the primary key serves it; CREATED_AT is what the
// public schema calls the order by id.
var _ = newestFirst(
	&DefaultAccessTokenOrder.Direction,
	&DefaultBalanceOrder.Direction,
	&DefaultEmailOrder.Direction,
	&DefaultGatewayEventOrder.Direction,
	&DefaultHoldOrder.Direction,
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
	&DefaultSubscriptionOrder.Direction,
	&DefaultWebhookDeliveryOrder.Direction,
	&DefaultWebhookEndpointOrder.Direction,
)

// Entries are listed of one balance only, and in the order of their numbers,
// which is that of their ids. Their index begins with the balance; ordered by
// id, the database may walk the primary key instead, through all entries that
// other balances got since the last one of a balance at rest. The number stands
// in the cursor in place of the id.
//
// Events are received in the order of their ids.
var _ = func() struct{} {
	DefaultLedgerEntryOrder.Field = &LedgerEntryOrderField{
		Value:  func(e *LedgerEntry) (ent.Value, error) { return seqOf(e), nil },
		column: ledgerentry.FieldSeq,
		toTerm: ledgerentry.BySeq,
		toCursor: func(e *LedgerEntry) Cursor {
			return Cursor{ID: strconv.FormatInt(seqOf(e), 10)}
		},
	}
	*LedgerEntryOrderFieldBookedAt = *DefaultLedgerEntryOrder.Field
	*GatewayEventOrderFieldReceivedAt = *DefaultGatewayEventOrder.Field
	return struct{}{}
}()

func seqOf(e *LedgerEntry) int64 {
	if e.Seq == nil {
		return 0
	}
	return *e.Seq
}

func newestFirst(directions ...*entgql.OrderDirection) struct{} {
	for _, d := range directions {
		*d = entgql.OrderDirectionDesc
	}
	return struct{}{}
}
