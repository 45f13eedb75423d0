// Package config reads the program's settings from the environment and from
// flags of the same names, checks them, and describes them: one table feeds
// the parser, the help text and the reference in docs/config.md.
//
// It opens nothing and starts nothing, with one exception: MasterKeyFile keeps
// the key that a development server makes for itself.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"sort"
	"strings"
)

// Profile is the purpose that the program runs for.
type Profile string

// The profiles.
const (
	// ProfileDev is for trying out and developing: demo data, sandbox, a
	// master key of its own.
	ProfileDev Profile = "dev"
	// ProfileProduction makes no demo data and prints no secret, leaves the
	// sandbox off, and wants its master key given.
	ProfileProduction Profile = "production"
)

// LogFormat is how log lines are written.
type LogFormat string

// The formats of log lines.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Config is all that can be set. Printing, formatting and logging a Config
// masks what is secret in it; its single fields are as they are.
type Config struct {
	// Addr is where the server listens, host:port. An empty host means all
	// interfaces, port 0 any free one.
	// Defaults to 127.0.0.1:8080.
	Addr string

	// AllowedOrigins are the web pages that may call the API from a browser,
	// each as scheme://host[:port]. The server's own pages need no entry.
	// Defaults to none.
	AllowedOrigins []string

	// BootstrapToken sets the value of the demo organization's first token,
	// `pur_demo_<id>_<secret of at least 32 characters>`.
	// Defaults to empty: the token is made at the first start.
	BootstrapToken string

	// Data is the folder that the program keeps its files in.
	// Defaults to ./data.
	Data string

	// DatabaseSpread says that the PostgreSQL database is spread over machines
	// by organization, as Citus does it: usage is then booked organization by
	// organization.
	// Defaults to false.
	DatabaseSpread bool

	// DatabaseURL names a PostgreSQL database, postgres://….
	// Defaults to empty: SQLite in the data folder.
	DatabaseURL string

	// GatewayAddresses are addresses, https://host[:port], that providers may
	// name as their gateway's beside the gateways' own.
	// Defaults to none.
	GatewayAddresses []string

	// LogFormat is how log lines are written.
	// Defaults to text in dev, json in production.
	LogFormat LogFormat

	// MailFrom is the address that mails come from where an organization has no
	// senderEmail, and that what cannot be delivered comes back to.
	// Defaults to empty: no-reply@localhost, which only the folder takes.
	MailFrom string

	// MasterKeys seal the secrets of providers, 32 bytes each. The first
	// seals, the others open what was sealed before the keys were changed.
	// Defaults to none: dev makes one and keeps it in the data folder,
	// production does not start.
	MasterKeys [][]byte

	// Profile is the purpose that the program runs for.
	// Defaults to dev.
	Profile Profile

	// PublicURL is the server's address as browsers and gateways reach it,
	// without a slash at the end.
	// Defaults to empty: the address that the server listens on, over http.
	PublicURL string

	// Rate is how many points a second each credential may spend
	// (docs/limits.md); twenty seconds' worth may be spent at once.
	// Defaults to 50.
	Rate int

	// Sandbox says whether organizations of the environment SANDBOX are
	// served, by the built-in sandbox where SandboxURL is empty.
	// Defaults to true in dev, false in production.
	Sandbox bool

	// SandboxURL is the address of a sandbox that runs elsewhere, without a
	// slash at the end.
	// Defaults to empty: the built-in one.
	SandboxURL string

	// SMTPURL is the mail server, smtp:// or smtps://.
	// Defaults to empty: mails are kept as files in the data folder.
	SMTPURL string

	// SystemToken is the operator's token, `pur_system_<id>_<secret of at
	// least 32 characters>`.
	// Defaults to empty: there is no operator.
	SystemToken string

	// WebhookAddresses are addresses, scheme://host[:port], of the operator's
	// own network to which organizations may have events sent.
	// Defaults to none.
	WebhookAddresses []string
}

// Default returns the settings of the dev profile.
func Default() Config {
	return Config{
		Addr:      "127.0.0.1:8080",
		Data:      "./data",
		LogFormat: LogText,
		Profile:   ProfileDev,
		Rate:      50,
		Sandbox:   true,
	}
}

// forProfile puts the profile's own defaults in place.
func (c *Config) forProfile(p Profile) {
	c.Profile = p
	if p == ProfileProduction {
		c.LogFormat = LogJSON
		c.Sandbox = false
	}
}

// Production reports whether the profile is production.
func (c Config) Production() bool { return c.Profile == ProfileProduction }

// Load reads the settings from flags and from the environment, given as
// os.Environ returns it; a flag wins over a variable, and an empty value
// stands for the default. The error names everything that is wrong at once and repeats
// no secret. It is flag.ErrHelp, wrapped, where help was asked for.
func Load(args, environ []string) (Config, error) {
	flags := flag.NewFlagSet("purser", flag.ContinueOnError)
	c, err := Parse(flags, args, environ)
	if err != nil {
		return Config{}, err
	}
	if flags.NArg() > 0 {
		return Config{}, fmt.Errorf("read settings: unexpected argument %q", flags.Arg(0))
	}
	return c, nil
}

// Parse is Load for a command with flags and arguments of its own: it adds the
// settings to the flags, parses the arguments, and leaves what follows the
// flags in flags.Args().
func Parse(flags *flag.FlagSet, args, environ []string) (Config, error) {
	table := settings()
	fromFlags := map[string]string{}
	for _, s := range table {
		// The flag only takes the text down. Were it checked here, package
		// flag would repeat a refused value in its message, secret or not.
		take := func(value string) error {
			fromFlags[s.env] = value
			return nil
		}
		if s.boolean {
			flags.BoolFunc(s.flag(), s.summary, take)
		} else {
			flags.Func(s.flag(), s.summary, take)
		}
	}
	// The caller decides what is printed, and where.
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		return Config{}, fmt.Errorf("read flags: %w", err)
	}

	values, err := variables(table, environ)
	problems := []error{err}
	for name, value := range fromFlags {
		values[name] = value
	}

	c := Default()
	if profile, err := parseProfile(values[envProfile]); err == nil {
		c.forProfile(profile)
	}
	for _, s := range table {
		value := values[s.env]
		if value == "" {
			continue
		}
		if err := s.set(&c, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.name(), err))
		}
	}
	// What depends on several settings is checked where each is sound.
	if errors.Join(problems...) == nil {
		problems = append(problems, c.check())
	}
	if err := errors.Join(problems...); err != nil {
		return Config{}, fmt.Errorf("read settings: %w", err)
	}
	return c, nil
}

func (c Config) check() error {
	var problems []error
	if c.SandboxURL != "" && !c.Sandbox {
		problems = append(problems, fmt.Errorf("%s is set, but %s is false", envSandboxURL, envSandbox))
	}
	if c.SMTPURL != "" && c.MailFrom == "" {
		problems = append(problems, fmt.Errorf("%s is set, but %s is not: a mail server needs to know who sends", envSMTPURL, envMailFrom))
	}
	return errors.Join(problems...)
}

const (
	prefix     = "PURSER_"
	prefixTest = "PURSER_TEST_"
)

// variables picks the settings out of the environment. Variables with our
// prefix that no setting has are an error: a misspelt one would otherwise be
// a default that nobody notices.
func variables(table []setting, environ []string) (map[string]string, error) {
	known := map[string]bool{}
	for _, s := range table {
		known[s.env] = true
	}
	values := map[string]string{}
	var unknown []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case known[name]:
			values[name] = value
		case strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, prefixTest):
			unknown = append(unknown, name)
		}
	}
	sort.Strings(unknown)
	var problems []error
	for _, name := range unknown {
		if near := nearest(name, table); near != "" {
			problems = append(problems, fmt.Errorf("%s is not a setting; did you mean %s?", name, near))
		} else {
			problems = append(problems, fmt.Errorf("%s is not a setting; `purser --help` lists them", name))
		}
	}
	return values, errors.Join(problems...)
}

// nearest returns the setting whose name differs from the given one in at
// most three letters, or "".
func nearest(name string, table []setting) string {
	best, distance := "", 4
	for _, s := range table {
		if d := edits(name, s.env); d < distance {
			best, distance = s.env, d
		}
	}
	return best
}

// edits counts the letters to insert, delete or replace between two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
