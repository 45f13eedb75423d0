package billing

import (
	"strings"
	"testing"

	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/schema"
)

func TestCardNumbers(t *testing.T) {
	for text, want := range map[string]bool{
		"4242424242424242":                true,
		"card 4242 4242 4242 4242 please": true,
		"4242-4242-4242-4242":             true,
		"378282246310005":                 true, // 15 digits
		"4222222222222":                   true, // 13 digits
		"4242424242424241":                false,
		"4242 4242":                       false,
		"order 12345678901234567890":      false, // 20 digits
		"0000000000000000":                false,
		"tel. +49 30 123456":              false,
		"4242  4242  4242  4242":          false, // two blanks part numbers
		"":                                false,
	} {
		if got := hasCardNumber(text); got != want {
			t.Errorf("hasCardNumber(%q) = %t, want %t", text, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for text, ok := range map[string]bool{
		"Ada Lovelace":           true,
		"  Ada  ":                true,
		"Ünïcödé 名前":             true,
		strings.Repeat("ä", 200): true,
		"":                       false,
		"   ":                    false,
		strings.Repeat("ä", 201): false,
		"two\nlines":             false,
		"bell\a":                 false,
		"\xff\xfe":               false,
		"4242 4242 4242 4242":    false,
	} {
		if _, err := label(text, "name", "the name", nameMax); (err == nil) != ok {
			t.Errorf("label(%.20q): %v, want good: %t", text, err, ok)
		}
	}
	if _, err := optionalNote(ptr("two\nlines"), "description", "the description"); err != nil {
		t.Errorf("a description of two lines: %v", err)
	}
	if s, err := optionalNote(ptr(" "), "description", "the description"); s != nil || err != nil {
		t.Errorf("a blank description: %v, %v", s, err)
	}
}

func TestEmails(t *testing.T) {
	for address, ok := range map[string]bool{
		"ada@example.com": true, " ada@example.com ": true, "a+b@x.example": true,
		"": false, "ada": false, "Ada <ada@example.com>": false, "ada@example.com, b@example.com": false,
		"ada@example.com\r\nBcc: x@example.com": false, `"a b"@example.com`: false,
		strings.Repeat("a", 250) + "@example.com": false,
	} {
		if _, err := checkEmail(address, "email"); (err == nil) != ok {
			t.Errorf("checkEmail(%.30q): %v, want good: %t", address, err, ok)
		}
	}
}

func TestOrigins(t *testing.T) {
	for origin, want := range map[string]string{
		"https://Portal.example.com":      "https://portal.example.com",
		"https://portal.example.com:443":  "https://portal.example.com",
		"https://portal.example.com:8443": "https://portal.example.com:8443",
		"http://localhost:3000":           "http://localhost:3000",
		"https://portal.example.com/":     "",
		"https://portal.example.com/x":    "",
		"https://portal.example.com?x":    "",
		"https://portal.example.com#":     "",
		"http://portal.example.com":       "",
		"https://u@portal.example.com":    "",
		"https:portal.example.com":        "",
		"*":                               "",
		"":                                "",
	} {
		got, err := checkOrigin(origin, "f", organization.EnvironmentSANDBOX)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("checkOrigin(%q) = %q, %v, want %q", origin, got, err, want)
		}
	}
	if _, err := checkOrigin("http://localhost:3000", "f", organization.EnvironmentTEST); err == nil {
		t.Error("localhost is good outside the sandbox")
	}
}

func TestAddresses(t *testing.T) {
	a, err := checkAddress(&schema.Address{Line1: " Main St 1 ", Country: "DE", IsPrimary: true}, "address")
	if err != nil || a.Line1 != "Main St 1" || a.Country != "DE" || !a.IsPrimary {
		t.Errorf("got %+v, %v", a, err)
	}
	if a, err := checkAddress(&schema.Address{City: " "}, "address"); a != nil || err != nil {
		t.Errorf("an empty address: %+v, %v", a, err)
	}
	_, err = checkAddress(&schema.Address{Country: "Germany"}, "address")
	wantCode(t, err, CodeInvalid, "address.country")
	_, err = checkAddress(&schema.Address{City: strings.Repeat("x", 201)}, "address")
	wantCode(t, err, CodeInvalid, "address.city")
}

func FuzzTexts(f *testing.F) {
	f.Add("4242 4242 4242 4242")
	f.Add("Ada\nLovelace")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := label(s, "name", "the name", nameMax)
		if err != nil {
			return
		}
		// What was accepted once is accepted again as it was stored.
		if again, err := label(got, "name", "the name", nameMax); err != nil || again != got {
			t.Errorf("label(%q) = %q, %v", got, again, err)
		}
	})
}

// TestOneDeveloperPerAddress finds the same developer whatever the case of the
// address.
func TestOneDeveloperPerAddress(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		draft := PayerDraft{Email: "Ada@Example.com", Name: "Ada", BillingMode: payer.BillingModePREPAID}
		if _, err := f.CreateDeveloper(f.ctx, draft, nil); err != nil {
			t.Fatal(err)
		}
		draft.Email = "aDA@example.com"
		_, err := f.CreateDeveloper(f.ctx, draft, nil)
		wantCode(t, err, CodeTaken, "email")
		p, err := f.Client().Payer.Query().Where(payer.Email(SameEmail(" ADA@example.com"))).Only(f.ctx)
		if err != nil || *p.Email != "ada@example.com" {
			t.Errorf("got %v, %v", p, err)
		}
	})
}
