package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"purser/crash"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/gateway"
)

// A gateway call is an intent: a row committed before the request leaves,
// with everything needed to ask again unchanged. Whoever begins it holds it
// for callLease; after that the resume job may take it over.
const (
	callLease = 45 * time.Second
	// callAskMax is how long an unknown outcome is asked for before a person
	// has to look. Adapters know by Call.StartedAt when the gateway may have
	// forgotten our key, and find out without sending again.
	callAskMax = 7 * 24 * time.Hour
	// callWaitMax bounds how long a duplicate waits for the first.
	callWaitMax   = 20 * time.Second
	callWaitFirst = 20 * time.Millisecond
	callWaitEach  = 250 * time.Millisecond
)

// Call is an open gateway call as the front door makes it.
type Call struct {
	gateway.Call
	Kind    gateway.Kind
	Account gateway.Account
}

// openCall stores the intent to ask the provider's gateway. The id is made
// before the transaction, so that its owner recognises it afterwards.
func (tx *Tx) openCall(ctx context.Context, id, providerID string, op gatewaycall.Operation, subject string, request any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode %s: %w", op, err)
	}
	err = tx.GatewayCall.Create().
		SetID(id).SetProviderID(providerID).SetOperation(op).SetSubject(subject).
		SetGatewayKey(gatewayKey(tx.organizationID(ctx), id)).
		SetRequest(body).
		SetAttempts(1).SetLeaseUntil(tx.Now.Add(callLease)).SetNextCheckAt(tx.Now.Add(callLease)).
		SetCreatedAt(tx.Now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("store intent %s: %w", op, err)
	}
	if op == gatewaycall.OperationHOSTED_PAYMENT || op == gatewaycall.OperationCHARGE {
		// A gateway that knows payments by order codes has one of each call.
		return tx.keepOwnerAt(ctx, providerID, orderCode(id))
	}
	return nil
}

// gatewayKey is the idempotency key of a call at the gateway.
func gatewayKey(organizationID, callID string) string {
	return "purser:" + organizationID + ":" + callID
}

// call makes an open call ready to be asked: it opens the provider's secrets.
func (s *Service) call(ctx context.Context, id string) (*Call, *ent.GatewayCall, error) {
	row, err := s.read.GatewayCall.Query().Where(gatewaycall.ID(id)).Only(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read call %s: %w", id, err)
	}
	account, err := s.OpenAccount(ctx, row.ProviderID)
	if err != nil {
		return nil, nil, err
	}
	return &Call{
		Call:    gateway.Call{ID: row.ID, Key: row.GatewayKey, Subject: row.Subject, StartedAt: row.CreatedAt},
		Kind:    account.Kind,
		Account: account,
	}, row, nil
}

// begun says what Begin found: a call of its own to make, or a call that
// somebody else is making, for which it has waited. It returns the refusal
// that the other's call ended with.
func (s *Service) begun(ctx context.Context, callID, ownID string) (*Call, error) {
	switch callID {
	case "":
		return nil, nil
	case ownID:
		crash.Point(crash.BeginCommitted)
		c, _, err := s.call(ctx, callID)
		return c, err
	}
	if err := s.awaitCall(ctx, callID); err != nil {
		return nil, err
	}
	other, err := s.read.GatewayCall.Query().Where(gatewaycall.ID(callID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read call %s: %w", callID, err)
	}
	return nil, refusalOf("", other)
}

// awaitCall waits until a call that another request is making is closed. It
// gives up silently when that takes too long: the caller then sees the
// objects as they are, PROCESSING.
func (s *Service) awaitCall(ctx context.Context, id string) error {
	deadline := time.NewTimer(callWaitMax)
	defer deadline.Stop()
	for wait := callWaitFirst; ; wait = min(2*wait, callWaitEach) {
		open, err := s.read.GatewayCall.Query().
			Where(gatewaycall.ID(id), gatewaycall.StateEQ(gatewaycall.StateOPEN), gatewaycall.LeaseUntilGT(s.now(ctx))).Exist(ctx)
		if err != nil {
			return fmt.Errorf("wait for call %s: %w", id, err)
		}
		if !open {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return nil
		case <-time.After(wait):
		}
	}
}

// verdict is what an outcome means for the intent behind a call.
type verdict int

const (
	verdictAgain verdict = iota // not known yet, ask again
	verdictDone                 // settled: apply the result
	verdictFreed                // surely nothing happened: give the objects free
	verdictKnown                // somebody else has settled it before
)

// settleCall closes the call or sets the time of the next question. It is
// called in the transaction that applies the result.
func (tx *Tx) settleCall(ctx context.Context, id string, o gateway.Outcome) (*ent.GatewayCall, verdict, error) {
	crash.Point(crash.FinishStarted)
	c, err := tx.GatewayCall.Query().Where(gatewaycall.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read call %s: %w", id, err)
	}
	if c.State == gatewaycall.StateDONE {
		return c, verdictKnown, nil
	}
	if err := tx.forgetGoneCustomer(ctx, c.ProviderID, o); err != nil {
		return nil, 0, err
	}
	u := tx.GatewayCall.Update().
		Where(gatewaycall.ID(id), gatewaycall.StateEQ(c.State), gatewaycall.Attempts(c.Attempts)).
		SetOutcome(string(o.Status)).SetGatewayRequestID(o.RequestID)
	if o.Failure != nil {
		u.SetFailureCode(cut(o.Failure.Code, 100)).SetFailureMessage(cut(o.Failure.Message, 500))
	}
	v := verdictDone
	switch o.Status {
	case gateway.StatusUnknown:
		v = verdictAgain
	case gateway.StatusUnavailable:
		// Only the first to ask may conclude that nothing happened: an
		// earlier request of the same call may have arrived. Later ones may
		// when the adapter has looked and found nothing.
		v = verdictAgain
		if c.Attempts == 1 || o.Never {
			v = verdictFreed
		}
	case gateway.StatusRejected:
		v = verdictFreed
		if c.Attempts == 1 {
			break
		}
		// Keys that were revoked meanwhile, or may be of another account than
		// those of an earlier try, say nothing about it.
		unproven, err := tx.keysUnproven(ctx, c)
		if err != nil {
			return nil, 0, err
		}
		if unproven || o.Failure != nil && o.Failure.Credentials {
			v = verdictAgain
		}
	default: // the gateway has answered
	}
	if v != verdictAgain {
		if err := tx.wakeEvents(ctx, c.Subject); err != nil {
			return nil, 0, err
		}
		u.SetState(gatewaycall.StateDONE).SetFinishedAt(tx.Now).ClearNextCheckAt().ClearLeaseUntil()
		return c, v, cas(u.Save(ctx))
	}
	next := tx.Now.Add(askAgainIn(c.Attempts))
	u.ClearLeaseUntil()
	if next.After(c.CreatedAt.Add(callAskMax)) {
		tx.review(ctx, u, c)
	} else {
		u.SetNextCheckAt(next)
	}
	return c, v, cas(u.Save(ctx))
}

// askAgainIn is the time until the next question after so many: 15 s, 1 m,
// 5 m, 30 m, 2 h, then hourly for a day, then daily.
func askAgainIn(attempts int) time.Duration {
	schedule := []time.Duration{15 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour}
	switch {
	case attempts <= len(schedule):
		return schedule[max(attempts, 1)-1]
	case attempts <= len(schedule)+21:
		return time.Hour
	default:
		return 24 * time.Hour
	}
}

// callRefusal turns a call that moved nothing into the caller's refusal.
func callRefusal(field string, o gateway.Outcome) error {
	message := "the gateway refused the request"
	if o.Failure != nil && o.Failure.Message != "" {
		message = o.Failure.Message
	}
	switch {
	case o.Status == gateway.StatusUnavailable:
		return refuse(CodeProviderUnavailable, field, "the gateway cannot be reached, nothing happened: try again")
	case o.Failure != nil && o.Failure.Code == gateway.CodeUnsupported:
		return refuse(CodeProviderUnsupported, field, "%s", message)
	default:
		e := refuse(CodeProviderRefused, field, "%s", message)
		if o.Failure != nil {
			e.GatewayCode = o.Failure.Code
		}
		return e
	}
}

// Operation is what a call asks of a gateway.
type Operation = gatewaycall.Operation

// The operations that can be asked again.
const (
	OperationQuoteFinalize   = gatewaycall.OperationQUOTE_FINALIZE
	OperationQuoteAccept     = gatewaycall.OperationQUOTE_ACCEPT
	OperationQuoteCancel     = gatewaycall.OperationQUOTE_CANCEL
	OperationInvoiceFinalize = gatewaycall.OperationINVOICE_FINALIZE
	OperationInvoicePay      = gatewaycall.OperationINVOICE_PAY
	OperationInvoiceSettle   = gatewaycall.OperationINVOICE_SETTLE
	OperationInvoiceVoid     = gatewaycall.OperationINVOICE_VOID
	OperationInvoiceDiscard  = gatewaycall.OperationINVOICE_DISCARD
	OperationCreditNote      = gatewaycall.OperationCREDIT_NOTE
	OperationHostedPayment   = gatewaycall.OperationHOSTED_PAYMENT
	OperationCharge          = gatewaycall.OperationCHARGE
	OperationPaymentCancel   = gatewaycall.OperationPAYMENT_CANCEL
	OperationRefund          = gatewaycall.OperationREFUND
	OperationCardAttach      = gatewaycall.OperationCARD_ATTACH
	OperationCardSetup       = gatewaycall.OperationCARD_SETUP
	OperationCardDefault     = gatewaycall.OperationCARD_DEFAULT
	OperationCardDetach      = gatewaycall.OperationCARD_DETACH
)

// refusalOf is the refusal that a closed call ended with, or nil: told to
// those who waited for it, and to its owner when the reply to the COMMIT that
// closed it was lost.
func refusalOf(field string, c *ent.GatewayCall) error {
	switch {
	case c.State == gatewaycall.StateREVIEW && c.FailureCode == codeMismatch:
		return mismatched(field, c.ID)
	case c.State != gatewaycall.StateDONE:
		return nil
	}
	o := gateway.Outcome{
		Status:  gateway.Status(c.Outcome),
		Failure: &gateway.Failure{Code: c.FailureCode, Message: c.FailureMessage},
	}
	switch o.Status {
	case gateway.StatusRejected, gateway.StatusUnavailable:
		return callRefusal(field, o)
	case gateway.StatusDeclined:
		switch c.Operation {
		case gatewaycall.OperationHOSTED_PAYMENT, gatewaycall.OperationCHARGE, gatewaycall.OperationINVOICE_PAY, gatewaycall.OperationINVOICE_SETTLE:
			return nil // a payment keeps its decline as data
		default:
			return callRefusal(field, o)
		}
	default:
		return nil
	}
}

// DueCall is an open call that nobody holds.
type DueCall struct {
	*Call
	Operation Operation
	Request   json.RawMessage
}

// callLeases is how many servers may die at a call, one lease after the other,
// before its next try waits as long as one without an answer does: it is the
// call then on which they die, or whose outcome cannot be written.
const callLeases = 10

// DueCalls lists open calls of the viewer's organization that nobody has
// finished in time, the longest waiting first.
func (s *Service) DueCalls(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.GatewayCall.Query().Where(callDue(s.now(ctx))).
		Order(ent.Asc(gatewaycall.FieldNextCheckAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due calls: %w", err)
	}
	return ids, nil
}

// ClaimCall takes over a call that is due; nil when it is not due any more.
// Two servers never take the same one: it is due again only after a lease,
// whatever becomes of this try. A call that is still open after callAskMax,
// although it was asked again, is left to a person.
func (s *Service) ClaimCall(ctx context.Context, id string) (*DueCall, error) {
	claimed := false
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		claimed = false
		row, err := tx.GatewayCall.Query().Where(gatewaycall.ID(id), callDue(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read call %s: %w", id, err)
		}
		u := tx.GatewayCall.Update().Where(gatewaycall.ID(id), callDue(tx.Now), gatewaycall.Attempts(row.Attempts))
		if row.Attempts > 1 && tx.Now.After(row.CreatedAt.Add(callAskMax)) {
			tx.review(ctx, u, row)
			return cas(u.Save(ctx))
		}
		attempts := row.Attempts + 1
		n, err := u.SetAttempts(attempts).SetLeaseUntil(tx.Now.Add(callLease)).
			SetNextCheckAt(tx.Now.Add(max(callLease, askAgainIn(attempts-callLeases)))).Save(ctx)
		claimed = n == 1
		return err
	})
	if err != nil || !claimed {
		return nil, err
	}
	c, row, err := s.call(ctx, id)
	if err != nil {
		return nil, err
	}
	return &DueCall{Call: c, Operation: row.Operation, Request: row.Request}, nil
}

// review leaves a call to a person: nobody asks for it any more.
func (tx *Tx) review(ctx context.Context, u *ent.GatewayCallUpdate, c *ent.GatewayCall) {
	u.SetState(gatewaycall.StateREVIEW).ClearNextCheckAt().ClearLeaseUntil()
	tx.committed(func() {
		tx.s.log.ErrorContext(ctx, "gateway call needs review", "call_id", c.ID, "operation", c.Operation, "subject", c.Subject)
	})
}

// cut shortens a text of a gateway's for storing.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && text[n]&0xc0 == 0x80 { // not inside a character
		n--
	}
	return text[:n]
}

// Detached returns a context for a gateway call: a client that hangs up must
// not cancel money that is already moving. Finish makes its own.
func Detached(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// errMismatch says that the gateway confirmed something else than was stored.
var errMismatch = errors.New("the gateway's object does not fit what was stored")

// codeMismatch is the failure of a call whose outcome did not fit.
const codeMismatch = "mismatch"

// finishFailed leaves a call to a person whose outcome does not fit what was
// stored: nothing was applied, and nothing is called failed. The caller is
// told, since nothing will come of it by itself.
func (s *Service) finishFailed(ctx context.Context, callID string, cause error) error {
	if !errors.Is(cause, errMismatch) {
		return fmt.Errorf("finish call %s: %w", callID, cause)
	}
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.GatewayCall.Update().
			Where(gatewaycall.ID(callID), gatewaycall.StateEQ(gatewaycall.StateOPEN)).
			SetState(gatewaycall.StateREVIEW).SetFailureCode(codeMismatch).SetFailureMessage(cut(cause.Error(), 500)).
			ClearNextCheckAt().ClearLeaseUntil().Save(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("leave call %s to a person: %w", callID, err)
	}
	s.log.ErrorContext(ctx, "gateway call needs review", "call_id", callID, "error", cause)
	return mismatched("", callID)
}

// underWay is the refusal to change what a call is changing. When nobody asks
// for the call any more, waiting does not help, and the refusal says so.
func (tx *Tx) underWay(ctx context.Context, what, callID string) error {
	review, err := tx.GatewayCall.Query().Where(gatewaycall.ID(callID), gatewaycall.StateEQ(gatewaycall.StateREVIEW)).Exist(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read call %s: %w", callID, err)
	case review:
		return refuse(CodeInvalidState, "id", "what has become of the last change of the %s at the gateway needs review: ask the operator about the call %s", what, callID)
	}
	return refuse(CodeInvalidState, "id", "the %s is being changed at the gateway: look again in a moment", what)
}

// mismatched is the refusal for a call whose outcome did not fit.
func mismatched(field, callID string) error {
	return refuse(CodeProviderRefused, field,
		"what the gateway has done does not fit what was asked of it: nothing was booked, and somebody has to look at both sides. The call %s needs review; do not repeat it", callID)
}
