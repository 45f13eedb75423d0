package ent

import (
	"fmt"

	"entgo.io/ent/dialect/sql"

	"purser/ent/balance"
)

// Statements that are not ent's read rows of ent's as well: the committer's
// (package billing), which join a balance to what decides about it.

// BalanceColumns are all columns of a balance, in the order in which
// ScanBalance reads them.
func BalanceColumns() []string { return balance.Columns }

// ScanBalance reads the row that rows stands at: all columns of a balance and
// then what more points to.
func ScanBalance(rows sql.ColumnScanner, more ...any) (*Balance, error) {
	b := &Balance{}
	values, err := b.scanValues(balance.Columns)
	if err != nil {
		return nil, err
	}
	if err := rows.Scan(append(values, more...)...); err != nil {
		return nil, fmt.Errorf("scan balance: %w", err)
	}
	if err := b.assignValues(balance.Columns, values[:len(balance.Columns)]); err != nil {
		return nil, fmt.Errorf("scan balance: %w", err)
	}
	return b, nil
}
