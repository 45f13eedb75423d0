package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// gatewayControl works the switches of one account of the sandbox.
type gatewayControl struct {
	client *http.Client
	// address of the sandbox, without a slash at the end.
	address string
	// key is the account's secret key.
	key string
}

// ask sends one request to the sandbox and reads its JSON.
func (g *gatewayControl) ask(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, g.address+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+g.key)
	answer, err := g.client.Do(r)
	if err != nil {
		return fmt.Errorf("ask the sandbox for %s: %w", path, err)
	}
	raw, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("read the sandbox's answer to %s: %w", path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the sandbox answers %s with %d: %s", path, answer.StatusCode, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// do carries out one line of a script and returns what it made known.
func (g *gatewayControl) do(ctx context.Context, line string) (map[string]string, error) {
	head, tail, _ := strings.Cut(line, ":")
	words := strings.Fields(head)
	// A line is told by its first word or words; the rest are its own.
	switch {
	case len(words) == 3 && words[0] == "request" && tail != "":
		return nil, g.requestFault(ctx, words[1], words[2], strings.Fields(tail))
	case len(words) == 2 && words[0] == "deliveries" && tail != "":
		return nil, g.deliveryFault(ctx, words[1], strings.Fields(tail))
	case line == "works again":
		return nil, g.ask(ctx, http.MethodDelete, "/_sandbox/faults", nil, nil)
	case len(words) == 3 && words[0] == "send" && words[1] == "again":
		return nil, g.sendAgain(ctx, words[2])
	case len(words) >= 2 && words[0] == "roll" && words[1] == "secret":
		return g.rollSecret(ctx, words[2:])
	case len(words) == 2 && words[0] == "refund":
		return nil, g.refund(ctx, words[1])
	case len(words) == 2 && words[0] == "dispute":
		return nil, g.decide(ctx, words[1])
	case len(words) == 2 && words[0] == "advance":
		return nil, g.advance(ctx, words[1])
	case len(words) == 2 && words[0] == "payout":
		return nil, g.form(ctx, "/v1/payouts", url.Values{"amount": {words[1]}, "currency": {"usd"}})
	case len(words) >= 4 && words[0] == "confirm" && words[2] == "with":
		return nil, g.confirm(ctx, words[1], words[3], slices.Equal(words[4:], []string{"in", "vain"}))
	case len(words) == 4 && words[0] == "card" && words[2] == "expires":
		return nil, g.cardExpires(ctx, words[1], words[3])
	case len(words) == 3 && words[0] == "delete" && words[1] == "customer":
		return nil, g.deleteCustomer(ctx, words[2])
	case len(words) > 2 && words[0] == "expect":
		return nil, g.expect(ctx, words[1:])
	}
	return nil, fmt.Errorf("the gateway's stand-in has no switch %q", line)
}

// requestFault turns on, for instance, "reset after", "status 429",
// "status 500 stored", "status 400 code country_unsupported", "delay 2s", each with "times 3", "skip 1".
func (g *gatewayControl) requestFault(ctx context.Context, method, path string, words []string) error {
	fault := map[string]any{"method": method, "path": path}
	for i := 0; i < len(words); i++ {
		word := words[i]
		var argument string
		if slices.Contains([]string{"status", "code", "delay", "times", "skip"}, word) {
			if i++; i == len(words) {
				return fmt.Errorf("%q needs a value", word)
			}
			argument = words[i]
		}
		switch word {
		case "code":
			fault[word] = argument
		case "reset", "truncate":
			fault["action"] = word
		case "before", "after":
			fault["when"] = word
		case "stored":
			fault["store"] = true
		case "status":
			n, err := strconv.Atoi(argument)
			if err != nil {
				return err
			}
			fault["action"], fault["status"] = "status", n
		case "delay":
			d, err := time.ParseDuration(argument)
			if err != nil {
				return err
			}
			fault["action"], fault["delay_milliseconds"] = "delay", d.Milliseconds()
		case "times", "skip":
			n, err := strconv.Atoi(argument)
			if err != nil {
				return err
			}
			fault[map[string]string{"times": "count", "skip": "skip"}[word]] = n
		default:
			return fmt.Errorf("a request cannot be made to %q", word)
		}
	}
	return g.ask(ctx, http.MethodPost, "/_sandbox/faults/requests", fault, nil)
}

// deliveryFault turns on "drop", "duplicate", "delay 1s" or "reorder 3" for
// the deliveries whose event type begins with kind, * for all; "always" until
// the gateway works again.
func (g *gatewayControl) deliveryFault(ctx context.Context, kind string, words []string) error {
	fault := map[string]any{}
	if kind != "*" {
		fault["kind"] = kind
	}
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case word == "drop", word == "duplicate", word == "reorder", word == "delay":
			fault["action"] = word
		case word == "always":
			fault["count"] = -1
		default:
			if n, err := strconv.Atoi(word); err == nil {
				fault["count"] = n
				continue
			}
			d, err := time.ParseDuration(word)
			if err != nil {
				return fmt.Errorf("a delivery cannot be made to %q", word)
			}
			fault["delay_milliseconds"] = d.Milliseconds()
		}
	}
	return g.ask(ctx, http.MethodPost, "/_sandbox/faults/deliveries", fault, nil)
}

// event is one of the sandbox's events.
type gatewayEvent struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// sendAgain delivers the newest event of a type once more.
func (g *gatewayControl) sendAgain(ctx context.Context, kind string) error {
	var list struct {
		Data []gatewayEvent `json:"data"`
	}
	if err := g.ask(ctx, http.MethodGet, "/v1/events?limit=100", nil, &list); err != nil {
		return err
	}
	for _, e := range list.Data {
		if e.Type == kind {
			return g.ask(ctx, http.MethodPost, "/_sandbox/events/"+e.ID+"/resend", nil, nil)
		}
	}
	return fmt.Errorf("the gateway has no event %s; it has %v", kind, list.Data)
}

// rollSecret gives the webhook endpoint a new signing secret, known as
// webhookSecret afterwards; the old one signs as well for the given time.
func (g *gatewayControl) rollSecret(ctx context.Context, words []string) (map[string]string, error) {
	overlap := time.Duration(0)
	if len(words) == 2 && words[0] == "overlap" {
		var err error
		if overlap, err = days(words[1]); err != nil {
			return nil, err
		}
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := g.ask(ctx, http.MethodGet, "/v1/webhook_endpoints", nil, &list); err != nil {
		return nil, err
	}
	if len(list.Data) != 1 {
		return nil, fmt.Errorf("the gateway knows %d webhook endpoints, not one", len(list.Data))
	}
	var rolled struct {
		Secret string `json:"secret"`
	}
	in := map[string]any{"overlap_seconds": int64(overlap.Seconds())}
	err := g.ask(ctx, http.MethodPost, "/_sandbox/webhook_endpoints/"+list.Data[0].ID+"/roll", in, &rolled)
	return map[string]string{"webhookSecret": rolled.Secret}, err
}

// form sends a request of the gateway's own API.
func (g *gatewayControl) form(ctx context.Context, path string, values url.Values) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.address+path, strings.NewReader(values.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+g.key)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := g.client.Do(r)
	if err != nil {
		return fmt.Errorf("ask the sandbox for %s: %w", path, err)
	}
	raw, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the sandbox answers %s with %d: %s (%w)", path, answer.StatusCode, raw, err)
	}
	return nil
}

// advance lets time pass at the gateway alone.
func (g *gatewayControl) advance(ctx context.Context, by string) error {
	d, err := days(by)
	if err != nil {
		return err
	}
	return g.ask(ctx, http.MethodPost, "/_sandbox/clock", map[string]any{"advance_seconds": int64(d.Seconds())}, nil)
}

// refund gives so much of the newest charge back, in minor units, as somebody
// does at the gateway's own pages.
func (g *gatewayControl) refund(ctx context.Context, amount string) error {
	s, err := g.state(ctx)
	if err != nil {
		return err
	}
	if len(s.Charges) == 0 {
		return errors.New("the gateway has charged nothing")
	}
	newest := s.Charges[len(s.Charges)-1]
	return g.form(ctx, "/v1/refunds", url.Values{"payment_intent": {newest.PaymentIntent}, "amount": {amount}})
}

// cardExpires gives the newest saved card with these last digits another last
// month, such as 11/39, as a bank does that replaces it.
func (g *gatewayControl) cardExpires(ctx context.Context, last4, end string) error {
	var customers struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := g.ask(ctx, http.MethodGet, "/v1/customers?limit=100", nil, &customers); err != nil {
		return err
	}
	month, year, _ := strings.Cut(end, "/")
	for _, c := range customers.Data {
		var cards struct {
			Data []struct {
				ID   string `json:"id"`
				Card struct {
					Last4 string `json:"last4"`
				} `json:"card"`
			} `json:"data"`
		}
		if err := g.ask(ctx, http.MethodGet, "/v1/customers/"+c.ID+"/payment_methods?limit=100", nil, &cards); err != nil {
			return err
		}
		for _, card := range cards.Data {
			if card.Card.Last4 == last4 {
				return g.form(ctx, "/v1/payment_methods/"+card.ID, url.Values{"card[exp_month]": {month}, "card[exp_year]": {"20" + year}})
			}
		}
	}
	return fmt.Errorf("the gateway keeps no card that ends in %s", last4)
}

// confirm does what the gateway's library does in a payer's browser: it pays, or
// saves a card, by a client secret. A card that is declined confirms it in vain.
func (g *gatewayControl) confirm(ctx context.Context, secret, card string, inVain bool) error {
	id, _, _ := strings.Cut(secret, "_secret_")
	kind, _, _ := strings.Cut(id, "_")
	path := map[string]string{"pi": "payment_intents", "seti": "setup_intents"}[kind]
	err := g.form(ctx, "/v1/"+path+"/"+id+"/confirm", url.Values{"payment_method": {card}})
	if inVain != (err != nil) {
		return fmt.Errorf("confirmed with %s, in vain %t: %w", card, inVain, err)
	}
	return nil
}

// deleteCustomer deletes the newest customer with this mail address, as somebody
// does at the gateway's own pages.
func (g *gatewayControl) deleteCustomer(ctx context.Context, email string) error {
	var customers struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := g.ask(ctx, http.MethodGet, "/v1/customers?"+url.Values{"email": {email}}.Encode(), nil, &customers); err != nil {
		return err
	}
	if len(customers.Data) == 0 {
		return fmt.Errorf("the gateway has no customer %s", email)
	}
	return g.ask(ctx, http.MethodDelete, "/v1/customers/"+customers.Data[0].ID, nil, nil)
}

// decide ends the newest dispute: won or lost.
func (g *gatewayControl) decide(ctx context.Context, how string) error {
	evidence := map[string]string{"won": "winning_evidence", "lost": "losing_evidence"}[how]
	if evidence == "" {
		return fmt.Errorf("a dispute is won or lost, not %q", how)
	}
	s, err := g.state(ctx)
	if err != nil {
		return err
	}
	if len(s.Disputes) == 0 {
		return errors.New("nobody disputes anything")
	}
	return g.form(ctx, "/v1/disputes/"+s.Disputes[len(s.Disputes)-1].ID, url.Values{"evidence[uncategorized_text]": {evidence}})
}

// gatewayState is what the sandbox says about money.
type gatewayState struct {
	Charges  []gatewayCharge  `json:"charges"`
	Disputes []gatewayDispute `json:"disputes"`
}

type gatewayDispute struct {
	ID       string `json:"id"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Status   string `json:"status"`
}

type gatewayCharge struct {
	Amount         int64  `json:"amount"`
	AmountRefunded int64  `json:"amount_refunded"`
	Currency       string `json:"currency"`
	PaymentIntent  string `json:"payment_intent"`
	Status         string `json:"status"`
}

func (g *gatewayControl) state(ctx context.Context) (gatewayState, error) {
	var s gatewayState
	err := g.ask(ctx, http.MethodGet, "/_sandbox/state", nil, &s)
	return s, err
}

// expect counts charges: "2 succeeded", "1 failed".
func (g *gatewayControl) expect(ctx context.Context, words []string) error {
	wanted, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	s, err := g.state(ctx)
	if err != nil {
		return err
	}
	found := 0
	for _, c := range s.Charges {
		if c.Status == words[1] {
			found++
		}
	}
	if found != wanted {
		return fmt.Errorf("the gateway has %d charges that %s, not %d: %v", found, words[1], wanted, s.Charges)
	}
	return nil
}
