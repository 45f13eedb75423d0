package language

import (
	"strconv"
	"strings"
	"time"
)

var english = &Language{
	Tag: "en", Direction: "ltr",
	decimal: ".", group: ",",
	// The month in letters is the same day on both sides of the ocean.
	date: func(t time.Time) string { return t.Format("2 January 2006") },
	every: func(n int, unit string) string {
		unit = strings.ToLower(unit)
		if n == 1 {
			return "every " + unit
		}
		return "every " + strconv.Itoa(n) + " " + unit + "s"
	},
	Words: Words{
		Quote: "Quote", Invoice: "Invoice", Receipt: "Receipt", CreditNote: "Credit note",

		From: "From", To: "To", Date: "Date", Due: "Due", Paid: "Paid", ValidUntil: "Valid until", Issued: "Issued",
		PaidWith: "Paid with", TaxNumber: "Tax number",
		Description: "Description", Quantity: "Quantity", UnitPrice: "Unit price", Amount: "Amount",
		Subtotal: "Subtotal", Tax: "Tax", Total: "Total", TotalWithTax: "Total including tax",
		AmountDue: "Amount due", AmountPaid: "Amount paid", Credited: "Credited", TotalCredited: "Total credited",
		TaxAt: "Tax (%s %%)", TaxOf: "Tax (%s %% of %s)", DatedOn: "%s of %s",
		WithBalance: "Balance", WithSeller: "Paid directly", WithOrder: "Online payment %s",
		ReverseCharge:    "Reverse charge: the tax on this supply is owed by its recipient.",
		PositionsWithTax: "The amounts of the positions include tax.",
		PayOnline:        "Pay online",
		TestDocument:     "TEST: no money is meant by this document",
		Marks: map[string]string{
			"PAID": "PAID", "VOID": "VOID", "ACCEPTED": "ACCEPTED", "CANCELED": "CANCELED", "EXPIRED": "EXPIRED",
		},

		Thanks: "Thank you", ThanksText: "Your payment has arrived.",
		Failed: "The payment did not go through", Canceled: "The payment was canceled", NotCharged: "Nothing was charged.",
		Left: "You left without paying", LeftText: "Nothing was charged.",
		Unfinished: "The payment is not complete", UnfinishedText: "We have not heard of your payment yet. If you have paid, you can close this page: your payment will be recorded without you.",
		Waiting: "We are waiting for your bank", WaitingText: "The payment is not confirmed yet. You can close this page: nothing more is needed from you.",
		Order: "Order", ShowReceipt: "Show the receipt", PayFurther: "Continue with the payment",
		Refused: "The payment was declined.",

		Test: "TEST", TestPage: "TEST — no real money moves here",
		Pay: "Pay %s", PaidElsewhere: "This invoice is paid to the seller directly.",
		DocumentFile: "Document (PDF)", ReceiptFile: "Receipt (PDF)",
		PressAgain: "Please press the button once more.",
		NotNow:     "It cannot be paid here at the moment: a payment may be under way. Look again in a few minutes, or ask the seller.",
		NoGateway:  "The payment page cannot be reached now. Nothing was charged: try again in a moment.",
		NotReady:   "The payment page is not there yet. Try again in a moment.",

		Begins: "Begins", AcceptQuote: "Accept this quote",
		BeginsSubscription: "Accepting it begins a subscription: what says “every” is billed again each time, until the subscription is ended.",
		QuoteWaiting:       "This quote is being processed. Open this page again in a moment.",
		QuoteExpired:       "This quote has expired, and cannot be accepted any more. Ask the seller for a new one.",
		QuoteWithdrawn:     "This quote was taken back, and cannot be accepted any more. Ask the seller for a new one.",
		QuoteAccepted:      "This quote is accepted. Thank you.", InvoiceFollows: "The invoice follows.", ToInvoice: "To the invoice",
		FromElsewhere:     "Another page has sent you here, and nothing was accepted. Read the quote, and press the button yourself.",
		NotAcceptable:     "It cannot be accepted here at the moment. Ask the seller.",
		AcceptanceUnknown: "It is not known yet whether that has worked. Open this page again in a moment.",

		NotFound: "There is nothing at this address", NotFoundText: "The link may be incomplete, or no longer valid. Open it once more from where you got it, or ask whoever sent it.",
		Unreadable: "This page cannot be shown now", UnreadableText: "Nothing is lost. Please try again in a moment.",
	},
}
