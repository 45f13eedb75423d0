package worldpaysandbox

import (
	"fmt"
	"slices"
	"strings"
)

// rule is what the DTD lets an element hold.
type rule struct {
	// content is a sequence of names, each with ?, * or + where it may be left
	// out or repeated, and with a|b for a choice; or "text"; or "" for an
	// element that is empty. Two sequences are alternatives.
	content []string
	// attributes are names, with ! where one is required, and with =a|b where
	// its values are enumerated.
	attributes string
}

func holds(content ...string) rule { return rule{content: content} }

func (r rule) having(attributes string) rule {
	r.attributes = attributes
	return r
}

var (
	text    = holds("text")
	nothing = holds("")
)

// cards are the payment methods that carry a card's data.
const cards = "CARD-SSL|VISA-SSL|ECMC-SSL|AMEX-SSL|MAESTRO-SSL"

// grammar is the part of the service's DTD that is emulated: the order of the
// elements in a request is fixed, and the real service reads nothing else. An
// element that stands in a sequence and has no rule of its own exists at the
// service, but not here.
var grammar = map[string]rule{
	root:      holds("submit|modify|inquiry|reply|notify|verify").having("version!=1.4|1.3|1.2|1.1|1.0 merchantCode"),
	"submit":  holds("order|orderBatch|shopper|futurePayAgreement|makeFuturePayPayment|identifyMeRequest|paymentTokenCreate|challenge"),
	"modify":  holds("orderModification|batchModification|accountBatchModification|futurePayAgreementModification|paymentTokenUpdate|paymentTokenDelete"),
	"inquiry": holds("orderInquiry|klarnaConfirmationInquiry|batchInquiry|accountBatchInquiry|refundableAmountInquiry|shopperAuthentication|priceInquiry|bankAccountInquiry|identifyMeInquiry|paymentOptionsInquiry|paymentTokenInquiry|shopperTokenRetrieval|cardCheckInquiry"),

	"order": holds(
		"description amount risk? orderContent? paymentMethodMask|paymentDetails|payAsOrder shopper? shippingAddress? billingAddress?"+
			" branchSpecificExtension? extendedOrderDetail? redirectPageAttribute? paymentMethodAttribute* echoData? statementNarrative?"+
			" hcgAdditionalData? thirdPartyData? resultURL? shopperAdditionalData? approvedAmount? mandate? authorisationAmountStatus?"+
			" dynamic3DS? createToken|createTokenApproval? orderLines? subMerchantData? dynamicMCC? dynamicInteractionType?"+
			" primeRoutingRequest? riskData? additional3DSData? exemption? shippingMethod? productSku? FraudSightData? deviceSession?",
		"info3DSecure session",
	).having("orderCode agreementId shoppingBasketCode installationId shopperLanguageCode fixContact=true|false hideContact=true|false captureDelay"),
	"description":        text,
	"amount":             nothing.having("value! currencyCode! exponent!=0|2|3 debitCreditIndicator=debit|credit"),
	"risk":               nothing.having("multiply avsLevel cvcLevel"),
	"orderContent":       text,
	"statementNarrative": text,

	"paymentMethodMask": holds("storedCredentials? include include|exclude*"),
	"include":           nothing.having("code!"),
	"exclude":           nothing.having("code!"),
	"storedCredentials": holds("schemeTransactionIdentifier?").having(
		"usage!=NA|FIRST|USED merchantInitiatedReason=NA|REAUTH|UNSCHEDULED|DELAYED|INSTALMENT|INCREMENTAL|RECURRING|RESUBMISSION|NOSHOW" +
			// The service's own documents know this one, its DTD does not.
			" customerInitiatedReason"),
	"schemeTransactionIdentifier": text,

	"paymentDetails": holds(cards + "|TOKEN-SSL storedCredentials? localDateTimeAtPOS? session? info3DSecure? captcha? existingAuthorisationCode? routingMID?").
		having("action=AUTHORISE|REFUND|OFFLINEAUTHORISE|ACCOUNTVERIFICATION|SALE|AUTHENTICATE"),
	"TOKEN-SSL":      holds("paymentTokenID paymentInstrument?", "cvc session").having("tokenScope=shopper|merchant captureCvc=true|false"),
	"paymentTokenID": text,
	"CARD-SSL":       card,
	"VISA-SSL":       card,
	"ECMC-SSL":       card,
	"AMEX-SSL":       card,
	"MAESTRO-SSL":    holds("cardNumber expiryDate cardHolderName startDate? issueNumber? cvc? cardAddress? cardSwipe?"),
	"cardNumber":     text,
	"expiryDate":     holds("date"),
	"cardHolderName": text,
	"cvc":            text,
	"cardAddress":    holds("address"),

	"shopper":                holds("shopperEmailAddress? authenticatedShopperID? bankAccount? browser? transactionTimeOut? session?"),
	"shopperEmailAddress":    text,
	"authenticatedShopperID": text,
	"browser": holds("acceptHeader? userAgentHeader? httpAcceptLanguage? httpReferer? activeHeaders? timeZone? resolution? browserLanguage?").
		having("deviceType=0|1|2|3 deviceOS=ios|android|windows|linux|osx|other"),
	"acceptHeader":       text,
	"userAgentHeader":    text,
	"httpAcceptLanguage": text,
	"httpReferer":        text,
	"timeZone":           text,
	"browserLanguage":    text,
	"session":            nothing.having("shopperIPAddress id"),

	"shippingAddress": holds("address"),
	"billingAddress":  holds("address"),
	"address": holds(
		"firstName? lastName? address1? address2? address3? postalCode city? state? countryCode telephoneNumber?",
		"firstName? lastName? street houseName? houseNumber? houseNumberExtension? postalCode city? state? countryCode telephoneNumber?",
	),
	"firstName": text, "lastName": text, "address1": text, "address2": text, "address3": text, "street": text, "houseName": text,
	"houseNumber": text, "houseNumberExtension": text, "postalCode": text, "city": text, "state": text, "countryCode": text, "telephoneNumber": text,

	"createToken":         holds("tokenEventReference? tokenReason? shortLifeMins? paymentTokenExpiry?").having("tokenScope=shopper|merchant tokenOptIn=silent|notify|ask"),
	"tokenEventReference": text,
	"tokenReason":         text,
	"paymentTokenExpiry":  holds("date"),
	"date":                nothing.having("dayOfMonth month! year! hour minute second"),

	"orderModification": holds("cancel|capture|refund|revoke|addBackOfficeCode|authorise|increaseAuthorisation|cancelOrRefund|defend|shopperWebformRefundDetails|extendExpiryDate|cancelRefund|cancelRetry|voidSale|approve").
		having("orderCode!"),
	"cancel":         holds("localDateTimeAtPOS? POSRequest?").having("immediate=yes|no instant=true|false"),
	"capture":        holds("localDateTimeAtPOS? date? amount branchSpecificExtension? POSCaptureRequest? shipping? orderLines?").having("reference instant=true|false"),
	"refund":         holds("amount branchSpecificExtension? reason? iban? warning? orderLines?").having("reference paymentId immediate=true|false shopperWebformRefund=true|false merchantCode"),
	"reason":         text,
	"cancelOrRefund": nothing,

	"paymentTokenDelete": holds("paymentTokenID authenticatedShopperID? tokenEventReference? tokenReason?").having("tokenScope=shopper|merchant"),
	"orderInquiry":       holds("cardSearch?|dateSearch?").having("orderCode instant update=true|false"),
}

var card = holds("cardNumber expiryDate cardHolderName cvc? cardAddress? cardSwipe? comboCard?")

// validate holds an element and everything in it against the grammar. What is
// wrong is told as the service tells it: error 2, at the top of the reply.
func validate(e *element) error {
	r, known := grammar[e.name]
	if !known {
		return refuse(codeInvalid, "The element %s exists at the service, but this sandbox does not emulate it.", e.name)
	}
	if err := r.check(e); err != nil {
		return err
	}
	for _, c := range e.children {
		if err := validate(c); err != nil {
			return err
		}
	}
	return nil
}

// check holds an element without what is inside of its children against its
// rule.
func (r rule) check(e *element) error {
	if err := r.checkAttributes(e); err != nil {
		return err
	}
	switch {
	case slices.Contains(r.content, "text"):
		if len(e.children) > 0 {
			return refuse(codeParse, "Invalid XML: the element %s holds text only.", e.name)
		}
	case strings.TrimSpace(e.text) != "":
		return refuse(codeParse, "Invalid XML: the element %s holds no text.", e.name)
	case !slices.ContainsFunc(r.content, func(sequence string) bool { return follows(sequence, e.children) }):
		return refuse(codeParse, "Invalid XML: the content of %s must be (%s), in this order; it is (%s).", e.name, strings.Join(r.content, ") or ("), names(e.children))
	}
	return nil
}

func names(children []*element) string {
	var all []string
	for _, c := range children {
		all = append(all, c.name)
	}
	return strings.Join(all, " ")
}

// follows reports whether the children are what a sequence asks for, in its
// order.
func follows(sequence string, children []*element) bool {
	for _, part := range strings.Fields(sequence) {
		choice := strings.TrimRight(part, "?*+")
		mark := part[len(choice):]
		options := strings.Split(choice, "|")
		for i, option := range options {
			options[i] = strings.TrimRight(option, "?")
		}
		n := 0
		for n < len(children) && slices.Contains(options, children[n].name) {
			if n++; mark != "*" && mark != "+" {
				break
			}
		}
		if n == 0 && (mark == "" || mark == "+") {
			return false
		}
		children = children[n:]
	}
	return len(children) == 0
}

func (r rule) checkAttributes(e *element) error {
	allowed := strings.Fields(r.attributes)
	for _, a := range allowed {
		spec, values, enumerated := strings.Cut(a, "=")
		name, required := strings.CutSuffix(spec, "!")
		given := slices.ContainsFunc(e.attributes, func(have attribute) bool { return have.name == name })
		switch {
		case !given && required:
			return refuse(codeParse, "Invalid XML: the attribute %s of %s is required.", name, e.name)
		case given && enumerated && !slices.Contains(strings.Split(values, "|"), e.attr(name)):
			return refuse(codeParse, "Invalid XML: the attribute %s of %s must be one of (%s).", name, e.name, values)
		}
	}
	for _, a := range e.attributes {
		known := slices.ContainsFunc(allowed, func(spec string) bool {
			name, _, _ := strings.Cut(spec, "=")
			return strings.TrimSuffix(name, "!") == a.name
		})
		if !known {
			return refuse(codeParse, "Invalid XML: the element %s has no attribute %s.", e.name, a.name)
		}
	}
	return nil
}

// serviceError is a refusal by the service. It stands at the top of the reply,
// or, where it is about an order, inside of that order's status.
type serviceError struct {
	code  string
	text  string
	order string
}

func (e *serviceError) Error() string { return fmt.Sprintf("error %s: %s", e.code, e.text) }

// The codes of errors that occur here.
const (
	codeParse    = "2" // not XML, or not according to the DTD
	codeAmount   = "3" // order or amount
	codeSecurity = "4"
	codeInvalid  = "5" // such as a duplicate order or one that is not known
	codeDetails  = "7" // payment details
)

func refuse(code, format string, args ...any) error {
	return &serviceError{code: code, text: fmt.Sprintf(format, args...)}
}
