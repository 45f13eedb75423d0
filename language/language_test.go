package language

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/money"
)

func TestChoices(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{"": "en", "en": "en", "uk": "uk en", "uk-UA": "uk-UA uk en", "zh-Hant-TW": "zh-Hant-TW zh-Hant zh en", "en-GB": "en-GB en"} {
		if got := strings.Join(Choices(tag), " "); got != want {
			t.Errorf("%q: %s", tag, got)
		}
	}
	for _, bad := range []string{"", "../en", "EN", "english", "en_GB", "en-gb", "e"} {
		if Valid(bad) {
			t.Errorf("%q is a language", bad)
		}
	}
}

// Who has named a language reads in it, whatever the browser asks for.
func TestBestLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ named, header, want string }{
		{"", "", "en"},
		{"uk", "", "uk"},
		{"uk-UA", "en", "uk"},
		{"de", "uk", "en"},
		{"en-GB", "uk", "en"},
		{"", "uk", "uk"},
		{"", "uk-UA,uk;q=0.9,en-US;q=0.8", "uk"},
		{"", "en-US,en;q=0.9,uk;q=0.8", "en"},
		{"", "de, uk;q=0.5, en;q=0.4", "uk"},
		{"", "en;q=0.4 , UK-ua; q=0.5", "uk"},
		{"", "uk;q=0, en", "en"},
		{"", "uk;q=0", "en"},
		{"", "*", "en"},
		{"", "uk;q=nan, uk;q=2, uk;q=x", "en"},
		{"", "ukr", "en"},
		{"", ";;,,-,=\x00", "en"},
		{"", strings.Repeat("de,", 20) + "uk", "en"},
	} {
		if got := For(Accepting(t.Context(), c.header), c.named); got.Tag != c.want {
			t.Errorf("%q named, %q accepted: %s, want %s", c.named, c.header, got.Tag, c.want)
		}
	}
	if got := For(t.Context(), ""); got.Tag != Default {
		t.Errorf("nothing known: %s", got.Tag)
	}
}

// TestNoLanguageLacksWords: every language says everything that English says,
// with the same gaps to fill in.
func TestNoLanguageLacksWords(t *testing.T) {
	t.Parallel()
	gaps := regexp.MustCompile(`%.`)
	if len(All()) < 2 {
		t.Fatal("there is one language")
	}
	want := reflect.ValueOf(english.Words)
	for _, l := range All() {
		if !Valid(l.Tag) || l.Direction != "ltr" && l.Direction != "rtl" {
			t.Errorf("%s, %s", l.Tag, l.Direction)
		}
		got := reflect.ValueOf(l.Words)
		for i := range want.NumField() {
			name := l.Tag + " " + want.Type().Field(i).Name
			switch field := got.Field(i).Interface().(type) {
			case string:
				if strings.TrimSpace(field) == "" || !slices.Equal(gaps.FindAllString(field, -1), gaps.FindAllString(want.Field(i).String(), -1)) {
					t.Errorf("%s: %q", name, field)
				}
				if l != english && len(field) > 12 && field == want.Field(i).String() {
					t.Errorf("%s is English", name)
				}
			case map[string]string:
				for key := range want.Field(i).Interface().(map[string]string) {
					if field[key] == "" {
						t.Errorf("%s: no words for %s", name, key)
					}
				}
			default:
				t.Errorf("%s is nothing that is looked at", name)
			}
		}
		for _, unit := range []string{"DAY", "WEEK", "MONTH", "YEAR"} {
			for _, n := range []int{1, 2, 5} {
				if text := l.Every(n, unit); len(text) < 5 || strings.HasSuffix(text, " ") {
					t.Errorf("%s: every %d %s is %q", l.Tag, n, unit, text)
				}
			}
		}
	}
	for _, l := range All()[1:] { // English has the gateway's own words
		for code := range ukrainian.Words.Refusals {
			if l.Words.Refusals[code] == "" {
				t.Errorf("%s: no words for the refusal %s", l.Tag, code)
			}
		}
	}
}

func TestDatesAndNumbers(t *testing.T) {
	t.Parallel()
	en, uk := Of("en"), Of("uk")
	for _, c := range []struct{ got, want string }{
		{en.Date(time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)), "1 March 2026"},
		{uk.Date(time.Date(2026, time.December, 31, 23, 0, 0, 0, time.UTC)), "31 грудня 2026\u00a0р."},
		{en.Number("1234567.0025"), "1,234,567.0025"},
		{uk.Number("1234567.0025"), "1\u00a0234\u00a0567,0025"},
		{en.Number("-999.50"), "-999.50"},
		{uk.Number("-1000"), "-1\u00a0000"},
		{en.Number("0"), "0"},
		{en.Amount(money.Amount{Units: 1_234_000_000_000, Currency: "VND"}), "1,234,000 VND"},
		{uk.Amount(money.Amount{Units: 123_450_000_000, Currency: "USD"}), "1\u00a0234,50 USD"},
		{en.Count(1600), "1,600"},
		{en.Every(1, "MONTH"), "every month"},
		{en.Every(3, "YEAR"), "every 3 years"},
		{uk.Every(1, "WEEK"), "щотижня"},
		{uk.Every(2, "MONTH"), "раз на 2 місяці"},
		{uk.Every(11, "YEAR"), "раз на 11 років"},
		{uk.Every(21, "DAY"), "раз на 21 день"},
		{uk.Every(14, "DAY"), "раз на 14 днів"},
		{uk.Every(24, "MONTH"), "раз на 24 місяці"},
		{en.Mark("PAID"), "PAID"},
		{uk.Mark("PAID"), "СПЛАЧЕНО"},
		{uk.Mark("NEW"), "NEW"},
		{en.Refusal("Your card was declined.", "card_declined"), "Your card was declined."},
		{uk.Refusal("Your card was declined.", "insufficient_funds", "card_declined"), "На картці недостатньо коштів."},
		{uk.Refusal("Your card was declined.", "", "card_declined"), "Банк відхилив картку."},
		{uk.Refusal("Odd.", "odd"), "Платіж відхилено."},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	if got := Plain("A\u202edcb\u202c\u200f\x00\r\nd\u2066e\u2069\ufeff\xff שלום\u200d"); got != "Adcb\nde שלום\u200d" {
		t.Errorf("%q", got)
	}
}

func FuzzAccepting(f *testing.F) {
	f.Add("uk-UA,uk;q=0.9")
	f.Fuzz(func(t *testing.T, header string) {
		if l := accepted(header); l == nil {
			t.Error("no language")
		}
	})
}
