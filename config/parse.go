package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// masterKeyBytes is the length of a master key.
const masterKeyBytes = 32

func parseProfile(v string) (Profile, error) {
	switch p := Profile(v); p {
	case ProfileDev, ProfileProduction:
		return p, nil
	}
	return "", oneOf(v, string(ProfileDev), string(ProfileProduction))
}

func parseLogFormat(v string) (LogFormat, error) {
	switch f := LogFormat(v); f {
	case LogText, LogJSON:
		return f, nil
	}
	return "", oneOf(v, string(LogText), string(LogJSON))
}

func parseBool(v string) (bool, error) {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, oneOf(v, "true", "false")
	}
	return b, nil
}

func parseAddr(v string) (string, error) {
	host, port, err := net.SplitHostPort(v)
	if err != nil {
		return "", fmt.Errorf("%q is not host:port, such as 127.0.0.1:8080", v)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", fmt.Errorf("the port in %q is not a number up to 65535", v)
	}
	if strings.ContainsAny(host, "/@ \t") {
		return "", fmt.Errorf("the host in %q is not a name or an IP address", v)
	}
	return v, nil
}

// parseOrigin reads scheme://host[:port], the form in which browsers name the
// page that a request comes from. The result is written as they write it.
// Messages do not repeat the value: somebody may have put a password in it.
func parseOrigin(v string) (string, error) {
	u, err := url.Parse(v)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("it must begin with http:// or https:// and name a host")
	case u.User != nil:
		return "", errors.New("it must not hold a user or a password")
	case u.Path != "", u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.HasSuffix(v, "#"):
		return "", errors.New("it must end after the host and port")
	case u.Hostname() == "", strings.ContainsAny(u.Hostname(), "* ,"):
		return "", errors.New("it must name one host")
	}
	port := u.Port()
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", errors.New("its port must be a number up to 65535")
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return "", errors.New("its port is missing")
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host, nil
}

func parseBaseURL(v string) (string, error) {
	return parseOrigin(strings.TrimSuffix(v, "/"))
}

func parseOrigins(v string) ([]string, error) {
	var origins []string
	for i, part := range strings.Split(v, ",") {
		origin, err := parseOrigin(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("origin %d: %w", i+1, err)
		}
		if !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins, nil
}

// parseSecureOrigins is parseOrigins for addresses that must be https.
func parseSecureOrigins(v string) ([]string, error) {
	origins, err := parseOrigins(v)
	for i, origin := range origins {
		if !strings.HasPrefix(origin, "https://") {
			return nil, fmt.Errorf("address %d: it must begin with https://", i+1)
		}
	}
	return origins, err
}

func checkDatabaseURL(v string) error {
	if !strings.HasPrefix(v, "postgres://") && !strings.HasPrefix(v, "postgresql://") {
		return errors.New("it must begin with postgres://; leave it empty for SQLite")
	}
	if _, err := url.Parse(v); err != nil {
		// The parser's message repeats the URL with its password.
		return errors.New("it is malformed: special characters in user name, password and database name are written as %XX")
	}
	return nil
}

// showDatabaseURL leaves out the password, and the query, which may carry one
// as well.
func showDatabaseURL(v string) string {
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil {
		return masked
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += url.User(u.User.Username()).String()
		if _, ok := u.User.Password(); ok {
			shown += ":" + masked
		}
		shown += "@"
	}
	shown += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		shown += "?" + masked
	}
	return shown
}

func parseMasterKeys(v string) ([][]byte, error) {
	var keys [][]byte
	for i, part := range strings.Split(v, ",") {
		key, err := parseMasterKey(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		for _, known := range keys {
			if slices.Equal(known, key) {
				return nil, fmt.Errorf("key %d: it is there twice", i+1)
			}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// parseMasterKey reads hex, or base64 of either alphabet with or without
// padding. 32 bytes have 64 digits in the one and 43 or 44 in the other, so
// they cannot be mistaken for each other.
func parseMasterKey(v string) ([]byte, error) {
	decode := base64.RawStdEncoding.Strict().DecodeString
	switch {
	case len(v) == hex.EncodedLen(masterKeyBytes):
		decode = hex.DecodeString
	case strings.ContainsAny(v, "-_"):
		decode = base64.RawURLEncoding.Strict().DecodeString
	}
	key, err := decode(strings.TrimSuffix(v, "="))
	if err != nil || len(key) != masterKeyBytes {
		return nil, fmt.Errorf("it must be %d bytes in base64 or hex", masterKeyBytes)
	}
	return key, nil
}

var tokenForm = regexp.MustCompile(`^pur_([a-z0-9-]{2,32})_[A-Za-z0-9-]{1,64}_[!-~]{32,256}$`)

func checkToken(v string, operator bool) error {
	slug := "demo"
	if operator {
		slug = "system"
	}
	if m := tokenForm.FindStringSubmatch(v); m == nil || m[1] != slug {
		return fmt.Errorf("it must have the form pur_%s_<id>_<secret of at least 32 characters>", slug)
	}
	return nil
}

const rateMax = 1_000_000

func parseRate(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > rateMax {
		return 0, fmt.Errorf("%.20q is no whole number from 1 to %d", v, rateMax)
	}
	return n, nil
}

// checkSMTPURL checks the form of a mail server's address. The error does not
// repeat it: there may be a password in it.
func checkSMTPURL(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("it must have the form smtp://user:password@host:port or smtps://…")
	}
	return nil
}

func checkMailAddress(v string) error {
	if a, err := mail.ParseAddress(v); err != nil || a.Address != v {
		return fmt.Errorf("%q is not an e-mail address", v)
	}
	return nil
}
