package billing

import (
	"bytes"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"purser/ent/ledgerentry"
	"purser/money"
)

func exampleRow() entryRow {
	return entryRow{
		posting: posting{
			transactionID: "txn_1", kind: ledgerentry.KindUSAGE, debit: "balance:bal_1", credit: "revenue", balanceID: "bal_1",
			amount: money.Amount{Units: 5, Currency: "USD"}, effectiveAt: time.Unix(1, 0),
			metadata: map[string]string{"a": "b"}, operation: "usage", key: "k", fingerprint: []byte{1},
		},
		id: "ent_1", organizationID: "org_1", actor: "tok_1", seq: 1, amountAfter: 7, usageAfter: 5, bookedAt: time.Unix(2, 0),
	}
}

// Every field of an entry takes part in its hash, also one that somebody adds
// later.
func TestEveryFieldIsHashed(t *testing.T) {
	base := exampleRow()
	digest := base.digest([]byte("previous"))
	if bytes.Equal(digest, base.digest([]byte("another"))) {
		t.Error("the hash does not hang on the one before it")
	}
	var check func(path string, at func(*entryRow) reflect.Value)
	check = func(path string, at func(*entryRow) reflect.Value) {
		row := exampleRow()
		v := at(&row)
		switch v.Interface().(type) {
		case posting, money.Amount:
			for i := range v.NumField() {
				check(path+"."+v.Type().Field(i).Name, func(r *entryRow) reflect.Value { return settable(at(r).Field(i)) })
			}
			return
		case time.Time:
			v.Set(reflect.ValueOf(time.Unix(9, 0)))
		case map[string]string:
			v.Set(reflect.ValueOf(map[string]string{"a": "c"}))
		case *string:
			v.Set(reflect.ValueOf(ptr("")))
		case []byte:
			v.SetBytes([]byte{9})
		default:
			switch {
			case v.Kind() == reflect.String:
				v.SetString(v.String() + "x")
			case v.CanInt():
				v.SetInt(v.Int() + 1)
			default:
				t.Fatalf("%s: the test does not know %s", path, v.Type())
			}
		}
		if same := bytes.Equal(row.digest([]byte("previous")), digest); same != (path == ".hash") {
			t.Errorf("%s: changed, and the hash is the same: %t", path, same)
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[entryRow]()) {
		if len(field.Index) == 1 {
			check("."+field.Name, func(r *entryRow) reflect.Value {
				return settable(reflect.ValueOf(r).Elem().Field(field.Index[0]))
			})
		}
	}
}

// settable lets reflection write to a field that is not exported.
func settable(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

// Text that moves from one field to its neighbour, or from a key to its value,
// makes another row.
func TestNoTwoRowsReadTheSame(t *testing.T) {
	seen := map[string]string{}
	for name, change := range map[string]func(*entryRow){
		"as it is":            func(*entryRow) {},
		"into the next field": func(r *entryRow) { r.debit, r.credit = "balance:bal_1r", "evenue" },
		"payment":             func(r *entryRow) { r.paymentID = "x" },
		"invoice":             func(r *entryRow) { r.invoiceID = "x" },
		"no description":      func(r *entryRow) { r.description = nil; r.actor = "tok_2" },
		"empty description":   func(r *entryRow) { r.description = ptr(""); r.actor = "tok_2" },
		"two keys":            func(r *entryRow) { r.metadata = map[string]string{"a": "b", "c": "d"} },
		"one long key":        func(r *entryRow) { r.metadata = map[string]string{"abc": "d"} },
		"a long value":        func(r *entryRow) { r.metadata = map[string]string{"a": "bcd"} },
		"another order":       func(r *entryRow) { r.metadata = map[string]string{"c": "d", "a": "b", "e": ""} },
		"no metadata":         func(r *entryRow) { r.metadata = nil },
		"digits":              func(r *entryRow) { r.amountAfter, r.usageAfter = 5, 7 },
	} {
		row := exampleRow()
		change(&row)
		digest := string(row.digest(nil))
		if other, ok := seen[digest]; ok {
			t.Errorf("%q and %q have the same hash", name, other)
		}
		seen[digest] = name
	}
	a, b := exampleRow(), exampleRow()
	a.metadata, b.metadata = map[string]string{"a": "1", "b": "2", "c": "3"}, map[string]string{"c": "3", "b": "2", "a": "1"}
	if !bytes.Equal(a.digest(nil), b.digest(nil)) {
		t.Error("the order of a map changes the hash")
	}
}

// Times are hashed as the databases keep them, in microseconds of any zone.
func TestTimesAreHashedAsStored(t *testing.T) {
	a, b := exampleRow(), exampleRow()
	b.bookedAt = a.bookedAt.In(time.FixedZone("", 3600)).Add(999 * time.Nanosecond)
	if !bytes.Equal(a.digest(nil), b.digest(nil)) {
		t.Error("the zone or what is below a microsecond changes the hash")
	}
}
