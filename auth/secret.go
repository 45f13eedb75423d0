package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/big"
	"strings"
)

// Secret is text that must not be seen: the secret of a token, the key of a
// provider. Printing, formatting, logging and encoding it give "***"; only
// Reveal gives the text. Keep it in exported fields, where fmt can call its
// methods, and never use it as the key of a map, which json writes as it is.
type Secret string

const masked = "***"

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns three asterisks.
func (s Secret) String() string { return masked }

// GoString returns three asterisks.
func (s Secret) GoString() string { return masked }

// Format writes three asterisks, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// MarshalJSON returns three asterisks.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// MarshalText returns three asterisks.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue returns three asterisks.
func (s Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// The shape of the secrets that NewSecret makes.
const (
	secretRandomBytes    = 32
	secretRandomDigits   = 43 // 62^43 > 2^256
	secretChecksumDigits = 6  // 62^6 > 2^32
	secretDigits         = secretRandomDigits + secretChecksumDigits
)

// NewSecret returns 256 random bits as 43 letters and digits, followed by a
// checksum of six more. By the checksum a scanner tells a leaked secret from
// text that only looks like one, and a person learns of a typing error.
// It reads 32 bytes of random, whose error is the only one.
func NewSecret(random io.Reader) (Secret, error) {
	var raw [secretRandomBytes]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("read randomness for a secret: %w", err)
	}
	digits := base62(new(big.Int).SetBytes(raw[:]), secretRandomDigits)
	return Secret(digits + checksum(digits)), nil
}

func checksum(digits string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(digits)))), secretChecksumDigits)
}

// base62 writes n with leading zeros, in the digit order of math/big.
func base62(n *big.Int, digits int) string {
	text := n.Text(62)
	return strings.Repeat("0", digits-len(text)) + text
}

// Digest returns the SHA-256 of a secret, which is what is stored. Nothing
// slower is needed: the secrets are too long to be guessed.
func Digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Equal reports whether two digests are the same, in a time that depends only
// on their length.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
