package worldpay

import (
	"errors"
	"net/url"
	"strings"

	"purser/gateway"
)

// The addresses of Worldpay's XML service.
const (
	testHost    = "https://secure-test.worldpay.com"
	liveHost    = "https://secure.worldpay.com"
	servicePath = "/jsp/merchant/xml/paymentService.jsp"
)

// ownHost is Worldpay's address for an environment; empty where it has none.
func ownHost(env gateway.Environment) string {
	switch env {
	case gateway.EnvironmentTest:
		return testHost
	case gateway.EnvironmentLive:
		return liveHost
	default:
		return ""
	}
}

// service is the address of an account's XML service: the one that was given
// for it, else that of its environment. A given one is checked at every call,
// since the operator may have changed the list.
func (a *Adapter) service(acc gateway.Account) (string, error) {
	if acc.Endpoint != "" {
		return a.given(acc)
	}
	address, err := a.baseURL(acc.Environment)
	if err != nil {
		return "", err
	}
	if address == "" {
		address = ownHost(acc.Environment)
	}
	if address == "" {
		// Never let a sandbox's requests go to Worldpay.
		return "", errors.New("the environment " + string(acc.Environment) + " has no gateway address")
	}
	return strings.TrimSuffix(address, "/") + servicePath, nil
}

// given is the address that was given for an account's XML service. A host
// alone stands for the path that Worldpay has.
func (a *Adapter) given(acc gateway.Account) (string, error) {
	own := ownHost(acc.Environment)
	if own == "" {
		return "", errors.New("the environment " + string(acc.Environment) + " has its own gateway: leave the address out")
	}
	u, err := url.Parse(acc.Endpoint)
	if err != nil {
		return "", errors.New("the address of the XML service cannot be read")
	}
	for _, env := range []gateway.Environment{gateway.EnvironmentTest, gateway.EnvironmentLive} {
		if env != acc.Environment && strings.EqualFold("https://"+u.Hostname(), ownHost(env)) {
			return "", errors.New("this is Worldpay's address for " + string(env) + ", but the environment is " + string(acc.Environment) + ": " + own + servicePath)
		}
	}
	if err := a.allowed(acc.Endpoint, own); err != nil {
		return "", err
	}
	if strings.Trim(u.Path, "/") == "" {
		return strings.TrimSuffix(acc.Endpoint, "/") + servicePath, nil
	}
	return acc.Endpoint, nil
}
