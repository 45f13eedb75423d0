package config_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"

	"purser/config"
)

var (
	keyA = bytes.Repeat([]byte{0xfb, 0xff}, 16) // its base64 differs between the alphabets
	keyB = bytes.Repeat([]byte{1}, 32)

	bootstrap = "pur_demo_a1_" + strings.Repeat("s", 32)
	system    = "pur_system_a1_" + strings.Repeat("o", 32)
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := config.Config{
		Addr: "127.0.0.1:8080", Data: "./data", LogFormat: config.LogText, Profile: config.ProfileDev, Rate: 50, Sandbox: true,
	}
	if got := config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("Default() = %v, want %v", got, want)
	}
	got, err := config.Load(nil, []string{"HOME=/root", "PURSER_TEST_POSTGRES=x", "PURSER_ADDR=", "malformed"})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Load() = %v, %v, want %v", got, err, want)
	}
	if got.Production() {
		t.Error("the default is production")
	}
}

func TestProduction(t *testing.T) {
	t.Parallel()
	got, err := config.Load(nil, []string{"PURSER_PROFILE=production", "PURSER_MASTER_KEY=" + hex.EncodeToString(keyB)})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Addr: "127.0.0.1:8080", Data: "./data", LogFormat: config.LogJSON, Profile: config.ProfileProduction,
		MasterKeys: [][]byte{keyB}, Rate: 50,
	}
	if !reflect.DeepEqual(got, want) || !got.Production() {
		t.Errorf("Load() = %v, want %v", got, want)
	}

	got, err = config.Load([]string{"--sandbox", "--log-format=text"}, []string{"PURSER_PROFILE=production", "PURSER_MASTER_KEY=" + hex.EncodeToString(keyB)})
	if err != nil || !got.Sandbox || got.LogFormat != config.LogText {
		t.Errorf("asked for the sandbox and a text log: %v, %v", got, err)
	}

	// Only serving needs a key: whoever backs up or verifies must not have it.
	if _, err = config.Load(nil, []string{"PURSER_PROFILE=production"}); err != nil {
		t.Errorf("without a master key: %v", err)
	}
}

// TestEverySetting gives each setting a value, once as a variable and once as
// a flag, and compares the whole.
func TestEverySetting(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"PURSER_PROFILE":           "production",
		"PURSER_ADDR":              ":9000",
		"PURSER_PUBLIC_URL":        "https://Billing.example.com/",
		"PURSER_ALLOWED_ORIGINS":   "https://a.example.com, http://localhost:3000,https://A.example.com:443",
		"PURSER_DATA":              "/var/lib/purser",
		"DATABASE_URL":             "postgres://purser:pw@db:5432/purser?sslmode=require",
		"PURSER_MASTER_KEY":        base64.StdEncoding.EncodeToString(keyA) + ", " + hex.EncodeToString(keyB),
		"PURSER_BOOTSTRAP_TOKEN":   bootstrap,
		"PURSER_SYSTEM_TOKEN":      system,
		"PURSER_SANDBOX":           "true",
		"PURSER_SANDBOX_URL":       "http://127.0.0.1:9090",
		"PURSER_GATEWAY_ADDRESSES": "https://Second.example.com, https://third.example.com:8443",
		"PURSER_LOG_FORMAT":        "text",
		"PURSER_WEBHOOK_ADDRESSES": "http://10.0.0.7:9000, https://events.example.com",
		"PURSER_DATABASE_SPREAD":   "true",
		"PURSER_RATE":              "2500",
		"PURSER_SMTP_URL":          "smtps://purser:pw@mail.example.com",
		"PURSER_MAIL_FROM":         "billing@example.com",
	}
	want := config.Config{
		Addr:             ":9000",
		AllowedOrigins:   []string{"https://a.example.com", "http://localhost:3000"},
		BootstrapToken:   bootstrap,
		Data:             "/var/lib/purser",
		DatabaseURL:      "postgres://purser:pw@db:5432/purser?sslmode=require",
		LogFormat:        config.LogText,
		MasterKeys:       [][]byte{keyA, keyB},
		Profile:          config.ProfileProduction,
		PublicURL:        "https://billing.example.com",
		Sandbox:          true,
		SandboxURL:       "http://127.0.0.1:9090",
		SystemToken:      system,
		GatewayAddresses: []string{"https://second.example.com", "https://third.example.com:8443"},
		WebhookAddresses: []string{"http://10.0.0.7:9000", "https://events.example.com"},
		DatabaseSpread:   true,
		Rate:             2500,
		SMTPURL:          "smtps://purser:pw@mail.example.com",
		MailFrom:         "billing@example.com",
	}
	if fields := reflect.TypeFor[config.Config]().NumField(); fields != len(values) {
		t.Fatalf("the Config has %d fields, this test %d settings", fields, len(values))
	}
	for i, value := 0, reflect.ValueOf(want); i < value.NumField(); i++ {
		if value.Field(i).IsZero() {
			t.Fatalf("this test leaves %s at zero", value.Type().Field(i).Name)
		}
	}
	var environ, args []string
	for name, value := range values {
		environ = append(environ, name+"="+value)
		args = append(args, flagOf(name)+"="+value)
	}
	slices.Sort(args)
	for name, load := range map[string]func() (config.Config, error){
		"variables": func() (config.Config, error) { return config.Load(nil, environ) },
		"flags":     func() (config.Config, error) { return config.Load(args, nil) },
		"one dash": func() (config.Config, error) {
			return config.Load(strings.Split(strings.ReplaceAll(strings.Join(args, "\x00"), "\x00--", "\x00-"), "\x00"), nil)
		},
		"flags over variables": func() (config.Config, error) {
			return config.Load(args, []string{
				"PURSER_PROFILE=nonsense", "PURSER_ADDR=nonsense", "PURSER_LOG_FORMAT=json", "PURSER_SANDBOX=false",
				"DATABASE_URL=postgres://other/db", "PURSER_MASTER_KEY=nonsense",
			})
		},
	} {
		got, err := load()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
}

func flagOf(env string) string {
	return "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(env, "PURSER_"), "_", "-"))
}

func TestAnEmptyFlagTakesAVariableBack(t *testing.T) {
	t.Parallel()
	got, err := config.Load([]string{"--database-url="}, []string{"DATABASE_URL=postgres://db/purser"})
	if err != nil || got.DatabaseURL != "" {
		t.Errorf("Load() = %v, %v", got, err)
	}
	// Of two variables of one name the last counts, as for programs started by Go.
	got, err = config.Load(nil, []string{"PURSER_ADDR=:1", "PURSER_ADDR=:2"})
	if err != nil || got.Addr != ":2" {
		t.Errorf("Load() = %v, %v", got, err)
	}
}

func TestMasterKeyForms(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(keyA), base64.RawStdEncoding.EncodeToString(keyA),
		base64.URLEncoding.EncodeToString(keyA), base64.RawURLEncoding.EncodeToString(keyA),
		hex.EncodeToString(keyA), strings.ToUpper(hex.EncodeToString(keyA)),
	} {
		got, err := config.Load(nil, []string{"PURSER_MASTER_KEY=" + text})
		if err != nil || !reflect.DeepEqual(got.MasterKeys, [][]byte{keyA}) {
			t.Errorf("%s: %x, %v", text, got.MasterKeys, err)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ entry, message string }{
		{"PURSER_PROFILE=prod", `"prod" is neither dev nor production`},
		{"PURSER_PROFILE=Production", `"Production" is neither`},
		{"PURSER_ADDR=8080", "not host:port"},
		{"PURSER_ADDR=localhost", "not host:port"},
		{"PURSER_ADDR=localhost:http", "port"},
		{"PURSER_ADDR=localhost:", "port"},
		{"PURSER_ADDR=localhost:65536", "port"},
		{"PURSER_ADDR=localhost:-1", "port"},
		{"PURSER_ADDR=localhost:08080", "port"},
		{"PURSER_ADDR=::1:8080", "not host:port"},
		{"PURSER_ADDR=http://localhost:8080", "not host:port"},
		{"PURSER_ADDR=a b:8080", "host"},
		{"PURSER_PUBLIC_URL=billing.example.com", "begin with http"},
		{"PURSER_PUBLIC_URL=ftp://billing.example.com", "begin with http"},
		{"PURSER_PUBLIC_URL=https://", "begin with http"},
		{"PURSER_PUBLIC_URL=https://:8443", "one host"},
		{"PURSER_PUBLIC_URL=https://a.example.com/path", "end after the host"},
		{"PURSER_PUBLIC_URL=https://a.example.com//", "end after the host"},
		{"PURSER_PUBLIC_URL=https://a.example.com?", "end after the host"},
		{"PURSER_PUBLIC_URL=https://a.example.com?x=1", "end after the host"},
		{"PURSER_PUBLIC_URL=https://a.example.com#x", "end after the host"},
		{"PURSER_PUBLIC_URL=https://a.example.com#", "end after the host"},
		{"PURSER_PUBLIC_URL=https://u:hunter2@a.example.com", "user or a password"},
		{"PURSER_PUBLIC_URL=https://a.example.com:", "port is missing"},
		{"PURSER_PUBLIC_URL=https://a.example.com:99999", "port"},
		{"PURSER_PUBLIC_URL=https://a.example.com:0", "port"},
		{"PURSER_ALLOWED_ORIGINS=*", "origin 1: it must begin with http"},
		{"PURSER_ALLOWED_ORIGINS=https://*.example.com", "origin 1: it must name one host"},
		{"PURSER_ALLOWED_ORIGINS=https://a.example.com,", "origin 2: it must begin with http"},
		{"PURSER_ALLOWED_ORIGINS=https://a.example.com https://b.example.com", "origin 1"},
		{"PURSER_ALLOWED_ORIGINS=https://a.example.com/", "origin 1: it must end after the host"},
		{"PURSER_ALLOWED_ORIGINS=null", "origin 1: it must begin with http"},
		{"DATABASE_URL=mysql://u:hunter2@db/purser", "must begin with postgres://"},
		{"DATABASE_URL=host=db password=hunter2", "must begin with postgres://"},
		{"DATABASE_URL=postgres://u:hunter2@db:port/purser", "special characters"},
		{"DATABASE_URL=postgres://u:hunter2%et@db/purser", "written as %XX"},
		{"DATABASE_URL=postgresql://u:hunter2/x#@db/purser", "written as %XX"},
		{"DATABASE_URL=./purser.db", "leave it empty for SQLite"},
		{"PURSER_MASTER_KEY=hunter2", "key 1: it must be 32 bytes"},
		{"PURSER_MASTER_KEY=hunter2" + hex.EncodeToString(keyB)[7:], "key 1: it must be 32 bytes"},
		{"PURSER_MASTER_KEY=" + hex.EncodeToString(keyB[1:]), "key 1: it must be 32 bytes"},
		{"PURSER_MASTER_KEY=" + base64.StdEncoding.EncodeToString(append(keyB, 1)), "key 1: it must be 32 bytes"},
		{"PURSER_MASTER_KEY=" + hex.EncodeToString(keyB) + ",hunter2", "key 2: it must be 32 bytes"},
		{"PURSER_MASTER_KEY=" + hex.EncodeToString(keyB) + "," + base64.StdEncoding.EncodeToString(keyB), "key 2: it is there twice"},
		{"PURSER_BOOTSTRAP_TOKEN=pur_demo_a1_hunter2", "pur_demo_<id>_<secret"},
		{"PURSER_BOOTSTRAP_TOKEN=pur_other_a1_hunter2hunter2hunter2hunter2hunter2", "pur_demo_<id>_<secret"},
		{"PURSER_BOOTSTRAP_TOKEN=pur_demo_hunter2hunter2hunter2hunter2hunter2", "pur_demo_<id>_<secret"},
		{"PURSER_BOOTSTRAP_TOKEN=" + system, "pur_demo_<id>_<secret"},
		{"PURSER_BOOTSTRAP_TOKEN=" + bootstrap + " hunter2", "pur_demo_<id>_<secret"},
		{"PURSER_SYSTEM_TOKEN=" + bootstrap, "pur_system_<id>_<secret"},
		{"PURSER_SYSTEM_TOKEN=pur_system_a1_hunter2", "pur_system_<id>_<secret"},
		{"PURSER_SANDBOX=maybe", `"maybe" is neither true nor false`},
		{"PURSER_SANDBOX_URL=localhost:9090", "begin with http"},
		{"PURSER_GATEWAY_ADDRESSES=https://a.example,http://b.example", "address 2: it must begin with https://"},
		{"PURSER_GATEWAY_ADDRESSES=https://a.example/path", "end after the host"},
		{"PURSER_SMTP_URL=http://u:hunter2@mail.example.com", "smtp://user:password@host:port"},
		{"PURSER_SMTP_URL=smtp://u:hunter2@", "smtp://user:password@host:port"},
		{"PURSER_SMTP_URL=smtp://u:hunter2@mail.example.com/inbox", "smtp://user:password@host:port"},
		{"PURSER_MAIL_FROM=Demo <a@example.com>", "is not an e-mail address"},
		{"PURSER_RATE=0", "no whole number from 1 to 1000000"},
		{"PURSER_RATE=fast", `"fast" is no whole number`},
		{"PURSER_LOG_FORMAT=xml", `"xml" is neither text nor json`},
	} {
		name, value, _ := strings.Cut(tt.entry, "=")
		for way, load := range map[string]func() (config.Config, error){
			"variable": func() (config.Config, error) { return config.Load(nil, []string{tt.entry}) },
			"flag":     func() (config.Config, error) { return config.Load([]string{flagOf(name) + "=" + value}, nil) },
		} {
			got, err := load()
			if err == nil || !reflect.DeepEqual(got, config.Config{}) {
				t.Errorf("%s as %s is accepted", tt.entry, way)
				continue
			}
			if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), flagOf(name)) || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("%s as %s: message %q lacks the names or %q", tt.entry, way, err, tt.message)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s as %s: the message repeats a secret: %s", tt.entry, way, err)
			}
		}
	}
}

func TestSandboxElsewhereNeedsTheSandbox(t *testing.T) {
	t.Parallel()
	_, err := config.Load(nil, []string{"PURSER_SANDBOX=false", "PURSER_SANDBOX_URL=http://localhost:9090"})
	if err == nil || !strings.Contains(err.Error(), "PURSER_SANDBOX_URL is set, but PURSER_SANDBOX is false") {
		t.Errorf("error is %v", err)
	}
}

func TestMailServerNeedsASender(t *testing.T) {
	t.Parallel()
	_, err := config.Load(nil, []string{"PURSER_SMTP_URL=smtp://u:hunter2@mail.example.com"})
	if err == nil || !strings.Contains(err.Error(), "PURSER_MAIL_FROM is not") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error is %v", err)
	}
}

func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	for name, hint := range map[string]string{
		"PURSER_ADRR":            "did you mean PURSER_ADDR?",
		"PURSER_PUBLIC_URI":      "did you mean PURSER_PUBLIC_URL?",
		"PURSER_MASTERKEY":       "did you mean PURSER_MASTER_KEY?",
		"PURSER_ALLOWED_ORIGIN":  "did you mean PURSER_ALLOWED_ORIGINS?",
		"PURSER_SMTP_SERVER_URL": "`purser --help` lists them",
		"PURSER_":                "`purser --help` lists them",
		"PURSER_TEST":            "PURSER_TEST is not a setting",
		"PURSER_addr":            "PURSER_addr is not a setting",
	} {
		_, err := config.Load(nil, []string{name + "=hunter2"})
		if err == nil || !strings.Contains(err.Error(), name+" is not a setting") || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the message repeats the value", name)
		}
	}
	for _, name := range []string{"PURSER_TEST_POSTGRES", "PURSER_TEST_", "XPURSER_ADDR", "purser_addr"} {
		if _, err := config.Load(nil, []string{name + "=x"}); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Load([]string{"--log-format=xml"}, []string{"PURSER_WRONG=1", "PURSER_ALSO_WRONG=1", "PURSER_ADDR=x"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"PURSER_WRONG", "PURSER_ALSO_WRONG", "PURSER_ADDR", "PURSER_LOG_FORMAT"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is missing in: %v", part, err)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"extra"}, {"--sandbox", "false"}, {"--", "extra"}} {
		if _, err := config.Load(args, nil); err == nil || !strings.Contains(err.Error(), "unexpected argument") {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := config.Load([]string{"--adr", ":1"}, nil); err == nil || !strings.Contains(err.Error(), "-adr") {
		t.Errorf("unknown flag: %v", err)
	}
	if _, err := config.Load([]string{"--addr"}, nil); err == nil || !strings.Contains(err.Error(), "-addr") {
		t.Errorf("flag without a value: %v", err)
	}
	for _, help := range []string{"-h", "--help"} {
		if _, err := config.Load([]string{help}, nil); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v", help, err)
		}
	}
}

func TestParseLeavesACommandItsOwn(t *testing.T) {
	t.Parallel()
	flags := flag.NewFlagSet("token create", flag.ContinueOnError)
	org := flags.String("org", "", "organization")
	got, err := config.Parse(flags, []string{"--org", "demo", "--addr", ":1", "name", "--data"}, nil)
	if err != nil || *org != "demo" || got.Addr != ":1" || !slices.Equal(flags.Args(), []string{"name", "--data"}) {
		t.Errorf("org %q, %v, rest %v, %v", *org, got, flags.Args(), err)
	}
}
