package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent/provider"
)

// ReturnProblem is what is wrong with how a browser came back from a payment
// page; the public schema has the same words. Payments are settled all the
// same, by asking the gateway: that is why nobody would notice.
type ReturnProblem string

// What may be wrong.
const (
	ReturnNoSecret        ReturnProblem = "NO_MAC_SECRET" //nolint:gosec // a name
	ReturnNoParameters    ReturnProblem = "NO_PARAMETERS"
	ReturnBadSignature    ReturnProblem = "BAD_SIGNATURE"
	ReturnWrongParameters ReturnProblem = "WRONG_PARAMETERS"
)

// Message says what to do about it.
func (p ReturnProblem) Message() string {
	switch p {
	case ReturnNoSecret:
		return "Browsers that come back cannot be believed: give the provider the MAC secret of its installation, the same as at the gateway."
	case ReturnNoParameters:
		return "The gateway sent the browser back without its parameters: set \"Send URL\" to True for the installation's payment pages, publish them, and promote them from design over sandbox to production. Whoever opens such an address by hand looks the same."
	case ReturnBadSignature:
		return "The signature that the browser brought does not fit: compare the MAC secret here with the one of the same installation at the gateway. Whoever changes such an address looks the same."
	case ReturnWrongParameters:
		return "What the browser brought is not about this payment: check that the installation is the provider's own. Whoever changes such an address looks the same."
	}
	return ""
}

// returnNoteEach is how often the same trouble is written down again: whoever
// knows the address of a payment can bring any number of bad ones.
const returnNoteEach = time.Hour

// NoteReturn keeps, for the organization to see, what was wrong with how a
// browser came back from a provider's pages; nothing clears what was noted
// before. It may be called any number of times.
func (s *Service) NoteReturn(ctx context.Context, providerID string, problem ReturnProblem) error {
	p, err := s.read.Provider.Query().Where(provider.ID(providerID)).Only(ctx)
	if err != nil {
		return orNotFound(err, "", "provider", providerID)
	}
	known := p.ReturnProblem == string(problem)
	if known && (problem == "" || p.ReturnProblemAt != nil && s.now(ctx).Before(p.ReturnProblemAt.Add(returnNoteEach))) {
		return nil
	}
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		u := tx.Provider.Update().Where(provider.ID(providerID)).SetReturnProblem(string(problem))
		if problem == "" {
			u.ClearReturnProblemAt()
		} else {
			u.SetReturnProblemAt(tx.Now)
		}
		_, err := u.Save(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("note how browsers return from provider %s: %w", providerID, err)
	}
	return nil
}
