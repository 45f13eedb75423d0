package auth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"

	"purser/auth"
)

func TestNewSecret(t *testing.T) {
	t.Parallel()
	seen := map[auth.Secret]bool{}
	for range 200 {
		s, err := auth.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		text := s.Reveal()
		if len(text) != 49 || strings.Trim(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			t.Fatalf("the secret has %d characters, or others than letters and digits", len(text))
		}
		if !auth.HasChecksum(text) {
			t.Fatal("a fresh secret has no valid checksum")
		}
		if seen[s] {
			t.Fatal("the same secret came twice")
		}
		seen[s] = true
	}

	// All bits zero and all bits one are the shortest and the longest number.
	for _, b := range []byte{0x00, 0xff} {
		s, err := auth.NewSecret(bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
		if err != nil || len(s.Reveal()) != 49 || !auth.HasChecksum(s.Reveal()) {
			t.Errorf("secret of %#x bytes: %d characters, %v", b, len(s.Reveal()), err)
		}
	}
}

func TestNewSecretNeedsAllItsRandomness(t *testing.T) {
	t.Parallel()
	broken := errors.New("no entropy")
	for name, random := range map[string]io.Reader{
		"too little": bytes.NewReader(make([]byte, 31)),
		"broken":     iotest.ErrReader(broken),
	} {
		if s, err := auth.NewSecret(random); err == nil || s != "" {
			t.Errorf("%s: a secret was made", name)
		}
	}
}

func TestChecksumFindsTypingErrors(t *testing.T) {
	t.Parallel()
	s, err := auth.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(s.Reveal())
	for i := range text {
		wrong := bytes.Clone(text)
		wrong[i] = 'a'
		if text[i] == 'a' {
			wrong[i] = 'b'
		}
		if auth.HasChecksum(string(wrong)) {
			t.Errorf("a wrong character at %d passes", i)
		}
	}
	for _, other := range []string{"", string(text[:48]), string(text) + "0", strings.Repeat("x", 49)} {
		if auth.HasChecksum(other) {
			t.Errorf("%d characters that are no secret pass", len(other))
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	const text = "hunter2hunter2hunter2hunter2hunter2"
	s := auth.Secret(text)
	token := auth.Token{Kind: auth.KindToken, Slug: "demo", ID: "a1", Secret: s}

	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%t"} {
		for _, value := range []any{s, &s, token, &token, []auth.Secret{s}, map[string]auth.Secret{"k": s}, struct{ S auth.Secret }{s}} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	fmt.Fprintln(&out, s, s.String(), s.GoString(), token)
	for _, value := range []any{s, token, map[string]auth.Secret{"k": s}} {
		if err := json.NewEncoder(&out).Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("message", "secret", s, "token", token, "pointer", &s, "inside", struct{ S auth.Secret }{s})
	}
	fmt.Fprintln(&out, fmt.Errorf("wrapped: %v %w", s, fmt.Errorf("inner: %s", token)))

	lower := strings.ToLower(out.String())
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2")} {
		if strings.Contains(lower, leak) {
			t.Errorf("the output holds %q:\n%s", leak, out.String())
		}
	}
	if !strings.Contains(lower, "***") || !strings.Contains(lower, "pur_demo_a1_***") {
		t.Errorf("the output holds no mask:\n%s", out.String())
	}
	if s.Reveal() != text {
		t.Error("Reveal does not give the text")
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	// The well-known digest of the empty string pins the algorithm.
	if got := fmt.Sprintf("%x", auth.Digest("")); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("digest is %s", got)
	}
	a, b := auth.Digest("a"), auth.Digest("b")
	if !auth.Equal(a, auth.Digest("a")) || auth.Equal(a, b) || auth.Equal(a, a[:31]) || auth.Equal(a, nil) {
		t.Error("Equal is wrong")
	}
}
