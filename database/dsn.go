package database

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
	"modernc.org/sqlite"
)

// sqliteConnector connects to the database file at the absolute path.
func sqliteConnector(path string, writes bool, observe Observer) (*connector, error) {
	base, err := sqlite.NewConnector(sqliteDSN(path, writes))
	if err != nil {
		return nil, err
	}
	return &connector{Connector: base, observe: observe}, nil
}

// sqliteDSN returns the driver's name for the file at the absolute path. The
// settings are the ones under which concurrent money transactions neither fail
// as busy nor lose a commit at a power cut; each belongs to a connection, not
// to the file, and so is repeated for every one.
func sqliteDSN(path string, writes bool) string {
	settings := []string{
		"_pragma=busy_timeout(10000)", // milliseconds; another process may be writing
		"_pragma=foreign_keys(1)",
		"_pragma=journal_mode(WAL)",
		"_pragma=synchronous(FULL)",
		"_time_format=sqlite", // sorts as text
		"_timezone=UTC",
		"_dqs=0", // "x" is a column, never a string by accident
	}
	if writes {
		// A transaction that reads first and takes the write lock later fails
		// as busy when another was faster, whatever the timeout.
		settings = append(settings, "_txlock=immediate")
	} else {
		settings = append(settings, "_pragma=query_only(1)")
	}
	escaped := (&url.URL{Path: path}).EscapedPath()
	return "file:" + escaped + "?" + strings.Join(settings, "&")
}

// sessionDefaults are the settings of a PostgreSQL session, unless the URL
// names others.
func sessionDefaults() map[string]string {
	return map[string]string{
		"statement_timeout":                   "30s",
		"lock_timeout":                        "5s",
		"idle_in_transaction_session_timeout": "60s",
		// A server that answers before the commit is on disk would lose
		// acknowledged money.
		"synchronous_commit": "on",
		// Compiling takes longer than the short statements it would speed up.
		"jit":      "off",
		"timezone": "UTC",
	}
}

// connectTimeout bounds the opening of one connection, handshake included.
const connectTimeout = 10 * time.Second

// postgresConnector connects to the server named by a postgres:// URL.
func postgresConnector(rawURL string, observe Observer) (*connector, error) {
	config, err := postgresConfig(rawURL)
	if err != nil {
		return nil, err
	}
	base, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	base.Dialer(&wireDialer{})
	return &connector{Connector: base, observe: observe, countsBytes: true}, nil
}

func postgresConfig(rawURL string) (pq.Config, error) {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		// The parser's message repeats the URL with its password.
		return pq.Config{}, errors.New("the PostgreSQL URL is malformed: special characters in user name, password and database name are written as %XX")
	}
	given := parsed.Query()
	if !given.Has("sslmode") && os.Getenv("PGSSLMODE") == "" {
		// The driver's own default refuses a server without TLS, which every
		// freshly installed one is.
		given.Set("sslmode", string(pq.SSLModePrefer))
		parsed.RawQuery = given.Encode()
	}
	config, err := pq.NewConfig(parsed.String())
	if err != nil {
		return pq.Config{}, fmt.Errorf("read the PostgreSQL URL: %w", withoutSecrets(err, parsed))
	}
	if config.BinaryParameters {
		return pq.Config{}, errors.New("binary_parameters=yes cannot be used: the driver then writes JSON columns that PostgreSQL refuses; leave it out of the PostgreSQL URL")
	}
	if config.ApplicationName == "" {
		config.ApplicationName = "purser"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.Runtime == nil {
		config.Runtime = make(map[string]string)
	}
	for name, value := range sessionDefaults() {
		// A setting in options=-c… is applied before the ones given here and
		// would lose against them.
		if !hasSetting(config.Runtime, name) && !strings.Contains(config.Options, name) {
			config.Runtime[name] = value
		}
	}
	return config, nil
}

func hasSetting(settings map[string]string, name string) bool {
	for given := range settings {
		if strings.EqualFold(given, name) {
			return true
		}
	}
	return false
}

// withoutSecrets keeps the driver's explanation unless it repeats the password.
func withoutSecrets(err error, parsed *url.URL) error {
	password, _ := parsed.User.Password()
	if password == "" {
		password = parsed.Query().Get("password")
	}
	if password != "" && strings.Contains(err.Error(), password) {
		return errors.New("a parameter is wrong")
	}
	return err
}
