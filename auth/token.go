package auth

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Kind tells access tokens from payer sessions.
type Kind string

// The kinds of credentials, by the prefix that they are written with.
const (
	KindToken   Kind = "pur"
	KindSession Kind = "pus"
)

// The reserved short ids. The operator's token carries SlugOperator; webhook
// addresses of global providers carry SlugGlobal. No organization has either.
const (
	SlugOperator = "system"
	SlugGlobal   = "global"
)

const (
	secretBytesMin = 32
	secretBytesMax = 256
	idBytesMax     = 64
	tokenIDPrefix  = "tok_"
)

// Token is a credential in its parts: `pur_<slug>_<id>_<secret>` for an access
// token, `pus_…` for a payer session. Only the secret may contain `_`.
// Printing and logging it leave the secret out.
type Token struct {
	Kind Kind
	// Slug is the organization's short id, or SlugOperator.
	Slug string
	// ID is the credential's id without its prefix.
	ID string
	// Secret is at least 32 visible ASCII characters.
	Secret Secret
}

// ParseToken takes an access token apart. It looks at the form only; the error
// says what is wrong with it without repeating it.
func ParseToken(value string) (Token, error) { return parse(value, KindToken) }

// ParseSession takes the token of a payer session apart, as ParseToken does.
func ParseSession(value string) (Token, error) {
	t, err := parse(value, KindSession)
	if err == nil && t.IsOperator() {
		return Token{}, fmt.Errorf("read session token: the operator has no payer sessions")
	}
	return t, err
}

func parse(value string, kind Kind) (Token, error) {
	prefix, rest, _ := strings.Cut(value, "_")
	if Kind(prefix) != kind {
		return Token{}, fmt.Errorf("read token: it must begin with %s_", kind)
	}
	slug, rest, _ := strings.Cut(rest, "_")
	id, secret, _ := strings.Cut(rest, "_")
	t := Token{Kind: kind, Slug: slug, ID: id, Secret: Secret(secret)}
	if err := t.valid(); err != nil {
		return Token{}, fmt.Errorf("read token: %w", err)
	}
	return t, nil
}

// NewToken makes an access token with a fresh secret. The id may carry its
// `tok_`; the operator's slug is SlugOperator.
func NewToken(slug, id string, random io.Reader) (Token, error) {
	return mint(KindToken, slug, strings.TrimPrefix(id, tokenIDPrefix), random)
}

// NewSession makes the token of a payer session with a fresh secret. The id is
// the session's without its prefix.
func NewSession(slug, id string, random io.Reader) (Token, error) {
	return mint(KindSession, slug, id, random)
}

func mint(kind Kind, slug, id string, random io.Reader) (Token, error) {
	secret, err := NewSecret(random)
	if err != nil {
		return Token{}, err
	}
	t := Token{Kind: kind, Slug: slug, ID: id, Secret: secret}
	if err := t.valid(); err != nil {
		return Token{}, fmt.Errorf("make token: %w", err)
	}
	return t, nil
}

func (t Token) valid() error {
	if t.Slug != SlugOperator {
		if err := ValidSlug(t.Slug); err != nil {
			return err
		}
	}
	if t.ID == "" || len(t.ID) > idBytesMax || strings.ContainsFunc(t.ID, notInID) {
		return fmt.Errorf("the id in it must be 1 to %d letters, digits or hyphens", idBytesMax)
	}
	secret := t.Secret.Reveal()
	if len(secret) < secretBytesMin || len(secret) > secretBytesMax {
		return fmt.Errorf("its secret must have %d to %d characters", secretBytesMin, secretBytesMax)
	}
	if strings.ContainsFunc(secret, notVisible) {
		return fmt.Errorf("its secret must be visible ASCII characters without blanks")
	}
	return nil
}

// ValidSlug checks an organization's short id: 2 to 32 small letters, digits
// and hyphens, and not reserved.
func ValidSlug(slug string) error {
	if len(slug) < 2 || len(slug) > 32 || strings.ContainsFunc(slug, notInSlug) {
		return fmt.Errorf("a short id has 2 to 32 small letters, digits or hyphens")
	}
	if slug == SlugOperator || slug == SlugGlobal {
		return fmt.Errorf("the short id %q is reserved", slug)
	}
	return nil
}

func notInSlug(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

func notInID(r rune) bool { return notInSlug(r) && (r < 'A' || r > 'Z') }

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// IsOperator reports whether the token is the operator's.
func (t Token) IsOperator() bool { return t.Slug == SlugOperator }

// TokenID returns the id of an access token as it is stored, `tok_…`.
func (t Token) TokenID() string { return tokenIDPrefix + t.ID }

// Reveal returns the whole token, secret included: what the caller is shown
// once.
func (t Token) Reveal() string { return t.public() + t.Secret.Reveal() }

// Hint returns what may be shown ever after: all but the secret, of which only
// the last four characters remain.
func (t Token) Hint() string { return t.public() + tail(t.Secret.Reveal()) }

// String returns the token with the secret masked.
func (t Token) String() string { return t.public() + masked }

// LogValue returns the token with the secret masked.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

func (t Token) public() string { return string(t.Kind) + "_" + t.Slug + "_" + t.ID + "_" }
