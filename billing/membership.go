package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/membership"
	"purser/ent/payer"
)

// AddMember adds a developer to a company, or changes its role there, and
// returns the membership's id. Refusals: NOT_FOUND, INVALID_STATE.
func (s *Service) AddMember(ctx context.Context, companyID, developerID string, role membership.Role) (string, error) {
	fresh := s.newID(prefixMembership)
	var id string
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		company, err := tx.payerOf(ctx, payer.KindCOMPANY, "company", companyID, "companyId")
		if err != nil {
			return err
		}
		developer, err := tx.payerOf(ctx, payer.KindDEVELOPER, "developer", developerID, "developerId")
		if err != nil {
			return err
		}
		if company.Status == payer.StatusCLOSED {
			return refuse(CodeInvalidState, "companyId", "the company is closed")
		}
		if developer.Status == payer.StatusCLOSED {
			return refuse(CodeInvalidState, "developerId", "the developer is closed")
		}
		m, err := tx.Membership.Query().Where(membership.CompanyID(companyID), membership.DeveloperID(developerID)).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			id = fresh
			err = tx.Membership.Create().
				SetID(fresh).SetCompanyID(companyID).SetDeveloperID(developerID).SetRole(role).
				SetCreatedAt(tx.Now).Exec(ctx)
			if err != nil {
				return fmt.Errorf("add member: %w", err)
			}
			return nil
		case err != nil:
			return fmt.Errorf("read membership: %w", err)
		}
		id = m.ID
		if m.Role == role {
			return nil
		}
		if err := cas(tx.Membership.Update().Where(membership.ID(m.ID)).SetRole(role).Save(ctx)); err != nil {
			return fmt.Errorf("change role of %s: %w", m.ID, err)
		}
		return nil
	})
	return id, err
}

// RemoveMember takes a developer out of a company and returns the id that the
// membership had. Refusals: NOT_FOUND.
func (s *Service) RemoveMember(ctx context.Context, companyID, developerID string) (string, error) {
	var id string
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		m, err := tx.Membership.Query().Where(membership.CompanyID(companyID), membership.DeveloperID(developerID)).Only(ctx)
		if ent.IsNotFound(err) {
			return refuse(CodeNotFound, "developerId", "there is no developer %.64q in the company %.64q", developerID, companyID)
		}
		if err != nil {
			return fmt.Errorf("read membership: %w", err)
		}
		id = m.ID
		if err := cas(tx.Membership.Delete().Where(membership.ID(m.ID)).Exec(ctx)); err != nil {
			return fmt.Errorf("remove member: %w", err)
		}
		return nil
	})
	return id, err
}
