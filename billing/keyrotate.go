package billing

import (
	"context"
	"errors"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/crash"
	"purser/ent/globalprovider"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/ent/webhookendpoint"
)

// rotatePart is what the statements of a rotation, which span organizations,
// are made as.
const rotatePart = "rotate"

// rotatePage is how many secrets are sealed anew in one transaction.
const rotatePage = 50

// sealedColumn is a column that holds sealed secrets.
type sealedColumn struct {
	table, column string
	// place is the column that the secret was sealed for: a previous secret
	// keeps the place of the current one.
	place string
	// installation: the rows belong to no organization.
	installation bool
}

// sealedColumns are all of them; a test holds the list to the tables.
func sealedColumns() []sealedColumn {
	return []sealedColumn{
		{table: globalprovider.Table, column: globalprovider.FieldSecretSealed, place: columnSecret, installation: true},
		{table: globalprovider.Table, column: globalprovider.FieldWebhookSecretSealed, place: columnWebhookSecret, installation: true},
		{table: globalprovider.Table, column: globalprovider.FieldWebhookSecretPreviousSealed, place: columnWebhookSecret, installation: true},
		{table: globalprovider.Table, column: globalprovider.FieldMACSecretSealed, place: columnMACSecret, installation: true},
		{table: provider.Table, column: provider.FieldSecretSealed, place: columnSecret},
		{table: provider.Table, column: provider.FieldWebhookSecretSealed, place: columnWebhookSecret},
		{table: provider.Table, column: provider.FieldWebhookSecretPreviousSealed, place: columnWebhookSecret},
		{table: provider.Table, column: provider.FieldMACSecretSealed, place: columnMACSecret},
		{table: payment.Table, column: payment.FieldActionSecretSealed, place: columnActionSecret},
		{table: paymentmethod.Table, column: paymentmethod.FieldActionSecretSealed, place: columnActionSecret},
		{table: webhookendpoint.Table, column: webhookendpoint.FieldSecretSealed, place: columnSecret},
		{table: webhookendpoint.Table, column: webhookendpoint.FieldSecretPreviousSealed, place: columnSecret},
	}
}

// KeyRotation counts what a rotation has found.
type KeyRotation struct {
	Sealed  int // secrets there are
	Rotated int // that were sealed anew with the first master key
	// Closed names the secrets that none of the master keys opens, as table,
	// id and column. They stay as they are.
	Closed []string
}

// RotateKeys seals every secret anew that is not sealed with the first master
// key. Each is changed only from what was read, so that it may run while the
// servers do, and several at once; what was done stays done, and a rotation
// that was interrupted goes on where it is called again. The servers must know
// the new key before.
//
// It spans organizations.
func (s *Service) RotateKeys(ctx context.Context) (KeyRotation, error) {
	var report KeyRotation
	for _, c := range sealedColumns() {
		if err := s.rotateColumn(ctx, c, &report); err != nil {
			return report, fmt.Errorf("seal %s of %s anew: %w", c.column, c.table, err)
		}
	}
	return report, nil
}

// sealedRow is one sealed secret with its place.
type sealedRow struct {
	organizationID, id string
	sealed             []byte
}

func (s *Service) rotateColumn(ctx context.Context, c sealedColumn, report *KeyRotation) error {
	last := sealedRow{}
	for {
		page, err := s.sealedPage(ctx, c, last)
		if err != nil {
			return err
		}
		report.Sealed += len(page)
		var old []sealedRow
		for _, row := range page {
			if !s.sealer.IsCurrent(row.sealed) {
				old = append(old, row)
			}
		}
		if len(old) > 0 {
			rotated, closed, err := s.rotateRows(ctx, c, old)
			if err != nil {
				return err
			}
			report.Rotated += rotated
			report.Closed = append(report.Closed, closed...)
			crash.Point(crash.KeysRotated)
		}
		if len(page) < rotatePage {
			return nil
		}
		last = page[len(page)-1]
	}
}

// sealedPage reads the secrets that come after one.
func (s *Service) sealedPage(ctx context.Context, c sealedColumn, last sealedRow) (page []sealedRow, err error) {
	columns, key, after := []string{"organization_id", "id", c.column}, []string{"organization_id", "id"}, []any{last.organizationID, last.id}
	if c.installation {
		columns, key, after = columns[1:], key[1:], after[1:]
	}
	t := entsql.Dialect(s.db.Dialect).Select(columns...).From(entsql.Table(c.table))
	query, args := t.Where(entsql.And(entsql.NotNull(c.column), entsql.CompositeGT(key, after...))).
		OrderBy(key...).Limit(rotatePage).Query()
	rows, err := s.db.Read.QueryContext(auth.AllTenants(ctx, rotatePart), query, args...)
	if err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var row sealedRow
		into := []any{&row.organizationID, &row.id, &row.sealed}
		if c.installation {
			into = into[1:]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read secret: %w", err)
		}
		page = append(page, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	return page, nil
}

// rotateRows seals secrets anew, in one transaction. One that somebody else has
// changed since it was read is left to the next rotation, if it needs any.
func (s *Service) rotateRows(ctx context.Context, c sealedColumn, old []sealedRow) (rotated int, closed []string, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		rotated, closed = 0, nil
		for _, row := range old {
			at := auth.Place{OrganizationID: row.organizationID, EntityID: row.id, Column: c.place}
			secret, err := s.sealer.Open(row.sealed, at)
			if err != nil {
				closed = append(closed, fmt.Sprintf("%s %s %s", c.table, row.id, c.column))
				continue
			}
			fresh, err := s.sealer.Seal(secret, at)
			if err != nil {
				return fmt.Errorf("seal: %w", err)
			}
			n, err := tx.replaceSealed(ctx, c, row, fresh)
			if err != nil {
				return err
			}
			rotated += n
		}
		return nil
	})
	return rotated, closed, err
}

func (tx *Tx) replaceSealed(ctx context.Context, c sealedColumn, row sealedRow, fresh []byte) (int, error) {
	where := []*entsql.Predicate{entsql.EQ("id", row.id), entsql.EQ(c.column, row.sealed)}
	if !c.installation {
		where = append([]*entsql.Predicate{entsql.EQ("organization_id", row.organizationID)}, where...)
	}
	query, args := entsql.Dialect(tx.s.db.Dialect).Update(c.table).Set(c.column, fresh).Where(entsql.And(where...)).Query()
	result, err := tx.sql.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("replace secret of %s: %w", row.id, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("replace secret of %s: %w", row.id, err)
	}
	return int(n), nil
}
