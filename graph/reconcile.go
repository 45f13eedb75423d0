package graph

import (
	"purser/billing"
	"purser/graph/model"
)

// reconcileReport shows what a comparison with a gateway has found.
func reconcileReport(r *billing.ReconcileReport) *model.ReconcileReport {
	if r == nil {
		return nil
	}
	out := &model.ReconcileReport{
		ProviderID: r.ProviderID, Date: r.Date, From: r.From, To: r.To, Basis: model.ReconcileBasisList,
		Agreed: r.Agreed, Booked: r.Booked, Complete: r.Complete, Exceptions: make([]*model.ReconcileException, len(r.Exceptions)),
	}
	if r.Asked {
		out.Basis = model.ReconcileBasisInquiry
	}
	for i, e := range r.Exceptions {
		out.Exceptions[i] = &model.ReconcileException{
			Kind: model.ReconcileKind(e.Kind), Problem: model.ReconcileProblem(e.Problem),
			GatewayID: textOrNull(e.GatewayID), PaymentID: textOrNull(e.PaymentID), Ours: e.Ours, Theirs: e.Theirs, Message: e.Message,
		}
	}
	return out
}

// textOrNull is null for an empty text.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
