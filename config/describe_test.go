package config_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"purser/config"
)

func TestPrintingMasksSecrets(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil, []string{
		"DATABASE_URL=postgres://purser:hunter2@db:5432/purser?sslmode=require&password=hunter2",
		"PURSER_MASTER_KEY=" + hex.EncodeToString(keyA) + "," + hex.EncodeToString(keyB),
		"PURSER_BOOTSTRAP_TOKEN=pur_demo_a1_hunter2hunter2hunter2hunter2hunter2",
		"PURSER_SYSTEM_TOKEN=pur_system_a1_hunter2hunter2hunter2hunter2hunter2",
		"PURSER_SMTP_URL=smtp://purser:hunter2@mail.example.com:587", "PURSER_MAIL_FROM=billing@example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n"+verb+"\n"+verb+"\n", c, &c, struct{ C config.Config }{c})
	}
	fmt.Fprintln(&out, c, fmt.Errorf("start with %v", c))
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("start", "config", c, "pointer", &c)
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"config": c, "pointer": &c}); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), "fbfbff", "fbff", "251 255", "+/", "0x1,", "[1 1"} {
		if strings.Contains(strings.ToLower(out.String()), leak) {
			t.Errorf("the output holds %q:\n%s", leak, out.String())
		}
	}

	want := `PURSER_PROFILE=dev
PURSER_ADDR=127.0.0.1:8080
PURSER_PUBLIC_URL=(not set)
PURSER_ALLOWED_ORIGINS=(not set)
PURSER_DATA=./data
DATABASE_URL=postgres://purser:***@db:5432/purser?***
PURSER_DATABASE_SPREAD=false
PURSER_MASTER_KEY=***,***
PURSER_BOOTSTRAP_TOKEN=***
PURSER_SYSTEM_TOKEN=***
PURSER_SANDBOX=true
PURSER_SANDBOX_URL=(not set)
PURSER_GATEWAY_ADDRESSES=(not set)
PURSER_SMTP_URL=smtp://purser:***@mail.example.com:587
PURSER_MAIL_FROM=billing@example.com
PURSER_WEBHOOK_ADDRESSES=(not set)
PURSER_RATE=50
PURSER_LOG_FORMAT=text
`
	if got := c.String(); got != want {
		t.Errorf("effective settings:\n%s\nwant:\n%s", got, want)
	}
	values := map[string]string{}
	text, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(text, &values)
	}
	if err != nil || values["PURSER_ADDR"] != "127.0.0.1:8080" || values["PURSER_SYSTEM_TOKEN"] != "***" {
		t.Errorf("as JSON: %v, %v", values, err)
	}
}

func TestDatabaseAddressIsShownWithoutPassword(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://db/purser":            "postgres://db/purser",
		"postgresql://u@db/purser":        "postgresql://u@db/purser",
		"postgres://u:@db/purser":         "postgres://u:***@db/purser",
		"postgres:///purser?host=/run/pg": "postgres:///purser?***",
	} {
		c, err := config.Load(nil, []string{"DATABASE_URL=" + in})
		if err != nil || !strings.Contains(c.String(), "DATABASE_URL="+want+"\n") {
			t.Errorf("%s is shown in:\n%v\n%v", in, c, err)
		}
	}
	// A Config that nobody checked must not leak either.
	if c := (config.Config{DatabaseURL: "postgres://u:hunter2@db:port/x"}); strings.Contains(c.String(), "hunter2") {
		t.Errorf("an address that cannot be read is shown as it is:\n%v", c)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := config.Usage(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	names := strings.Split(strings.TrimRight(config.Default().String(), "\n"), "\n")
	if len(lines) != len(names) {
		t.Fatalf("%d lines for %d settings:\n%s", len(lines), len(names), out.String())
	}
	for i, line := range lines {
		name, _, _ := strings.Cut(names[i], "=")
		if !strings.Contains(line, flagOf(name)+" ") || !strings.Contains(line, name+" ") || !strings.Contains(line, "(default: ") {
			t.Errorf("line %d does not describe %s: %s", i+1, name, line)
		}
	}
	if err := config.Usage(brokenWriter{}); !errors.Is(err, errBroken) {
		t.Errorf("a broken writer gives %v", err)
	}
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// TestReference compares docs/config.md with the table that it is made from.
func TestReference(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "docs", "config.md")
	if os.Getenv("PURSER_TEST_UPDATE") == "1" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(config.Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != config.Markdown() {
		t.Error("docs/config.md differs from the table of settings; PURSER_TEST_UPDATE=1 go test ./config writes it anew")
	}
}
