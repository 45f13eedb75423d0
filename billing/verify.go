package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/money"
)

// verifyPage is how many rows are read at once.
const verifyPage = 1000

// VerifyOptions says how to verify.
type VerifyOptions struct {
	// Progress is told after each page of rows; nil tells nobody.
	Progress func(VerifyProgress)
	// SealAge is how long an entry that touches no balance may stay unsealed;
	// zero does not look at it.
	SealAge time.Duration
	// PageRows is how many rows are held in memory at once. Default 1,000.
	PageRows int
}

// VerifyProgress says how far a verification is.
type VerifyProgress struct {
	OrganizationID string
	Table          string
	Rows           int // of this table, so far
}

// VerifyReport counts what was verified.
type VerifyReport struct {
	OrganizationID string
	Balances       int
	Entries        int
	Seals          int
	Unsealed       int // entries without a balance that wait for their seal
	Holds          int
	Payments       int // that succeeded
	Invoices       int
	Subscriptions  int
	Quotes         int
	OpenCalls      int
}

// Fault is the first row found that does not fit the others.
type Fault struct {
	OrganizationID string
	Table          string
	ID             string // of the row; the account where no row can be named
	What           string
	Expected       string
	Found          string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s %s of %s: %s: expected %s, found %s", f.Table, f.ID, f.OrganizationID, f.What, f.Expected, f.Found)
}

// VerifyAll verifies every organization, one after the other. The error joins
// the first Fault of each; it ends at once when something cannot be read.
func (s *Service) VerifyAll(ctx context.Context, o VerifyOptions) ([]VerifyReport, error) {
	ids, err := s.read.Organization.Query().IDs(auth.AllTenants(ctx, "verify"))
	if err != nil {
		return nil, fmt.Errorf("list organizations: %w", err)
	}
	var reports []VerifyReport
	var faults []error
	for _, id := range ids {
		r, err := s.Verify(auth.Internal(ctx, "verify", id), o)
		var fault *Fault
		if err != nil && !errors.As(err, &fault) {
			return reports, fmt.Errorf("verify %s: %w", id, err)
		}
		reports = append(reports, r)
		if err != nil {
			faults = append(faults, err)
		}
	}
	return reports, errors.Join(faults...)
}

// Verify proves the ledger of the viewer's organization anew from its rows:
//
//   - sequences, chains and seals, and every balance against its entries, open
//     holds, unpaid invoices and its payer's billing mode; every hold against
//     its balance and the entry that has captured it;
//   - every payment against its entry, its invoice or balance, what the
//     gateway was asked for, and its refunds;
//   - every invoice against its lines, its entries (subtotal, tax, rounding,
//     payments, write-off; what of it stands, by its state), its payments, its
//     credit notes and its quote; every credit note against its entries and
//     refunds; every quote against its lines and its invoice;
//   - the numbers of invoices, quotes and credit notes against their series: none
//     is missing;
//   - gateway calls, and the rows that wait for them, against the rule that
//     somebody looks at everything again that has not ended.
//
// A change of one column of one row that money stands in is found. What
// nothing else in the database tells, it cannot find: an agreed credit limit,
// the payer of a paid invoice that has neither payment nor quote, texts,
// links and plans (the test TestVerifyProves has the list), a row that was
// deleted before anything was booked on it, and the end of the seals where
// SealAge is zero. It proves that the rows agree, not who wrote them: hashes
// are not signed.
//
// It reads one state of the database, page by page, while others write. The
// error is a *Fault when a row does not fit.
func (s *Service) Verify(ctx context.Context, o VerifyOptions) (VerifyReport, error) {
	report := VerifyReport{OrganizationID: auth.FromContext(ctx).OrganizationID}
	if o.PageRows <= 0 {
		o.PageRows = verifyPage
	}
	var isolation *sql.TxOptions
	if !s.embedded() {
		// PostgreSQL shows a new state to every statement otherwise; SQLite
		// keeps to one by itself.
		isolation = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	now := s.now(ctx) // read while no connection is held
	stx, err := s.db.Read.BeginTx(ctx, isolation)
	if err != nil {
		return report, fmt.Errorf("begin verification: %w", err)
	}
	defer func() { _ = stx.Rollback() }() // nothing was written
	if !s.embedded() {
		// Every page is read along an index. With old statistics the planner
		// would rather read and sort all that is left, for each page anew.
		if _, err := stx.ExecContext(ctx, "SET LOCAL enable_sort = off"); err != nil {
			return report, fmt.Errorf("set up verification: %w", err)
		}
	}
	v := &verifier{
		Client:   ent.NewClient(ent.Driver(txDriver{entsql.NewDriver(s.db.Dialect, entsql.Conn{ExecQuerier: stx})})),
		options:  o,
		report:   &report,
		now:      now,
		clearing: sums{},
		shapes:   shapes(),
	}
	organization, err := v.Organization.Query().Only(ctx)
	if err != nil {
		return report, fmt.Errorf("read organization: %w", err)
	}
	v.zone = organization.TimeZone
	for _, step := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"number series", v.loadNumbers},
		{"balances", v.balances},
		{"entries without a balance", v.looseEntries},
		{"seals", v.seals},
		{"holds", v.holds},
		{"payments", v.payments},
		{"invoices", v.invoices},
		{"quotes", v.quotes},
		{"subscriptions", v.subscriptions},
		{"numbers", v.numbers},
		{"gateway calls", v.calls},
	} {
		if err := step.run(ctx); err != nil {
			var fault *Fault
			if errors.As(err, &fault) {
				return report, fault
			}
			return report, fmt.Errorf("verify %s: %w", step.what, err)
		}
	}
	return report, nil
}

// verifier is one verification.
type verifier struct {
	*ent.Client
	options VerifyOptions
	report  *VerifyReport
	now     time.Time
	zone    string
	// clearing sums the payments that entries have booked, less refunds and
	// disputes, by provider and currency.
	clearing sums
	shapes   map[ledgerentry.Kind][][2]string
	series   numberSeries
}

func (v *verifier) fault(table, id, what string, expected, found any) *Fault {
	return &Fault{
		OrganizationID: v.report.OrganizationID, Table: table, ID: id, What: what,
		Expected: fmt.Sprint(expected), Found: fmt.Sprint(found),
	}
}

func (v *verifier) progress(table string, rows int) {
	if v.options.Progress != nil {
		v.options.Progress(VerifyProgress{OrganizationID: v.report.OrganizationID, Table: table, Rows: rows})
	}
}

// account names a sum over many rows.
type account struct{ name, currency string }

// sums adds up without a bound: millions of rows may exceed what one balance
// can hold.
type sums map[account]*big.Int

func (s sums) add(name, currency string, u money.Units) {
	key := account{name, currency}
	if s[key] == nil {
		s[key] = new(big.Int)
	}
	s[key].Add(s[key], big.NewInt(int64(u)))
}

// differs returns an account in which the two differ, with both values.
func (s sums) differs(t sums) (a account, here, there *big.Int, differ bool) {
	zero := new(big.Int)
	for _, key := range slices.Concat(slices.Collect(maps.Keys(s)), slices.Collect(maps.Keys(t))) {
		here, there = s[key], t[key]
		if here == nil {
			here = zero
		}
		if there == nil {
			there = zero
		}
		if here.Cmp(there) != 0 {
			return key, here, there, true
		}
	}
	return account{}, nil, nil, false
}
