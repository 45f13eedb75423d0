package auth_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"purser/auth"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, auth.MasterKeyBytes) }

func sealer(t *testing.T, keys ...[]byte) *auth.Sealer {
	t.Helper()
	s, err := auth.NewSealer(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var place = auth.Place{OrganizationID: "org_1", EntityID: "prv_1", Column: "secret"}

func TestSeal(t *testing.T) {
	t.Parallel()
	s := sealer(t, key(1))
	for _, secret := range []auth.Secret{"sk_test_0123456789abcdef", "", auth.Secret(strings.Repeat("x", 10_000)), "\x00\xff"} {
		for _, at := range []auth.Place{place, {EntityID: "gpr_1", Column: "secret"}} {
			sealed, err := s.Seal(secret, at)
			if err != nil {
				t.Fatal(err)
			}
			if len(secret) > 4 && bytes.Contains(sealed, []byte(secret.Reveal())) {
				t.Error("the sealed bytes hold the secret")
			}
			if got, err := s.Open(sealed, at); err != nil || got != secret {
				t.Errorf("opened %d bytes, %v, want %d", len(got), err, len(secret))
			}
			again, err := s.Seal(secret, at)
			if err != nil || bytes.Equal(sealed, again) {
				t.Errorf("sealing twice gives the same bytes, %v", err)
			}
		}
	}
}

func TestKnows(t *testing.T) {
	t.Parallel()
	sealed, err := sealer(t, key(1)).Seal("secret", place)
	if err != nil {
		t.Fatal(err)
	}
	if !sealer(t, key(2), key(1)).Knows(sealed) {
		t.Error("a secret sealed with the second key is not known")
	}
	if sealer(t, key(2)).Knows(sealed) {
		t.Error("a secret sealed with another key is known")
	}
	if sealer(t, key(2), key(1)).IsCurrent(sealed) || !sealer(t, key(1), key(2)).IsCurrent(sealed) || sealer(t, key(1)).IsCurrent(sealed[:3]) {
		t.Error("it is not told whether a secret is sealed with the first key")
	}
	if sealer(t, key(1)).Knows(nil) || sealer(t, key(1)).Knows(sealed[:3]) {
		t.Error("what was never sealed is known")
	}
}

func TestASealedSecretStaysInItsPlace(t *testing.T) {
	t.Parallel()
	s := sealer(t, key(1))
	sealed, err := s.Seal("secret", place)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]auth.Place{
		"another organization": {OrganizationID: "org_2", EntityID: "prv_1", Column: "secret"},
		"no organization":      {EntityID: "prv_1", Column: "secret"},
		"another entity":       {OrganizationID: "org_1", EntityID: "prv_2", Column: "secret"},
		"another column":       {OrganizationID: "org_1", EntityID: "prv_1", Column: "webhook_secret"},
		"border moved":         {OrganizationID: "org_1p", EntityID: "rv_1", Column: "secret"},
		"border moved again":   {OrganizationID: "org_1", EntityID: "prv_1s", Column: "ecret"},
	} {
		if got, err := s.Open(sealed, at); !errors.Is(err, auth.ErrUnsealable) || got != "" {
			t.Errorf("%s: opened %d bytes, %v", name, len(got), err)
		}
	}
}

func TestADamagedSealIsRefused(t *testing.T) {
	t.Parallel()
	s := sealer(t, key(1))
	sealed, err := s.Seal("secret", place)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		for _, bit := range []byte{0x01, 0x80} {
			damaged := bytes.Clone(sealed)
			damaged[i] ^= bit
			if got, err := s.Open(damaged, place); err == nil || got != "" {
				t.Errorf("bit %#x of byte %d flipped: opened %d bytes", bit, i, len(got))
			}
		}
		if got, err := s.Open(sealed[:i], place); err == nil || got != "" {
			t.Errorf("cut to %d bytes: opened %d bytes", i, len(got))
		}
	}
	if _, err := s.Open(append(bytes.Clone(sealed), 0), place); !errors.Is(err, auth.ErrUnsealable) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	before, after, stranger := sealer(t, key(1)), sealer(t, key(2), key(1)), sealer(t, key(3))
	old, err := before.Seal("secret", place)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := after.Open(old, place); err != nil || got != "secret" {
		t.Errorf("the old seal does not open: %v", err)
	}
	fresh, err := after.Seal("secret", place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Open(fresh, place); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("the old key opens the new seal: %v", err)
	}
	if _, err := stranger.Open(old, place); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("a foreign key opens the seal: %v", err)
	}
}

func TestNewSealerRefuses(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][][]byte{
		"no key":    nil,
		"nil key":   {nil},
		"short key": {make([]byte, 31)},
		"long key":  {make([]byte, 33)},
		"twice":     {key(1), key(2), key(1)},
	} {
		if s, err := auth.NewSealer(keys...); err == nil || s != nil {
			t.Errorf("%s: a sealer was made", name)
		}
	}
	for _, at := range []auth.Place{{}, {OrganizationID: "org_1", EntityID: "prv_1"}, {OrganizationID: "org_1", Column: "secret"}} {
		if _, err := sealer(t, key(1)).Seal("secret", at); err == nil {
			t.Errorf("sealed for %+v", at)
		}
		if _, err := sealer(t, key(1)).Open(key(1), at); err == nil {
			t.Errorf("opened for %+v", at)
		}
	}
}

func TestDeriveKey(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, master := range [][]byte{key(1), key(2)} {
		for _, purpose := range []string{"cursors", "returns"} {
			derived, err := auth.DeriveKey(master, purpose)
			if err != nil || len(derived) != 32 || bytes.Equal(derived, master) {
				t.Fatalf("derived %d bytes, %v", len(derived), err)
			}
			again, err := auth.DeriveKey(master, purpose)
			if err != nil || !bytes.Equal(derived, again) {
				t.Errorf("%s: not the same key twice", purpose)
			}
			if other, ok := seen[string(derived)]; ok {
				t.Errorf("%s and %s have the same key", other, purpose)
			}
			seen[string(derived)] = purpose
		}
	}
	if _, err := auth.DeriveKey(key(1)[:16], "cursors"); err == nil {
		t.Error("half a master key is accepted")
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{
		"sk_test_51H0123456789abcd4f2a": "sk_test_…4f2a",
		"sk_live_51H0123456789abcd4f2a": "sk_live_…4f2a",
		"whsec_0123456789abcdef":        "whsec_…cdef",
		"sk_test_short":                 "sk_test_…",
		"correct_horse_battery_staple":  "…aple",
		"0123456789abcdef":              "…cdef",
		"0123456789abcde":               "…",
		"":                              "…",
		"pässwörter-mit-umläuten":       "…",
	} {
		if got := auth.Hint(secret); got != want {
			t.Errorf("Hint(%q) = %q, want %q", secret, got, want)
		}
	}
}
