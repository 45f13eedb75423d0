package stripesandbox

import "net/http"

// defaultCurrency is that of every account of the sandbox.
const defaultCurrency = "usd"

func accountRoutes() []route {
	return []route{{method: http.MethodGet, path: "/v1/account", run: func(t *tx, _ *params) (object, error) {
		return object{
			"id": t.account, "object": "account", "business_profile": object{"name": "Sandbox", "url": nil}, "business_type": "company",
			"capabilities": object{"card_payments": "active", "transfers": "active"}, "charges_enabled": true, "country": "US", "created": t.now,
			"default_currency": defaultCurrency, "details_submitted": true, "email": "sandbox@example.com", "livemode": false, "metadata": object{},
			"payouts_enabled": true, "type": "standard",
			"settings": object{
				"branding":      object{"icon": nil, "logo": nil, "primary_color": nil, "secondary_color": nil},
				"card_payments": object{"statement_descriptor_prefix": nil, "statement_descriptor_prefix_kana": nil, "statement_descriptor_prefix_kanji": nil},
				"dashboard":     object{"display_name": "Sandbox", "timezone": "Etc/UTC"},
				"payments":      object{"statement_descriptor": nil, "statement_descriptor_kana": nil, "statement_descriptor_kanji": nil},
			},
		}, nil
	}}}
}

func portalRoutes() []route {
	return []route{{method: http.MethodPost, path: "/v1/billing_portal/sessions", params: "customer return_url locale", run: createPortalSession}}
}

// portalSeconds is how long the address of a portal session works.
const portalSeconds = 3600

func createPortalSession(t *tx, in *params) (object, error) {
	in.need("customer")
	returnURL := in.url("return_url")
	if err := in.err(); err != nil {
		return nil, err
	}
	customer, err := t.live("customer", in.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	page := t.newID("")
	session := object{
		"id": t.newID("bps_"), "object": "billing_portal.session", "configuration": "bpc_sandbox", "created": t.now, "customer": customer.id(), "flow": nil,
		"livemode": false, "locale": orNull(in.str("locale")), "on_behalf_of": nil, "return_url": orNull(returnURL), "url": t.srv.link("/pages/portal/" + page),
		"_page": page, "_expires_at": t.now + portalSeconds,
	}
	t.insert(session)
	return session, nil
}
