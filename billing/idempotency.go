package billing

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/idempotencyrecord"
)

// operation is one run of a mutation as its idempotency key knows it. Keys
// are scoped by organization; the fingerprint is of the mutation's name and
// its input.
type operation struct {
	name        string
	key         string
	fingerprint []byte
}

// Bounds of a client's key.
const keyLengthMax = 200

// keyScope is the scope of every key but those of usage and holds, which live
// on their own rows.
const keyScope = "operation"

// keyRule says whether a mutation needs a key.
type keyRule bool

const (
	keyRequired keyRule = true
	keyOptional keyRule = false
)

// newOperation names one run of a mutation. Without a client's key it gets
// one of its own, by which a transaction that must run again recognises what
// it has already done. It is made before the transaction begins.
//
// The input's JSON is what later runs are compared with, for as long as keys
// are kept: instants in it are UTC, a field keeps its name, and one that is
// added later is left out while it is empty (omitempty). A test pins them.
func (s *Service) newOperation(name string, key *string, rule keyRule, input any) (operation, error) {
	op := operation{name: name}
	switch {
	case key == nil || *key == "":
		if rule == keyRequired {
			return op, refuse(CodeRequired, "idempotencyKey", "an idempotency key is needed: any text of your own, the same when you try again")
		}
		op.key = "internal:" + s.newSecret(16)
	case len(*key) > keyLengthMax:
		return op, refuse(CodeInvalid, "idempotencyKey", "the idempotency key has %d characters, at most %d are allowed", len(*key), keyLengthMax)
	case !storable(*key):
		return op, refuse(CodeInvalid, "idempotencyKey", "the idempotency key has bytes that are no text")
	default:
		op.key = "client:" + *key
	}
	canonical, err := json.Marshal(input) // fields in order of the type, maps sorted
	if err != nil {
		return op, fmt.Errorf("fingerprint %s: %w", name, err)
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), canonical...))
	op.fingerprint = sum[:]
	return op, nil
}

// keyOf is the key as it is stored. A payer's session has keys of its own: it
// can neither take nor find out those of the organization.
func (op operation) keyOf(ctx context.Context) string {
	if v := auth.FromContext(ctx); v.IsSession() {
		return v.PayerID + ":" + op.key
	}
	return op.key
}

// replay finds the record of an earlier run of the same operation, or nil. A
// key used for something else is refused.
func (tx *Tx) replay(ctx context.Context, op operation) (*ent.IdempotencyRecord, error) {
	r, err := tx.IdempotencyRecord.Query().
		Where(idempotencyrecord.Scope(keyScope), idempotencyrecord.Key(op.keyOf(ctx))).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		tx.sought = &op
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up idempotency key: %w", err)
	case subtle.ConstantTimeCompare(r.Fingerprint, op.fingerprint) != 1:
		return nil, refuse(CodeIdempotencyKeyReused, "idempotencyKey", "this idempotency key was used before with another input: use a new key for a new operation")
	}
	return r, nil
}

// remember stores what the operation made. A second transaction with the same
// key fails on it and runs again, finding the first one's.
func (tx *Tx) remember(ctx context.Context, op operation, subject, second, callID string) error {
	err := tx.IdempotencyRecord.Create().
		SetID(tx.s.newID(prefixRecord)).
		SetScope(keyScope).SetKey(op.keyOf(ctx)).SetFingerprint(op.fingerprint).
		SetSubject(subject).SetSecondSubject(second).SetCallID(callID).
		SetCreatedAt(tx.Now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("remember idempotency key: %w", err)
	}
	return nil
}

// A key is kept for twice the 30 days that are promised, and longer while its
// call has not ended. Removing is done in small bites, so that no transaction
// is long.
const (
	keyLife  = 60 * 24 * time.Hour
	keysBite = 500
)

// RemoveOldKeys forgets keys of the viewer's organization that are older than
// keyLife, at most keysBite of them, and returns how many. It may be called at
// any time.
func (s *Service) RemoveOldKeys(ctx context.Context) (int, error) {
	ids, err := s.read.IdempotencyRecord.Query().
		Where(idempotencyrecord.CreatedAtLT(s.now(ctx).Add(-keyLife)), ofNoOpenCall(auth.FromContext(ctx).OrganizationID)).
		Order(ent.Asc(idempotencyrecord.FieldCreatedAt)).Limit(keysBite).IDs(ctx)
	if err != nil {
		return 0, fmt.Errorf("list old keys: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	removed := 0
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) (err error) {
		removed, err = tx.IdempotencyRecord.Delete().Where(idempotencyrecord.IDIn(ids...)).Exec(ctx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove old keys: %w", err)
	}
	return removed, nil
}

// ofNoOpenCall keeps the records whose call, if they have one, has ended.
func ofNoOpenCall(organizationID string) func(*entsql.Selector) {
	return func(s *entsql.Selector) {
		calls := entsql.Dialect(s.Dialect()).Table(gatewaycall.Table)
		s.Where(entsql.NotExists(entsql.Dialect(s.Dialect()).Select(calls.C(gatewaycall.FieldID)).From(calls).Where(entsql.And(
			entsql.EQ(calls.C(gatewaycall.FieldOrganizationID), organizationID),
			entsql.ColumnsEQ(calls.C(gatewaycall.FieldID), s.C(idempotencyrecord.FieldCallID)),
			entsql.NEQ(calls.C(gatewaycall.FieldState), gatewaycall.StateDONE),
		))))
	}
}
