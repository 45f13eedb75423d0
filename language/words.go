package language

// Words are all that pages and documents say. Those with a %s take what stands
// in their comment.
type Words struct {
	// What a document is.
	Quote, Invoice, Receipt, CreditNote string

	// Beside and above the positions of a document.
	From, To, Date, Due, Paid, ValidUntil, Issued, PaidWith, TaxNumber string
	Description, Quantity, UnitPrice, Amount                           string
	// Under them.
	Subtotal, Tax, Total, TotalWithTax, AmountDue, AmountPaid, Credited, TotalCredited string
	TaxAt                                                                              string // rate
	TaxOf                                                                              string // rate, taxable amount
	DatedOn                                                                            string // number of an invoice, its date
	// With what an invoice was paid.
	WithBalance, WithSeller string
	WithOrder               string // order code
	// Sentences under the sums.
	ReverseCharge, PositionsWithTax string
	PayOnline                       string
	TestDocument                    string
	// Marks are statuses as they stand beside the number of a document.
	Marks map[string]string

	// The page after a payment: a heading and a sentence for each end.
	Thanks, ThanksText             string
	Failed, Canceled, NotCharged   string
	Left, LeftText                 string
	Unfinished, UnfinishedText     string
	Waiting, WaitingText           string
	Order, ShowReceipt, PayFurther string
	// Refusals say to the payer why a payment failed, by the gateway's code;
	// Refused is for any other. English has the gateway's own words.
	Refusals map[string]string
	Refused  string

	// The page of an invoice.
	Test, TestPage                           string
	Pay                                      string // amount
	PaidElsewhere, DocumentFile, ReceiptFile string
	PressAgain, NotNow, NoGateway, NotReady  string

	// The page of a quote.
	Begins, AcceptQuote, BeginsSubscription         string
	QuoteWaiting, QuoteExpired, QuoteWithdrawn      string
	QuoteAccepted, InvoiceFollows, ToInvoice        string
	FromElsewhere, NotAcceptable, AcceptanceUnknown string

	// Pages that show nothing.
	NotFound, NotFoundText     string
	Unreadable, UnreadableText string
}
