package stripesandbox

import (
	"net/http"

	"purser/sandbox"
)

func showInvoice(t *tx, inv object, _ *http.Request) (answer, error) {
	return t.invoicePage(inv, typedProblem{})
}

func (t *tx) invoicePage(inv object, problem typedProblem) (answer, error) {
	customer, err := t.find(inv.str("customer"))
	if err != nil {
		return answer{}, err
	}
	charge, err := t.find(inv.str("charge"))
	if err != nil {
		return answer{}, err
	}
	pi, err := t.find(inv.str("payment_intent"))
	if err != nil {
		return answer{}, err
	}
	currency := inv.str("currency")
	data := map[string]any{
		"Problem": problem.text, "Field": problem.field, "Number": inv.str("number"), "Customer": customerName(customer), "DueDate": "", "State": inv.str("status"),
		"Due": display(inv.num("amount_due"), currency), "Lines": pageRows(inv.items("lines"), "amount", currency),
		"Total": display(inv.num("total"), currency), "PDF": inv.str("_page") + "/pdf", "Receipt": "", "Authenticate": "",
	}
	if due := inv.num("due_date"); due > 0 {
		data["DueDate"] = day(due)
	}
	if s := inv.str("status"); s == "open" || s == "uncollectible" {
		data["State"] = "payable"
	}
	if charge.flag("paid") {
		data["Receipt"] = "../receipts/" + charge.str("_page")
	}
	if pi.str("status") == "requires_action" {
		data["Authenticate"] = "../3ds/" + pi.str("_page")
	}
	if problem.text == "" && data["State"] == "payable" {
		data["Problem"] = pi.sub("last_payment_error").str("message")
	}
	title := "Pay your invoice"
	if data["State"] != "payable" {
		title = "Your invoice"
	}
	return answer{page: sandbox.Page{Title: title, Template: "invoice", Data: data}}, nil
}

// payInvoicePage takes the card form of an invoice. An invoice that is paid
// already is only shown: a form sent twice charges once.
func payInvoicePage(t *tx, inv object, r *http.Request) (answer, error) {
	here := answer{redirect: inv.str("_page")}
	if s := inv.str("status"); s != "open" && s != "uncollectible" {
		return here, nil
	}
	card, problem := typedCard(r, t.now)
	if problem.text != "" {
		a, err := t.invoicePage(inv, problem)
		a.page.Status = http.StatusUnprocessableEntity
		return a, err
	}
	pi, err := t.get("payment_intent", inv.str("payment_intent"))
	if err != nil {
		return answer{}, err
	}
	if inv.num("attempt_count") == 0 {
		inv["attempt_count"] = 1
		t.save(inv)
	}
	problem, err = t.tryCard(func() error {
		pm := t.newPaymentMethod(card.testCard, card.month, card.year)
		t.insert(pm)
		return t.confirmPaymentIntent(pi, confirmation{method: pm.id()})
	})
	if err != nil {
		return answer{}, err
	}
	if problem.text != "" {
		after, err := t.get("invoice", inv.id())
		if err != nil {
			return answer{}, err
		}
		a, err := t.invoicePage(after, problem)
		a.page.Status = http.StatusPaymentRequired
		return a, err
	}
	if pi.str("status") == "requires_action" {
		return answer{redirect: "../3ds/" + pi.str("_page")}, nil
	}
	return here, nil
}

func invoicePDF(_ *tx, inv object, _ *http.Request) (answer, error) {
	currency := inv.str("currency")
	lines := []sandbox.PDFLine{
		{Left: "INVOICE " + inv.str("number"), Right: "TEST", Bold: true},
		{},
		{Left: "From", Right: inv.str("account_name")},
		{Left: "To", Right: customerName(object{"name": inv["customer_name"], "email": inv["customer_email"], "id": inv["customer"]})},
		{Left: "Date", Right: day(inv.sub("status_transitions").num("finalized_at"))},
	}
	if due := inv.num("due_date"); due > 0 {
		lines = append(lines, sandbox.PDFLine{Left: "Due", Right: day(due)})
	}
	lines = append(lines, sandbox.PDFLine{})
	lines = append(lines, pdfLines(inv.items("lines"), "amount", currency)...)
	lines = append(lines, sandbox.PDFLine{},
		sandbox.PDFLine{Left: "Total", Right: display(inv.num("total"), currency), Bold: true},
		sandbox.PDFLine{Left: "Amount due", Right: display(inv.num("amount_remaining"), currency), Bold: true}, sandbox.PDFLine{})
	if inv.str("status") == "paid" {
		lines = append(lines, sandbox.PDFLine{Left: "Paid on " + day(inv.sub("status_transitions").num("paid_at"))})
	} else {
		lines = append(lines, sandbox.PDFLine{Left: "Pay online:"}, sandbox.PDFLine{Left: inv.str("hosted_invoice_url")})
	}
	return answer{pdf: sandbox.PDF("Invoice "+inv.str("number"), lines), name: "invoice-" + inv.str("number")}, nil
}

func receiptData(charge object) (amount, card, date, refunded string) {
	currency := charge.str("currency")
	details := charge.sub("payment_method_details").sub("card")
	if back := charge.num("amount_refunded"); back > 0 {
		refunded = display(back, currency)
	}
	return display(charge.num("amount"), currency), details.str("brand") + " ending in " + details.str("last4"), day(charge.num("created")), refunded
}

func showReceipt(_ *tx, charge object, _ *http.Request) (answer, error) {
	if !charge.flag("paid") {
		return answer{}, errNoPage
	}
	amount, card, date, refunded := receiptData(charge)
	return answer{page: sandbox.Page{Title: "Receipt", Template: "receipt", Data: map[string]any{
		"Amount": amount, "Card": card, "Date": date, "Refunded": refunded, "Description": charge.str("description"), "Charge": charge.id(),
		"PDF": charge.str("_page") + "/pdf",
	}}}, nil
}

func receiptPDF(_ *tx, charge object, _ *http.Request) (answer, error) {
	if !charge.flag("paid") {
		return answer{}, errNoPage
	}
	amount, card, date, refunded := receiptData(charge)
	lines := []sandbox.PDFLine{{Left: "RECEIPT", Right: "TEST", Bold: true}, {}, {Left: "Payment", Right: charge.id()}, {Left: "Date", Right: date}, {Left: "Paid with", Right: card}}
	if text := charge.str("description"); text != "" {
		lines = append(lines, sandbox.PDFLine{Left: text})
	}
	lines = append(lines, sandbox.PDFLine{Left: "Amount paid", Right: amount, Bold: true})
	if refunded != "" {
		lines = append(lines, sandbox.PDFLine{Left: "Refunded", Right: refunded})
	}
	return answer{pdf: sandbox.PDF("Receipt "+charge.id(), lines), name: "receipt-" + charge.id()}, nil
}

func showPortal(t *tx, session object, _ *http.Request) (answer, error) {
	if session.num("_expires_at") <= t.now {
		return answer{}, errNoPage
	}
	cards, _, err := t.list(listing{kind: "payment_method", filters: []filter{{"customer", "=", session.str("customer")}}, limit: pageMax})
	if err != nil {
		return answer{}, err
	}
	invoices, _, err := t.list(listing{kind: "invoice", filters: []filter{{"customer", "=", session.str("customer")}, {"status", "<>", "draft"}}, limit: pageMax})
	if err != nil {
		return answer{}, err
	}
	var cardRows, invoiceRows []line
	for _, pm := range cards {
		cardRows = append(cardRows, line{Text: pm.sub("card").str("brand") + " ending in " + pm.sub("card").str("last4")})
	}
	for _, inv := range invoices {
		invoiceRows = append(invoiceRows, line{
			Text: inv.str("number") + ", " + inv.str("status"), Link: "../invoices/" + inv.str("_page"),
			Amount: display(inv.num("amount_due"), inv.str("currency")),
		})
	}
	return answer{page: sandbox.Page{Title: "Billing", Template: "portal", Data: map[string]any{
		"Cards": cardRows, "Invoices": invoiceRows, "Return": session.str("return_url"),
	}}}, nil
}
