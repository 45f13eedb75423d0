package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/email"
	"purser/ent/predicate"
	"purser/mail"
	"purser/money"
)

// Mails are written in the transaction of what they tell of, and sent by jobs
// afterwards: at least once, under one Message-ID. What is stored are ids and
// facts; who gets a mail, under what name and in which words, is read when it
// is sent, so that a corrected address is used and an erased payer gets
// nothing.

// mailFacts are what a mail is about. They name no person.
type mailFacts struct {
	InvoiceID string `json:"invoiceId,omitempty"`
	QuoteID   string `json:"quoteId,omitempty"`
	// SubscriptionID is of what is charged at NextAt, or has begun then.
	SubscriptionID string `json:"subscriptionId,omitempty"`
	PaymentID      string `json:"paymentId,omitempty"`
	CardID         string `json:"cardId,omitempty"`
	BalanceID      string `json:"balanceId,omitempty"`
	// Cost is what is, or would have been, charged; the whole of the invoice or
	// quote where it is nil.
	Cost *money.Amount `json:"cost,omitempty"`
	// Level and Left are a balance's, when it became low.
	Level *money.Amount `json:"level,omitempty"`
	Left  *money.Amount `json:"left,omitempty"`
	// Reason is why a charge failed, in the gateway's words for the payer.
	Reason string `json:"reason,omitempty"`
	// PayURL is where the payer pays or confirms; the invoice's own page where
	// it is empty.
	PayURL string `json:"payUrl,omitempty"`
	// NextAt is when it is tried again by itself.
	NextAt *time.Time `json:"nextAt,omitempty"`

	// after holds the mail back, for a payer who is there and may put it right.
	after time.Duration
}

// queueMail writes a mail to a payer, in the transaction of what it tells of.
// It reads nothing, so it can be called wherever something happens. What a
// kind of mail says, and which facts it uses, stands in package mail.
func (tx *Tx) queueMail(ctx context.Context, kind mail.Kind, payerID string, f mailFacts) error {
	facts, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode mail %s: %w", kind, err)
	}
	err = tx.Email.Create().
		SetID(tx.s.newID(prefixEmail)).SetKind(email.Kind(kind)).SetPayerID(payerID).SetFacts(facts).
		SetNextAttemptAt(tx.Now.Add(f.after)).SetCreatedAt(tx.Now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("store mail %s: %w", kind, err)
	}
	return nil
}

// mailAgainIn is when a mail is tried again after so many tries; false when it
// is given up: after five days, as mail servers do. The first is longer than a
// try can take.
func mailAgainIn(attempts int) (time.Duration, bool) {
	schedule := []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour}
	switch {
	case attempts <= len(schedule):
		return schedule[attempts-1], true
	case attempts <= len(schedule)+5:
		return 24 * time.Hour, true
	}
	return 0, false
}

func mailDue(now time.Time) predicate.Email {
	return email.And(email.NextAttemptAtLTE(now), email.StatusEQ(email.StatusQUEUED))
}

// DueMails lists mails of the viewer's organization that are to be sent, the
// longest waiting first.
func (s *Service) DueMails(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Email.Query().Where(mailDue(s.now(ctx))).
		Order(ent.Asc(email.FieldNextAttemptAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due mails: %w", err)
	}
	return ids, nil
}

// ClaimMail takes a mail for sending and writes it; nil when it is not due, or
// nothing is to be sent. It is due again after a while unless FinishMail says
// what became of it: whoever dies meanwhile may have sent it.
func (s *Service) ClaimMail(ctx context.Context, id string) (*mail.Message, error) {
	var row *ent.Email
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		row = nil
		e, err := tx.Email.Query().Where(email.ID(id), mailDue(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read mail %s: %w", id, err)
		}
		u := tx.Email.Update().Where(email.ID(id), email.Attempts(e.Attempts), mailDue(tx.Now))
		again, more := mailAgainIn(e.Attempts + 1)
		if !more {
			// Whoever made the last try did not live to tell.
			_, err := u.SetStatus(email.StatusFAILED).ClearNextAttemptAt().Save(ctx)
			return wrapped(err, "give mail up")
		}
		n, err := u.SetAttempts(e.Attempts + 1).SetNextAttemptAt(tx.Now.Add(again)).Save(ctx)
		if n == 1 {
			row = e
		}
		return wrapped(err, "claim mail")
	})
	if err != nil || row == nil {
		return nil, err
	}
	m, err := s.composeMail(ctx, row)
	var not *mailNotSent
	if errors.As(err, &not) {
		return nil, s.closeMail(ctx, id, not.status, not.reason)
	}
	return m, err
}

// FinishMail writes what became of a mail: sent, where failure is nil. It may
// be called any number of times; one that was sent stays sent.
func (s *Service) FinishMail(ctx context.Context, id string, failure error) error {
	if failure == nil {
		return s.closeMail(ctx, id, email.StatusSENT, "")
	}
	var f *mail.Failure
	if !errors.As(failure, &f) {
		return failure
	}
	if f.Final {
		return s.closeMail(ctx, id, email.StatusFAILED, f.Message)
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		e, err := tx.Email.Query().Where(email.ID(id)).Only(ctx)
		if err != nil {
			return fmt.Errorf("read mail %s: %w", id, err)
		}
		if e.Status != email.StatusQUEUED {
			return nil
		}
		u := tx.Email.Update().Where(email.ID(id), email.StatusEQ(email.StatusQUEUED)).SetFailure(f.Message)
		if _, more := mailAgainIn(e.Attempts + 1); !more {
			u.SetStatus(email.StatusFAILED).ClearNextAttemptAt()
		}
		return wrapped(cas(u.Save(ctx)), "note what became of a mail")
	})
}

// closeMail ends a mail that was not sent yet.
func (s *Service) closeMail(ctx context.Context, id string, status email.Status, failure string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		u := tx.Email.Update().Where(email.ID(id), email.StatusNEQ(email.StatusSENT)).SetStatus(status).ClearNextAttemptAt()
		if status == email.StatusSENT {
			u.SetSentAt(tx.Now).ClearFailure()
		} else {
			u.SetFailure(failure)
		}
		_, err := u.Save(ctx)
		return wrapped(err, "end mail "+id)
	})
}

// ResendMail has a mail that waits sent at once, and one that was given up
// tried as if it were new. One that was sent stays as it is. Refusals:
// NOT_FOUND, INVALID_STATE.
func (s *Service) ResendMail(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		e, err := tx.Email.Query().Where(email.ID(id)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "mail", id)
		}
		switch e.Status {
		case email.StatusSENT:
			return refuse(CodeInvalidState, "id", "the mail was sent")
		case email.StatusCANCELED:
			return refuse(CodeInvalidState, "id", "what the mail tells of is no longer so")
		case email.StatusQUEUED, email.StatusFAILED:
		}
		u := tx.Email.Update().Where(email.ID(id), email.StatusEQ(e.Status), email.Attempts(e.Attempts)).SetNextAttemptAt(tx.Now)
		if e.Status == email.StatusFAILED {
			u.SetStatus(email.StatusQUEUED).SetAttempts(0)
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("send mail %s again: %w", id, err)
		}
		return tx.audit(ctx, "email.resend", id, nil)
	})
}
