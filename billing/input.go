package billing

import (
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"purser/ent/organization"
	"purser/ent/schema"
)

// Bounds of what people write, in characters.
const (
	nameMax        = 200
	descriptionMax = 1000
	emailMax       = 254
	externalIDMax  = 200
	taxIDMax       = 64
	addressPartMax = 200
	addressesMax   = 20
)

// label checks a required text of one line and returns it without blanks
// around it.
func label(s, field, what string, limit int) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", refuse(CodeRequired, field, "%s must not be empty", what)
	}
	return s, checkText(s, field, what, limit, false)
}

// optionalLabel checks a text that may be left out; empty becomes nil.
func optionalLabel(s *string, field, what string, limit int) (*string, error) {
	return optionalText(s, field, what, limit, false)
}

// optionalNote is optionalLabel for a text of several lines.
func optionalNote(s *string, field, what string) (*string, error) {
	return optionalText(s, field, what, descriptionMax, true)
}

func optionalText(s *string, field, what string, limit int, lines bool) (*string, error) {
	if s == nil {
		return nil, nil
	}
	t := strings.TrimSpace(*s)
	if t == "" {
		return nil, nil
	}
	return &t, checkText(t, field, what, limit, lines)
}

// checkText bounds a text and refuses what must not be stored: control
// characters, which forge log lines and documents, and card numbers, which
// people paste into any field there is.
func checkText(s, field, what string, limit int, lines bool) error {
	if !utf8.ValidString(s) {
		return refuse(CodeInvalid, field, "%s is not valid UTF-8", what)
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return refuse(CodeInvalid, field, "%s has %d characters, at most %d are allowed", what, n, limit)
	}
	for _, r := range s {
		if unicode.IsControl(r) && (!lines || r != '\n') {
			return refuse(CodeInvalid, field, "%s has a control character", what)
		}
	}
	if hasCardNumber(s) {
		return refuse(CodeInvalid, field, "%s looks like a card number, which must never be stored here", what)
	}
	return nil
}

// storable reports whether every database takes the text.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// Lengths of card numbers.
const (
	cardDigitsMin = 13
	cardDigitsMax = 19
)

// hasCardNumber reports whether the text has 13 to 19 digits in a row, single
// blanks and hyphens between them allowed, that pass the check of card
// numbers.
func hasCardNumber(s string) bool {
	var digits []byte
	separated := false
	for i := 0; i <= len(s); i++ {
		switch {
		case i < len(s) && s[i] >= '0' && s[i] <= '9':
			digits, separated = append(digits, s[i]-'0'), false
			continue
		case i < len(s) && len(digits) > 0 && !separated && (s[i] == ' ' || s[i] == '-'):
			separated = true
			continue
		}
		if n := len(digits); n >= cardDigitsMin && n <= cardDigitsMax && luhn(digits) {
			return true
		}
		digits, separated = digits[:0], false
	}
	return false
}

func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		n := int(d)
		if (len(digits)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	// Zeros in a row pass as well and are no card.
	return sum > 0 && sum%10 == 0
}

// checkEmail checks the form of an address and returns it without blanks
// around it.
func checkEmail(s, field string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", refuse(CodeRequired, field, "an e-mail address is needed")
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > emailMax || strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsAny(s, " \"") {
		return "", refuse(CodeInvalid, field, "%.80q is not an e-mail address", s)
	}
	return s, nil
}

// SameEmail returns the one form of all spellings of an address that name the
// same developer. Some mail server may tell letters by their case; two
// balances of one person who once typed a capital are the greater harm.
func SameEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// optionalEmail checks an address that may be left out; empty becomes nil.
func optionalEmail(s *string, field string) (*string, error) {
	if s == nil || strings.TrimSpace(*s) == "" {
		return nil, nil
	}
	e, err := checkEmail(*s, field)
	return &e, err
}

var countryPattern = regexp.MustCompile(`^[A-Z]{2}$`)

// optionalCountry checks an ISO 3166-1 alpha-2 code; empty becomes nil.
func optionalCountry(s *string, field string) (*string, error) {
	if s == nil || *s == "" {
		return nil, nil
	}
	if !countryPattern.MatchString(*s) {
		return nil, refuse(CodeInvalid, field, "a country is written as two capital letters, such as DE")
	}
	return s, nil
}

// checkAddress checks a postal address; nil and an empty one become nil.
func checkAddress(a *schema.Address, field string) (*schema.Address, error) {
	if a == nil {
		return nil, nil
	}
	out := *a
	for _, part := range []struct {
		text *string
		name string
	}{
		{&out.Line1, "line1"},
		{&out.Line2, "line2"},
		{&out.City, "city"},
		{&out.Region, "region"},
		{&out.PostalCode, "postalCode"},
	} {
		t, err := optionalLabel(part.text, field+"."+part.name, "the address", addressPartMax)
		if err != nil {
			return nil, err
		}
		*part.text = orEmpty(t)
	}
	if _, err := optionalCountry(&out.Country, field+".country"); err != nil {
		return nil, err
	}
	if (out == schema.Address{IsPrimary: out.IsPrimary}) {
		return nil, nil
	}
	return &out, nil
}

// checkMetadata holds the caller's own keys to the bounds of all texts.
func checkMetadata(m map[string]string, field string) error {
	for k, v := range m {
		if err := checkText(k, field, "a key", nameMax, false); err != nil {
			return err
		}
		if err := checkText(v, field, "a value", descriptionMax, true); err != nil {
			return err
		}
	}
	return nil
}

// checkURL checks an absolute address that browsers may be sent to: https,
// and this machine in SANDBOX, where people try things out.
func checkURL(s, field string, env organization.Environment) error {
	if _, err := returnOrigin(s, env == organization.EnvironmentSANDBOX); err != nil {
		return refuse(CodeInvalid, field, "%v", err)
	}
	return nil
}

// checkOrigin checks scheme, host and port of an address with nothing after
// them, and returns them in the one form in which origins are compared.
func checkOrigin(s, field string, env organization.Environment) (string, error) {
	if err := checkURL(s, field, env); err != nil {
		return "", err
	}
	u, err := url.Parse(s)
	if err != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#") {
		return "", refuse(CodeInvalid, field, "an origin is written like https://portal.example.com, with nothing after it")
	}
	origin := u.Scheme + "://" + strings.ToLower(u.Host)
	if u.Scheme == "https" {
		origin = strings.TrimSuffix(origin, ":443")
	}
	return origin, nil
}

// checkZone checks a time zone's name.
func checkZone(s, field string) error {
	// "Local" would be this machine's zone, and differ from server to server.
	if _, err := time.LoadLocation(s); err != nil || s == "" || s == "Local" {
		return refuse(CodeInvalid, field, "%.64q is not a time zone: use an IANA name such as Europe/Berlin", s)
	}
	return nil
}

// isLoopback reports whether the host is this machine itself.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// setOrClear gives an optional column its new value, or none. Clearing first
// and setting then would be two assignments in one statement.
func setOrClear[T, U any](v *T, set func(T) U, clear func() U) {
	if v != nil {
		set(*v)
	} else {
		clear()
	}
}
