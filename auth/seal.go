package auth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MasterKeyBytes is the length of a master key.
const MasterKeyBytes = 32

// The errors of Open.
var (
	// ErrUnknownKey: sealed with a master key that this program was not given.
	ErrUnknownKey = errors.New("it is sealed with an unknown master key")
	// ErrUnsealable: damaged, or sealed for another place.
	ErrUnsealable = errors.New("it is damaged or was sealed for another place")
)

// A sealed secret is: version, key id, nonce, ciphertext with its tag. The key
// id is not secret; it is a digest of the key.
const (
	sealVersion    = 1
	sealKeyIDBytes = 4
	sealHeadBytes  = 1 + sealKeyIDBytes
)

// Place is where a sealed secret stands. A secret that was copied to another
// row or column cannot be opened there.
type Place struct {
	// OrganizationID is empty for what belongs to the installation.
	OrganizationID string
	// EntityID and Column are always set.
	EntityID string
	Column   string
}

// Sealer encrypts secrets for storage with AES-256-GCM. It may be used by many
// goroutines.
type Sealer struct {
	// keys[0] seals; all of them open.
	keys []sealKey
}

type sealKey struct {
	id   [sealKeyIDBytes]byte
	aead cipher.AEAD
}

// NewSealer returns a Sealer. The first master key seals, the others only open
// what was sealed before the keys were changed. Each has MasterKeyBytes bytes.
func NewSealer(masterKeys ...[]byte) (*Sealer, error) {
	if len(masterKeys) == 0 {
		return nil, errors.New("a sealer needs a master key")
	}
	s := &Sealer{}
	for _, master := range masterKeys {
		key, err := newSealKey(master)
		if err != nil {
			return nil, err
		}
		for _, known := range s.keys {
			if known.id == key.id {
				return nil, errors.New("two master keys are the same")
			}
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

func newSealKey(master []byte) (sealKey, error) {
	derived, err := DeriveKey(master, "seal")
	if err != nil {
		return sealKey{}, err
	}
	name, err := DeriveKey(master, "seal key id")
	if err != nil {
		return sealKey{}, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return sealKey{}, fmt.Errorf("prepare cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealKey{}, fmt.Errorf("prepare cipher: %w", err)
	}
	return sealKey{id: [sealKeyIDBytes]byte(name[:sealKeyIDBytes]), aead: aead}, nil
}

// DeriveKey returns 32 bytes that depend on the master key and the purpose and
// tell nothing about keys for other purposes. It is for everything that signs
// or encrypts and has no key of its own.
func DeriveKey(master []byte, purpose string) ([]byte, error) {
	if len(master) != MasterKeyBytes {
		return nil, fmt.Errorf("a master key has %d bytes, not %d", MasterKeyBytes, len(master))
	}
	key, err := hkdf.Key(sha256.New, master, nil, "purser/"+purpose, MasterKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive key for %s: %w", purpose, err)
	}
	return key, nil
}

// Seal encrypts a secret for the place. Sealing the same twice gives different
// bytes. The error says that the place is incomplete.
func (s *Sealer) Seal(secret Secret, at Place) ([]byte, error) {
	if err := at.valid(); err != nil {
		return nil, err
	}
	key := s.keys[0]
	head := append([]byte{sealVersion}, key.id[:]...)
	return key.aead.Seal(head, nil, []byte(secret.Reveal()), at.associated(head)), nil
}

// Open decrypts what was sealed for the same place. Errors are ErrUnknownKey
// and ErrUnsealable, wrapped.
func (s *Sealer) Open(sealed []byte, at Place) (Secret, error) {
	if err := at.valid(); err != nil {
		return "", err
	}
	if len(sealed) < sealHeadBytes || sealed[0] != sealVersion {
		return "", fmt.Errorf("open %s of %s: %w", at.Column, at.EntityID, ErrUnsealable)
	}
	head, body := sealed[:sealHeadBytes], sealed[sealHeadBytes:]
	for _, key := range s.keys {
		if !bytes.Equal(key.id[:], head[1:]) {
			continue
		}
		plain, err := key.aead.Open(nil, nil, body, at.associated(head))
		if err != nil {
			return "", fmt.Errorf("open %s of %s: %w", at.Column, at.EntityID, ErrUnsealable)
		}
		return Secret(plain), nil
	}
	return "", fmt.Errorf("open %s of %s: %w", at.Column, at.EntityID, ErrUnknownKey)
}

// Knows reports whether the secret was sealed with one of the keys.
func (s *Sealer) Knows(sealed []byte) bool {
	return len(sealed) >= sealHeadBytes && slices.ContainsFunc(s.keys, func(key sealKey) bool {
		return bytes.Equal(key.id[:], sealed[1:sealHeadBytes])
	})
}

// IsCurrent reports whether the secret was sealed with the first key.
func (s *Sealer) IsCurrent(sealed []byte) bool {
	return len(sealed) >= sealHeadBytes && bytes.Equal(s.keys[0].id[:], sealed[1:sealHeadBytes])
}

func (p Place) valid() error {
	if p.EntityID == "" || p.Column == "" {
		return errors.New("a sealed secret needs the entity and the column it stands in")
	}
	return nil
}

// associated returns the place as bytes that no other place has: every part
// with its length before it.
func (p Place) associated(head []byte) []byte {
	data := bytes.Clone(head)
	for _, part := range []string{p.OrganizationID, p.EntityID, p.Column} {
		data = binary.AppendUvarint(data, uint64(len(part)))
		data = append(data, part...)
	}
	return data
}

// Hint returns what may be shown of a stored secret: a prefix that gateways
// give their keys, and the last four characters, as in "sk_test_…4f2a". Of a
// secret that is too short to lose four characters nothing is shown.
func Hint(secret string) string {
	for _, prefix := range []string{
		"sk_test_", "sk_live_", "rk_test_", "rk_live_", "pk_test_", "pk_live_", "whsec_",
	} {
		if rest, ok := strings.CutPrefix(secret, prefix); ok {
			return prefix + tail(rest)
		}
	}
	return tail(secret)
}

// hintBytesMin is the least length at which four characters are given away.
const hintBytesMin = 16

func tail(secret string) string {
	if len(secret) < hintBytesMin || strings.ContainsFunc(secret, notVisible) {
		return "…"
	}
	return "…" + secret[len(secret)-4:]
}
