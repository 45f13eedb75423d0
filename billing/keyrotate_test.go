package billing

import (
	"context"
	"slices"
	"strings"
	"testing"

	"purser/auth"
	"purser/ent/provider"
	"purser/migrations"
)

// TestSealedColumns holds the list of what is rotated to the tables.
func TestSealedColumns(t *testing.T) {
	t.Parallel()
	tables, err := migrations.Tables()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, table := range tables {
		for _, c := range table.Columns {
			if strings.HasSuffix(c.Name, "_sealed") {
				want = append(want, table.Name+"."+c.Name)
			}
		}
	}
	var got []string
	for _, c := range sealedColumns() {
		got = append(got, c.table+"."+c.column)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("rotated are %v, sealed are %v", got, want)
	}
}

func TestRotateKeys(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.newGlobal(t, "Shared")
		var ids []string
		for _, name := range []string{"One", "Two"} {
			id, err := f.CreateProvider(f.ctx, ProviderDraft{Name: name, Credentials: stripeKeys(name)}, someKeys{})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.UpdateProvider(f.ctx, ProviderChange{ID: id, WebhookSecret: "whsec_next"}, someKeys{}); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		// More than one page of one column.
		for range rotatePage {
			id := f.newID(prefixProvider)
			sealed, err := f.Service.seal(f.ctx, id, columnSecret, "sk_test_many")
			if err != nil {
				t.Fatal(err)
			}
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
				return tx.Provider.Create().SetID(id).SetSlug(id).SetName("Many").SetKind(provider.KindSTRIPE).
					SetWebhookToken(id).SetSecretSealed(sealed).SetCreatedAt(tx.Now).Exec(ctx)
			})
		}
		before, keys := f.sealer, [][]byte{[]byte(strings.Repeat("n", 32)), []byte(strings.Repeat("k", 32))}
		use := func(keys ...[]byte) {
			t.Helper()
			sealer, err := auth.NewSealer(keys...)
			if err != nil {
				t.Fatal(err)
			}
			f.sealer = sealer
		}
		ctx := auth.AllTenants(t.Context(), rotatePart)

		// Without the old key everything stays, and is named.
		use(keys[0])
		report, err := f.RotateKeys(ctx)
		if err != nil || report.Rotated != 0 || len(report.Closed) != report.Sealed || report.Sealed != 2+3*2+rotatePage {
			t.Errorf("with a foreign key: %d of %d, %d closed, %v", report.Rotated, report.Sealed, len(report.Closed), err)
		}
		use(keys...)
		if report, err = f.RotateKeys(ctx); err != nil || report.Rotated != report.Sealed || len(report.Closed) != 0 {
			t.Errorf("with both keys: %+v, %v", report, err)
		}
		if report, err = f.RotateKeys(ctx); err != nil || report.Rotated != 0 {
			t.Errorf("again: %+v, %v", report, err)
		}
		use(keys[0])
		for i, name := range []string{"One", "Two"} {
			a, err := f.OpenAccount(f.ctx, ids[i])
			if err != nil || a.SecretKey != "sk_test_secret"+name {
				t.Errorf("account of %s: %v", name, err)
			}
			secrets, err := f.WebhookSecrets(f.ctx, f.providerRow(t, ids[i]))
			if err != nil || strings.Join(secrets, " ") != "whsec_next whsec_"+name {
				t.Errorf("secrets of %s: %v, %v", name, secrets, err)
			}
		}

		// What was changed since it was read is left alone.
		old, err := before.Seal("sk_test_old", auth.Place{OrganizationID: f.org, EntityID: ids[0], Column: columnSecret})
		if err != nil {
			t.Fatal(err)
		}
		use(keys...)
		n, closed, err := f.rotateRows(ctx, sealedColumn{table: provider.Table, column: provider.FieldSecretSealed, place: columnSecret}, []sealedRow{{f.org, ids[0], old}})
		if n != 0 || len(closed) != 0 || err != nil {
			t.Errorf("%d were replaced, %v", n, err)
		}
	})
}
