package mail

import (
	"slices"
	"sort"
	"strings"
	"unicode"
)

// Values are what a template sees: texts, numbers, Values and lists of Values.
// What is not there is empty, and false.
type Values map[string]any

// names lists the variables, those of lists once.
func (v Values) names() []string {
	var out []string
	for name, value := range v {
		switch value := value.(type) {
		case Values:
			for _, below := range value.names() {
				out = append(out, name+"."+below)
			}
		case []Values:
			out = append(out, name)
			for _, below := range value[0].names() {
				out = append(out, name+"."+below)
			}
		default:
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// listMax bounds the lists that a template may go through.
const listMax = 250

// bindings are the values as the engine takes them: made anew, so that nothing
// of ours is within reach of a template, and cleaned. Empty texts are left
// out, so that a condition can ask for them.
func (v Values) bindings() map[string]any {
	out := make(map[string]any, len(v))
	for name, value := range v {
		switch value := value.(type) {
		case string:
			if text := clean(value); text != "" {
				out[name] = text
			}
		case int:
			out[name] = value
		case Values:
			out[name] = value.bindings()
		case []Values:
			list := make([]any, 0, len(value))
			for _, item := range value[:min(len(value), listMax)] {
				list = append(list, item.bindings())
			}
			out[name] = list
		}
	}
	return out
}

// clean takes out of a value what no name needs and mails are forged with:
// control characters, line breaks among them, and the marks that turn the
// direction of what follows them or show nothing.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r), r == '\ufeff', r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.TrimSpace(s)
}

func sampleAccount() Values {
	return Values{"id": "dev_0190a0b0c0d07e0f8a1b2c3d4e5f6071", "name": "Ada Lovelace", "billing_address": "12 St James's Square, London SW1Y 4JH, GB", "vat_code": "GB123456789"}
}

// sampleCommon are the variables that every mail has.
func sampleCommon() Values {
	return Values{
		"account": sampleAccount(),
		// 3scale's older name for the same.
		"buyer_account": sampleAccount(),
		"provider": Values{
			"name": "Demo Weather API", "support_email": "support@weather.example", "finance_support_email": "billing@weather.example",
			"full_address": "1 Cloud Street, Dublin, IE", "country": "IE", "timezone": "Europe/Dublin",
		},
	}
}

func (v Values) with(more Values) Values {
	for name, value := range more {
		v[name] = value
	}
	return v
}

func sampleLines() []Values {
	return []Values{
		{"name": "Forecasts", "description": "Forecasts", "quantity": "2000", "cost": "USD 25.00"},
		{"name": "Support", "description": "Support", "quantity": "1", "cost": "USD 5.00"},
	}
}

func sampleInvoice() Values {
	return sampleCommon().with(Values{
		"cost": "USD 30.00", "currency": "USD",
		"invoice_url": "https://purser.example/documents/weather/invoices/sample.pdf", "payment_url": "https://pay.example/invoice/sample",
		"receipt_url": "https://pay.example/receipt/sample",
		// Why the last charge failed, and when the next one comes.
		"reason": "Your card was declined.", "next_attempt_on": "2026-04-05",
		"invoice": Values{
			"id": "inv_0190a0b0c0d07e0f8a1b2c3d4e5f6071", "friendly_id": "2026-03-00000001", "state": "open", "currency": "USD",
			"cost": "USD 30.00", "cost_without_vat": "USD 30.00", "vat_amount": "USD 0.00",
			"issued_on": "2026-03-31", "due_on": "2026-04-02", "paid_on": "2026-04-02",
			"url": "https://pay.example/invoice/sample", "pdf_url": "https://purser.example/documents/weather/invoices/sample.pdf",
			"line_items": sampleLines(),
			"name":       "Forecasts in March", "period_begin": "2026-03-01", "period_end": "2026-03-31",
			"vat_rate": "0", "vat_code": "GB123456789", "pay_now?": "true",
			"payment_transactions": []Values{{
				"created_at": "2026-04-02", "success?": "true", "message": "Your card was declined.",
				"amount": "30.00", "currency": "USD", "reference": "pi_sample",
			}},
		},
	}).withCard()
}

func sampleQuote() Values {
	return sampleCommon().with(Values{
		"cost": "USD 30.00", "quote_url": "https://purser.example/quotes/weather/sample",
		"quote": Values{
			"id": "quo_0190a0b0c0d07e0f8a1b2c3d4e5f6071", "friendly_id": "Q-2026-00000001", "cost": "USD 30.00", "currency": "USD",
			"expires_on": "2026-04-30", "url": "https://purser.example/quotes/weather/sample",
			"pdf_url": "https://purser.example/documents/weather/quotes/sample.pdf", "line_items": sampleLines(),
		},
	})
}

func sampleSubscription() Values {
	return sampleCommon().with(Values{
		// What is charged next, tax included, and on which day.
		"cost": "USD 30.00", "charge_on": "2026-04-17",
		"subscription": Values{
			"id": "sub_0190a0b0c0d07e0f8a1b2c3d4e5f6071", "name": "Forecasts, Support", "currency": "USD", "line_items": sampleLines(),
		},
	}).withCard()
}

func sampleCard() Values {
	return sampleCommon().with(Values{"payment_url": "https://portal.example/cards"}).withCard()
}

// withCard adds the card that is charged.
func (v Values) withCard() Values {
	for _, name := range []string{"account", "buyer_account"} {
		v[name] = sampleAccount().with(Values{"credit_card_display_number": "Visa •••• 4242", "credit_card_expiration_date": "2026-04", "credit_card_stored?": "true"})
	}
	return v
}

func sampleBalance() Values {
	return sampleCommon().with(Values{
		// What is, or would have been, charged for a reload, and where to pay it.
		"cost": "USD 10.00", "payment_url": "https://purser.example/thanks/weather/sample",
		"reason": "Your card was declined.", "next_attempt_on": "2026-04-05",
		"balance": Values{"currency": "USD", "remaining": "USD 4.50", "level": "USD 5.00"},
	})
}
