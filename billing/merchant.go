package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/gatewayobject"
	"purser/ent/organization"
)

// claimMerchant gives a merchant of the sandbox, whose logins prove nothing, to
// the first organization that uses it: two would share its orders and cards,
// and one of them would hear the notifications of both.
//
// Codes: TAKEN.
func (tx *Tx) claimMerchant(ctx context.Context, o *ent.Organization, c Credentials) error {
	if o.Environment != organization.EnvironmentSANDBOX || c.MerchantCode == "" {
		return nil
	}
	id := "merchant:" + string(c.Kind) + ":" + c.MerchantCode
	owner, err := tx.GatewayObject.Query().Where(gatewayobject.ID(id)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		err = tx.GatewayObject.Create().SetID(id).SetOrganization(o.ID).SetCreatedAt(tx.Now).Exec(ctx)
	case err == nil && owner.Organization != o.ID:
		return refuse(CodeTaken, "credentials", "another organization has the merchant %s of the sandbox: choose another merchant code", c.MerchantCode)
	}
	if err != nil {
		return fmt.Errorf("claim merchant %s: %w", c.MerchantCode, err)
	}
	return nil
}
