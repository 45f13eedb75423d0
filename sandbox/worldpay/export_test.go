package worldpaysandbox

import "fmt"

// said is the part of the service's DTD that the sandbox writes.
var said = map[string]rule{
	root:           holds("reply|notify").having("version! merchantCode"),
	"reply":        holds("orderStatus", "error", "ok"),
	"notify":       holds("orderStatusEvent"),
	"error":        text.having("code!=1|2|3|4|5|6|7|8|9|10|11|12|13"),
	"orderStatus":  holds("reference", "error", "payment token? date?").having("orderCode!"),
	"reference":    text.having("id"),
	"ok":           holds("cancelReceived|voidReceived|captureReceived|refundReceived|deleteTokenReceived"),
	"date":         nothing.having("dayOfMonth month! year! hour minute second"),
	"amount":       nothing.having("value! currencyCode! exponent!=0|2|3 debitCreditIndicator=debit|credit"),
	"expiryDate":   holds("date"),
	"tokenReason":  text,
	"cardNumber":   text,
	"lastEvent":    text,
	"journal":      holds("bookingDate accountTx* journalReference*").having("journalType! sent=y|n"),
	"bookingDate":  holds("date"),
	"balance":      holds("amount").having("accountType!"),
	"cardBrand":    text,
	"cardSubBrand": text,

	"captureReceived": holds("amount").having("orderCode!"), "refundReceived": holds("amount").having("orderCode!"),
	"cancelReceived": nothing.having("orderCode!"), "voidReceived": nothing.having("orderCode!"), "deleteTokenReceived": nothing.having("paymentTokenID!"),

	"orderStatusEvent":    holds("payment token? journal").having("orderCode!"),
	"accountTx":           holds("amount").having("accountType!=IN_PROCESS_AUTHORISED|IN_PROCESS_CAPTURED|IN_PROCESS_SENT_FOR_AUTH|SETTLED_BIBIT_NET batchId"),
	"journalReference":    nothing.having("type! reference"),
	"payment":             holds("paymentMethod amount lastEvent reference? AuthorisationId? ISO8583ReturnCode? ThreeDSecureResult? balance* cardNumber? schemeResponse?"),
	"paymentMethod":       text,
	"AuthorisationId":     nothing.having("id!"),
	"ISO8583ReturnCode":   nothing.having("code! description!"),
	"ThreeDSecureResult":  nothing.having("description!"),
	"schemeResponse":      holds("transactionIdentifier"),
	"token":               holds("authenticatedShopperID? tokenEventReference? tokenDetails paymentInstrument"),
	"tokenDetails":        holds("paymentTokenID paymentTokenExpiry tokenReason").having("tokenEvent=NEW|MATCH|CONFLICT|USE"),
	"paymentTokenID":      text,
	"paymentTokenExpiry":  holds("date"),
	"tokenEventReference": text,
	"paymentInstrument":   holds("cardDetails"),
	"cardDetails":         holds("expiryDate cardHolderName derived"),
	"cardHolderName":      text,
	"derived":             holds("cardBrand cardSubBrand issuerCountryCode obfuscatedPAN"),
	"issuerCountryCode":   text,
	"obfuscatedPAN":       text,

	"transactionIdentifier":  text,
	"authenticatedShopperID": text,
}

// Conforms holds what the sandbox has written against the DTD.
func Conforms(raw []byte) error {
	document, err := parse(raw)
	if err != nil {
		return err
	}
	return conforms(document)
}

func conforms(e *element) error {
	r, known := said[e.name]
	if !known {
		return fmt.Errorf("the element %s is not written by the sandbox", e.name)
	}
	if err := r.check(e); err != nil {
		return err
	}
	for _, c := range e.children {
		if err := conforms(c); err != nil {
			return err
		}
	}
	return nil
}
