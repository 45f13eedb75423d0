package config

import (
	"fmt"
	"strconv"
	"strings"
)

// The variables that messages and the order of reading refer to.
const (
	envProfile    = "PURSER_PROFILE"
	envMasterKey  = "PURSER_MASTER_KEY"
	envSandbox    = "PURSER_SANDBOX"
	envSandboxURL = "PURSER_SANDBOX_URL"
	envSMTPURL    = "PURSER_SMTP_URL"
	envMailFrom   = "PURSER_MAIL_FROM"
)

// setting is one line of the table: how a setting is called, read, shown and
// described.
type setting struct {
	env     string
	boolean bool
	// initial says the default, values what may be set, both in Markdown.
	initial, values string
	// summary is one clause for the help text, details are the sentences that
	// the reference adds.
	summary, details string
	// set reads the value. Its error repeats the value only where it cannot
	// be secret.
	set func(*Config, string) error
	// show returns the value for people, with what is secret masked, and ""
	// where nothing is set.
	show func(Config) string
}

// flag returns the name of the flag: PURSER_PUBLIC_URL is --public-url.
func (s setting) flag() string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.env, prefix)), "_", "-")
}

func (s setting) name() string { return s.env + " (--" + s.flag() + ")" }

const masked = "***"

func mask(value string) string {
	if value == "" {
		return ""
	}
	return masked
}

// settings returns the table, in the order of the reference.
func settings() []setting {
	return []setting{
		{
			env: envProfile, initial: "`dev`", values: "`dev`, `production`",
			summary: "purpose of this server",
			details: "`dev` makes a demo organization at the first start and prints how to reach it. `production` makes no demo data, prints no secret, leaves the sandbox off, writes its log as JSON, and does not start without `PURSER_MASTER_KEY`.",
			set:     func(c *Config, v string) (err error) { c.Profile, err = parseProfile(v); return err },
			show:    func(c Config) string { return string(c.Profile) },
		},
		{
			env: "PURSER_ADDR", initial: "`127.0.0.1:8080`", values: "`host:port`",
			summary: "address to listen on",
			details: "Without a host, as in `:8080`, the server listens on all interfaces. Port 0 takes any free port.",
			set:     func(c *Config, v string) (err error) { c.Addr, err = parseAddr(v); return err },
			show:    func(c Config) string { return c.Addr },
		},
		{
			env: "PURSER_PUBLIC_URL", initial: "the listening address, over http", values: "`http://…`, `https://…`",
			summary: "address under which browsers and gateways reach this server",
			details: "It stands in links to hosted pages and in the webhook addresses that gateways are given. It has no path.",
			set:     func(c *Config, v string) (err error) { c.PublicURL, err = parseBaseURL(v); return err },
			show:    func(c Config) string { return c.PublicURL },
		},
		{
			env: "PURSER_ALLOWED_ORIGINS", initial: "none", values: "origins, separated by commas",
			summary: "web pages of other hosts that may call the API",
			details: "Each is `scheme://host` or `scheme://host:port`, for instance `https://portal.example.com`. There is no `*`: a token in a browser is worth money. The server's own pages need no entry.",
			set:     func(c *Config, v string) (err error) { c.AllowedOrigins, err = parseOrigins(v); return err },
			show:    func(c Config) string { return strings.Join(c.AllowedOrigins, ",") },
		},
		{
			env: "PURSER_DATA", initial: "`./data`", values: "folder",
			summary: "folder for the files of this server",
			details: "It holds the SQLite database, the sandbox's own state, and the master key that `dev` makes. It is made when it is missing.",
			set:     func(c *Config, v string) error { c.Data = v; return nil },
			show:    func(c Config) string { return c.Data },
		},
		{
			env: "DATABASE_URL", initial: "SQLite in the data folder", values: "`postgres://…`",
			summary: "PostgreSQL database to use instead of SQLite",
			details: "The form is `postgres://user:password@host:port/database?sslmode=…`.",
			set:     func(c *Config, v string) error { c.DatabaseURL = v; return checkDatabaseURL(v) },
			show:    func(c Config) string { return showDatabaseURL(c.DatabaseURL) },
		},
		{
			env: "PURSER_DATABASE_SPREAD", boolean: true, initial: "`false`", values: "`true`, `false`",
			summary: "whether the PostgreSQL database is spread over machines by organization",
			details: "As Citus does it. Usage of many organizations is then booked organization by organization, so that no transaction spans machines; on one machine that is slower for no gain.",
			set:     func(c *Config, v string) (err error) { c.DatabaseSpread, err = parseBool(v); return err },
			show:    func(c Config) string { return strconv.FormatBool(c.DatabaseSpread) },
		},
		{
			env: envMasterKey, initial: "made and kept in the data folder (dev), required (production)", values: "32 bytes in base64 or hex",
			summary: "key that seals the secrets of providers",
			details: "`openssl rand -base64 32` makes one. Whoever loses it has to enter the secrets of all providers again. To change it, put the new key before the old one, separated by a comma: the first seals, all of them open.",
			set:     func(c *Config, v string) (err error) { c.MasterKeys, err = parseMasterKeys(v); return err },
			show:    func(c Config) string { return strings.Join(repeat(masked, len(c.MasterKeys)), ",") },
		},
		{
			env: "PURSER_BOOTSTRAP_TOKEN", initial: "made at the first start", values: "`pur_demo_<id>_<secret>`",
			summary: "token of the demo organization",
			details: "Sets the value of the demo organization's token, which has the scopes BILLING, ACCOUNT and ADMIN and may read and write. The secret has at least 32 characters. Without a demo organization, so in production, it has no effect.",
			set:     func(c *Config, v string) error { c.BootstrapToken = v; return checkToken(v, false) },
			show:    func(c Config) string { return mask(c.BootstrapToken) },
		},
		{
			env: "PURSER_SYSTEM_TOKEN", initial: "none: there is no operator", values: "`pur_system_<id>_<secret>`",
			summary: "token of the operator, who makes organizations",
			details: "It has the scope SYSTEM, which reaches organizations and global providers and no organization's data. The secret has at least 32 characters.",
			set:     func(c *Config, v string) error { c.SystemToken = v; return checkToken(v, true) },
			show:    func(c Config) string { return mask(c.SystemToken) },
		},
		{
			env: envSandbox, boolean: true, initial: "`true` (dev), `false` (production)", values: "`true`, `false`",
			summary: "whether organizations in SANDBOX are served",
			details: "They pay with test cards at a sandbox that speaks the gateways' own protocols; no money moves. The built-in one sends events to this server only (in `dev` to this machine, too), and shows the network its hosted pages alone in `production`.",
			set:     func(c *Config, v string) (err error) { c.Sandbox, err = parseBool(v); return err },
			show:    func(c Config) string { return strconv.FormatBool(c.Sandbox) },
		},
		{
			env: envSandboxURL, initial: "the built-in sandbox", values: "`http://…`, `https://…`",
			summary: "address of a sandbox that runs elsewhere",
			details: "For instance one that `purser sandbox` has started. It has no path, and needs `PURSER_SANDBOX` to be true.",
			set:     func(c *Config, v string) (err error) { c.SandboxURL, err = parseBaseURL(v); return err },
			show:    func(c Config) string { return c.SandboxURL },
		},
		{
			env: "PURSER_GATEWAY_ADDRESSES", initial: "none", values: "`https://…`, separated by commas",
			summary: "addresses of gateways that providers may name beside the gateways' own",
			details: "Each is `https://host` or `https://host:port`, for instance of a gateway's second data center. What a provider names is reached over https alone, redirects are not followed, and an address in a private network, on this machine or of a cloud's metadata is never dialled, whether it is listed here or not. The sandbox has a setting of its own.",
			set:     func(c *Config, v string) (err error) { c.GatewayAddresses, err = parseSecureOrigins(v); return err },
			show:    func(c Config) string { return strings.Join(c.GatewayAddresses, ",") },
		},
		{
			env: envSMTPURL, initial: "none: mails are kept as files", values: "`smtp://…`, `smtps://…`",
			summary: "mail server that takes the mails to payers",
			details: "The form is `smtp://user:password@host:port`. `smtp` insists on STARTTLS unless the server is on this machine, `smtps` encrypts from the start. Without it every mail becomes a readable file in the folder `mail` of the data folder, as the mails of organizations in SANDBOX always do. It needs `PURSER_MAIL_FROM`.",
			set:     func(c *Config, v string) error { c.SMTPURL = v; return checkSMTPURL(v) },
			show:    func(c Config) string { return showDatabaseURL(c.SMTPURL) },
		},
		{
			env: envMailFrom, initial: "none", values: "an e-mail address",
			summary: "address that mails come from",
			details: "It is the sender of organizations without a `senderEmail`, and where mails come back to that cannot be delivered. Other senders are named beside it in the header `Sender`.",
			set:     func(c *Config, v string) error { c.MailFrom = v; return checkMailAddress(v) },
			show:    func(c Config) string { return c.MailFrom },
		},
		{
			env: "PURSER_WEBHOOK_ADDRESSES", initial: "none", values: "addresses, separated by commas",
			summary: "addresses in the operator's network to which organizations may have events sent",
			details: "Each is `http://host:port` or `https://host:port`, and is reached wherever it leads: every organization of this server may name it. Everything else that an organization names is reached over https alone and in the internet alone, whatever its name leads to; redirects are not followed (docs/webhooks.md).",
			set:     func(c *Config, v string) (err error) { c.WebhookAddresses, err = parseOrigins(v); return err },
			show:    func(c Config) string { return strings.Join(c.WebhookAddresses, ",") },
		},
		{
			env: "PURSER_RATE", initial: "50", values: "1 to 1000000",
			summary: "points a second that each credential may spend",
			details: "What an operation costs stands in docs/limits.md: one event of usage about 13 points, a batch of a thousand about 40. Twenty seconds' worth may be spent at once, and in proportion more requests run at the same time, up to 1,000. An API gateway that records every call needs more than the default.",
			set:     func(c *Config, v string) (err error) { c.Rate, err = parseRate(v); return err },
			show:    func(c Config) string { return strconv.Itoa(c.Rate) },
		},
		{
			env: "PURSER_LOG_FORMAT", initial: "`text` (dev), `json` (production)", values: "`text`, `json`",
			summary: "form of the log lines",
			details: "`text` is for people, `json` for programs: one object a line.",
			set:     func(c *Config, v string) (err error) { c.LogFormat, err = parseLogFormat(v); return err },
			show:    func(c Config) string { return string(c.LogFormat) },
		},
	}
}

func repeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func oneOf(value string, first, second string) error {
	return fmt.Errorf("%q is neither %s nor %s", value, first, second)
}
