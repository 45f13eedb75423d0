package billing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"purser/auth"
	"purser/ent/payer"
	"purser/ent/payersession"
)

// Bounds of a payer session's life.
const (
	sessionLifeMin = time.Minute
	sessionLifeMax = 24 * time.Hour
)

// CreatePayerSession makes a short-lived credential for one payer and returns
// its value, which is kept nowhere, and its end: after life, and never after
// the end of the token that makes it, be it expired or revoked. Codes: NOT_FOUND, INVALID,
// INVALID_STATE.
func (s *Service) CreatePayerSession(ctx context.Context, payerID string, life time.Duration) (auth.Token, time.Time, error) {
	if life < sessionLifeMin || life > sessionLifeMax {
		return auth.Token{}, time.Time{}, refuse(CodeInvalid, "expiresIn", "a session lives %.0f to %.0f seconds", sessionLifeMin.Seconds(), sessionLifeMax.Seconds())
	}
	viewer := auth.FromContext(ctx)
	id := s.newID(prefixSession)
	token, err := auth.NewSession(viewer.OrganizationSlug, strings.TrimPrefix(id, prefixSession+"_"), s.source())
	if err != nil {
		return auth.Token{}, time.Time{}, err
	}
	expires := s.machine().Add(life)
	if !viewer.ExpiresAt.IsZero() && viewer.ExpiresAt.Before(expires) {
		expires = viewer.ExpiresAt
	}
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.payer(ctx, payerID, "payerId")
		if err != nil {
			return err
		}
		if p.Status == payer.StatusCLOSED {
			return refuse(CodeInvalidState, "payerId", "the payer is closed")
		}
		done, err := tx.PayerSession.Query().Where(payersession.ID(id)).Exist(ctx)
		if err != nil || done {
			return err
		}
		err = tx.PayerSession.Create().
			SetID(id).SetPayerID(p.ID).SetDigest(auth.Digest(token.Secret.Reveal())).
			SetExpiresAt(expires).SetCreatedBy(viewer.Actor()).
			SetCreatedAt(tx.Now).
			Exec(ctx)
		if err != nil {
			return fmt.Errorf("store session: %w", err)
		}
		return nil
	})
	if err != nil {
		return auth.Token{}, time.Time{}, err
	}
	return token, expires, nil
}
