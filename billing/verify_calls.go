package billing

import (
	"context"
	"encoding/json"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/ent/quote"
	"purser/ent/refund"
	"purser/money"
)

// calls checks that the state of every gateway call is whole, and that every
// call that has not ended has an owner and asks for what its owner is.
func (v *verifier) calls(ctx context.Context) error {
	torn, err := v.GatewayCall.Query().Where(gatewaycall.Or(
		gatewaycall.And(gatewaycall.StateEQ(gatewaycall.StateOPEN), gatewaycall.Or(gatewaycall.NextCheckAtIsNil(), gatewaycall.FinishedAtNotNil())),
		gatewaycall.And(gatewaycall.StateEQ(gatewaycall.StateREVIEW), gatewaycall.Or(gatewaycall.NextCheckAtNotNil(), gatewaycall.FinishedAtNotNil())),
		gatewaycall.And(gatewaycall.StateEQ(gatewaycall.StateDONE), gatewaycall.Or(gatewaycall.NextCheckAtNotNil(), gatewaycall.FinishedAtIsNil())),
	)).Order(ent.Asc(gatewaycall.FieldID)).First(ctx)
	switch {
	case err == nil:
		return v.fault(gatewaycall.Table, torn.ID, fmt.Sprintf("next_check_at and finished_at, being %s", torn.State),
			fmt.Sprintf("%s and %s", presence(torn.State == gatewaycall.StateOPEN), presence(torn.State == gatewaycall.StateDONE)),
			fmt.Sprintf("%s and %s", presence(torn.NextCheckAt != nil), presence(torn.FinishedAt != nil)))
	case !ent.IsNotFound(err):
		return fmt.Errorf("read calls: %w", err)
	}
	last := ""
	for {
		page, err := v.GatewayCall.Query().Where(gatewaycall.IDGT(last), gatewaycall.StateNEQ(gatewaycall.StateDONE)).
			Order(ent.Asc(gatewaycall.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read open calls: %w", err)
		}
		for _, c := range page {
			if want := gatewayKey(v.report.OrganizationID, c.ID); c.GatewayKey != want {
				return v.fault(gatewaycall.Table, c.ID, "gateway_key of its id", want, c.GatewayKey)
			}
			if err := v.owner(ctx, c); err != nil {
				return err
			}
			if c.State == gatewaycall.StateOPEN {
				v.report.OpenCalls++
			}
		}
		if len(page) < v.options.PageRows {
			return nil
		}
		last = page[len(page)-1].ID
	}
}

// owner checks a call that has not ended against the row it is about. There
// are few such calls at any time.
func (v *verifier) owner(ctx context.Context, c *ent.GatewayCall) error {
	type facts struct{ provider, amount string }
	found := facts{provider: c.ProviderID}
	var want facts
	var err error
	switch c.Operation {
	case gatewaycall.OperationHOSTED_PAYMENT, gatewaycall.OperationCHARGE, gatewaycall.OperationPAYMENT_CANCEL:
		var p *ent.Payment
		if p, err = v.Payment.Query().Where(payment.ID(c.Subject)).Only(ctx); err == nil {
			want.provider = p.ProviderID // the amount was compared with the payment
		}
	case gatewaycall.OperationREFUND:
		var r *ent.Refund
		if r, err = v.Refund.Query().Where(refund.ID(c.Subject)).Only(ctx); err == nil {
			want.amount, found.amount = r.Amount().String(), askedAmount(c, "Amount")
			var p *ent.Payment
			if p, err = v.Payment.Query().Where(payment.ID(r.PaymentID)).Only(ctx); err == nil {
				want.provider = p.ProviderID
			}
		}
	case gatewaycall.OperationINVOICE_FINALIZE, gatewaycall.OperationINVOICE_PAY, gatewaycall.OperationINVOICE_SETTLE,
		gatewaycall.OperationINVOICE_VOID, gatewaycall.OperationINVOICE_DISCARD, gatewaycall.OperationCREDIT_NOTE:
		var i *ent.Invoice
		if i, err = v.Invoice.Query().Where(invoice.ID(c.Subject)).Only(ctx); err == nil {
			want.provider = orEmpty(i.ProviderID)
			if c.Operation == gatewaycall.OperationINVOICE_FINALIZE {
				want.amount, found.amount = i.Total().String(), askedAmount(c, "Total")
			}
		}
	case gatewaycall.OperationQUOTE_FINALIZE, gatewaycall.OperationQUOTE_ACCEPT, gatewaycall.OperationQUOTE_CANCEL:
		// A draft has no provider of its own before the call has ended.
		want.provider = c.ProviderID
		_, err = v.Quote.Query().Where(quote.ID(c.Subject)).Only(ctx)
	case gatewaycall.OperationCARD_ATTACH, gatewaycall.OperationCARD_SETUP, gatewaycall.OperationCARD_DEFAULT, gatewaycall.OperationCARD_DETACH:
		var m *ent.PaymentMethod
		if m, err = v.PaymentMethod.Query().Where(paymentmethod.ID(c.Subject)).Only(ctx); err == nil {
			want.provider = m.ProviderID
		}
	default:
		var p *ent.Provider
		if p, err = v.Provider.Query().Where(provider.ID(c.Subject)).Only(ctx); err == nil {
			want.provider = p.ID
		}
	}
	switch {
	case ent.IsNotFound(err):
		return v.fault(gatewaycall.Table, c.ID, "subject of a "+string(c.Operation)+" that has not ended", "a row that exists", c.Subject)
	case err != nil:
		return fmt.Errorf("read the owner of call %s: %w", c.ID, err)
	case want != found:
		return v.fault(gatewaycall.Table, c.ID, "provider and amount of "+c.Subject, fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", found))
	}
	return nil
}

// askedAmount is the amount that a stored request asks for.
func askedAmount(c *ent.GatewayCall, field string) string {
	var request map[string]json.RawMessage
	var a money.Amount
	if err := json.Unmarshal(c.Request, &request); err != nil {
		return err.Error()
	}
	if err := json.Unmarshal(request[field], &a); err != nil {
		return err.Error()
	}
	return a.String()
}

func (v *verifier) callsByID(ctx context.Context, ids []string) (map[string]*ent.GatewayCall, error) {
	rows, err := v.GatewayCall.Query().Where(gatewaycall.IDIn(named(ids)...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read pending calls: %w", err)
	}
	out := make(map[string]*ent.GatewayCall, len(rows))
	for _, c := range rows {
		out[c.ID] = c
	}
	return out, nil
}

// pendingCall checks that the call that is changing a row has not ended and is
// about this row: nobody else would ever give the row free.
func (v *verifier) pendingCall(table, id string, callID *string, calls map[string]*ent.GatewayCall) error {
	if callID == nil {
		return nil
	}
	switch c := calls[*callID]; {
	case c == nil:
		return v.fault(table, id, "pending_call_id", "a call that exists", *callID)
	case c.State == gatewaycall.StateDONE || c.Subject != id:
		return v.fault(table, id, "pending_call_id", "a call about it that has not ended", fmt.Sprintf("%s about %s, %s", c.ID, c.Subject, c.State))
	}
	return nil
}
