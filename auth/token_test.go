package auth_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"purser/auth"
)

const goodSecret = "0123456789_bcdef0123456789-bcdef" // 32 characters, with the separator inside

func TestParseToken(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]auth.Token{
		"pur_demo_a1B2_" + goodSecret:   {Kind: auth.KindToken, Slug: "demo", ID: "a1B2", Secret: goodSecret},
		"pur_a-1_x_" + goodSecret + "_": {Kind: auth.KindToken, Slug: "a-1", ID: "x", Secret: goodSecret + "_"},
		"pur_system_op_" + goodSecret:   {Kind: auth.KindToken, Slug: "system", ID: "op", Secret: goodSecret},
		"pur_ab_0_" + goodSecret + "!~": {Kind: auth.KindToken, Slug: "ab", ID: "0", Secret: goodSecret + "!~"},
	} {
		got, err := auth.ParseToken(value)
		if err != nil || got != want {
			t.Errorf("ParseToken(%q) = %v, %v", value, got, err)
		}
		if got.Reveal() != value {
			t.Errorf("%q is written back as %q", value, got.Reveal())
		}
		if got.TokenID() != "tok_"+want.ID || got.IsOperator() != (want.Slug == "system") {
			t.Errorf("%q: id %s, operator %t", value, got.TokenID(), got.IsOperator())
		}
	}
	session, err := auth.ParseSession("pus_demo_s1_" + goodSecret)
	if err != nil || session != (auth.Token{Kind: auth.KindSession, Slug: "demo", ID: "s1", Secret: goodSecret}) {
		t.Errorf("session token: %v, %v", session, err)
	}
}

func TestParseTokenRefuses(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"nothing":            "",
		"other prefix":       "sk_demo_a1_" + goodSecret,
		"capital prefix":     "PUR_demo_a1_" + goodSecret,
		"session":            "pus_demo_a1_" + goodSecret,
		"prefix alone":       "pur_",
		"no id":              "pur_demo__" + goodSecret,
		"no slug":            "pur__a1_" + goodSecret,
		"parts missing":      "pur_demo_" + goodSecret[:10],
		"slug of one":        "pur_a_a1_" + goodSecret,
		"slug too long":      "pur_" + strings.Repeat("a", 33) + "_a1_" + goodSecret,
		"slug in capitals":   "pur_Demo_a1_" + goodSecret,
		"slug with a point":  "pur_de.mo_a1_" + goodSecret,
		"reserved slug":      "pur_global_a1_" + goodSecret,
		"id with a slash":    "pur_demo_a/1_" + goodSecret,
		"id too long":        "pur_demo_" + strings.Repeat("a", 65) + "_" + goodSecret,
		"secret too short":   "pur_demo_a1_" + goodSecret[1:],
		"secret too long":    "pur_demo_a1_" + strings.Repeat("x", 257),
		"blank in secret":    "pur_demo_a1_" + goodSecret + " x",
		"newline in secret":  "pur_demo_a1_" + goodSecret + "\n",
		"umlaut in secret":   "pur_demo_a1_" + goodSecret + "ä",
		"zero byte in slug":  "pur_de\x00mo_a1_" + goodSecret,
		"id kept its prefix": "pur_demo_tok_a1_" + goodSecret[:28],
	} {
		t.Run(name, func(t *testing.T) {
			got, err := auth.ParseToken(value)
			if err == nil || got != (auth.Token{}) {
				t.Fatalf("accepted: %v", got)
			}
			if strings.Contains(err.Error(), goodSecret[:10]) {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
	for _, value := range []string{"pur_demo_a1_" + goodSecret, "pus_system_a1_" + goodSecret, "pus_demo_a1_short"} {
		if got, err := auth.ParseSession(value); err == nil || got != (auth.Token{}) {
			t.Errorf("session token %q is accepted", value)
		}
	}
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	made, err := auth.NewToken("demo", "tok_01abc", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(made.Reveal(), "pur_demo_01abc_") || made.TokenID() != "tok_01abc" {
		t.Errorf("made %v with id %s", made, made.TokenID())
	}
	if !auth.HasChecksum(made.Secret.Reveal()) {
		t.Error("the secret has no checksum")
	}
	if back, err := auth.ParseToken(made.Reveal()); err != nil || back != made {
		t.Errorf("the token does not read back: %v", err)
	}
	secret := made.Secret.Reveal()
	if want := "pur_demo_01abc_…" + secret[len(secret)-4:]; made.Hint() != want {
		t.Errorf("hint %q, want %q", made.Hint(), want)
	}

	session, err := auth.NewSession("demo", "s1", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := auth.ParseSession(session.Reveal()); err != nil || back != session {
		t.Errorf("the session token does not read back: %v", err)
	}

	for _, tt := range [][2]string{{"Demo", "a1"}, {"global", "a1"}, {"demo", ""}, {"demo", "a_1"}, {"demo", "tok_"}} {
		if made, err := auth.NewToken(tt[0], tt[1], rand.Reader); err == nil || made != (auth.Token{}) {
			t.Errorf("a token for slug %q and id %q was made", tt[0], tt[1])
		}
	}
	if _, err := auth.NewToken("demo", "a1", strings.NewReader("short")); err == nil {
		t.Error("a token without randomness was made")
	}
}

func TestValidSlug(t *testing.T) {
	t.Parallel()
	for _, slug := range []string{"ab", "demo", "a-b", "0x", strings.Repeat("a", 32), "--"} {
		if err := auth.ValidSlug(slug); err != nil {
			t.Errorf("%q is refused: %v", slug, err)
		}
	}
	for _, slug := range []string{"", "a", strings.Repeat("a", 33), "Demo", "a_b", "a b", "ä-ö", "system", "global"} {
		if auth.ValidSlug(slug) == nil {
			t.Errorf("%q is accepted", slug)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("pur_demo_a1_" + goodSecret)
	f.Add("pus_demo_a1_" + goodSecret)
	f.Add("pur_system_a1_" + goodSecret)
	f.Add("pur____")
	f.Fuzz(func(t *testing.T, value string) {
		for _, parse := range []func(string) (auth.Token, error){auth.ParseToken, auth.ParseSession} {
			token, err := parse(value)
			switch {
			case err != nil && token != (auth.Token{}):
				t.Fatalf("%q: a token came back with the error %v", value, err)
			case err == nil && token.Reveal() != value:
				t.Fatalf("%q reads as another token, %q", value, token.Reveal())
			case err == nil && strings.Contains(token.Slug+token.ID, "_"):
				t.Fatalf("%q: slug %q or id %q contains the separator", value, token.Slug, token.ID)
			}
		}
	})
}
