package billing

import (
	"context"
	"testing"

	"purser/auth"
	"purser/gateway"
)

// TestMerchantOfTheSandbox: one organization has it, for any number of
// providers; elsewhere logins prove who somebody is.
func TestMerchantOfTheSandbox(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		_, other := f.newOrganization(t, "other", "UTC")
		draft := func(name, code string) ProviderDraft {
			return ProviderDraft{Name: name, Credentials: Credentials{Kind: gateway.KindWorldpay, MerchantCode: code, SecretKey: auth.Secret(code + ":password")}}
		}
		create := func(ctx context.Context, name, code string) error {
			_, err := f.CreateProvider(ctx, draft(name, code), merchantKeys{})
			return err
		}
		for _, name := range []string{"first", "second"} {
			if err := create(f.ctx, name, "MINE"); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, create(other, "theirs", "MINE"), CodeTaken, "credentials")
		if err := create(other, "theirs", "THEIRS"); err != nil {
			t.Fatal(err)
		}
	})
}
