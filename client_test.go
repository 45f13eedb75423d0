package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// apiClient asks a server's GraphQL endpoint as a caller with one token would.
type apiClient struct {
	http *http.Client
	// endpoint is the address of /graphql.
	endpoint string
	token    string
}

// result is the payload of one mutation or query field.
type result map[string]any

// refusal is what a mutation refused with.
type refusal struct{ Code, Message string }

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// unclear says that an answer is none: the connection broke, the server is
// stopping, an internal error. What was asked may or may not have happened.
type unclear struct {
	cause error
	// wait is how long the server asks to wait before the next try.
	wait time.Duration
}

func (u *unclear) Error() string { return "no clear answer: " + u.cause.Error() }

func (u *unclear) Unwrap() error { return u.cause }

// isUnclear tells a failure after which the same must be asked again.
func isUnclear(err error) bool {
	var u *unclear
	return errors.As(err, &u)
}

// post sends a document and reads its data into out.
func (c *apiClient) post(ctx context.Context, document string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.http.Do(r)
	if err != nil {
		return &unclear{cause: err}
	}
	raw, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return &unclear{cause: err}
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return &unclear{cause: fmt.Errorf("answer %d %.200q: %w", response.StatusCode, raw, err)}
	}
	if len(answer.Errors) > 0 {
		first := answer.Errors[0]
		failure := fmt.Errorf("answer %d %s: %s", response.StatusCode, first.Extensions.Code, first.Message)
		switch first.Extensions.Code {
		case "INTERNAL", "UNAVAILABLE", "RATE_LIMITED", "OVERLOADED", "TIMEOUT":
			seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // none: at once
			return &unclear{failure, time.Duration(seconds) * time.Second}
		}
		return failure
	}
	return json.Unmarshal(answer.Data, out)
}

// mutate runs one mutation. The error is a *refusal, an *unclear, or a fault
// of the test.
func (c *apiClient) mutate(ctx context.Context, name, selection string, input map[string]any) (result, error) {
	kind := []rune(name)
	kind[0] = unicode.ToUpper(kind[0])
	document := fmt.Sprintf("mutation($input: %sInput!) { %s(input: $input) { %s userErrors { code message } } }", string(kind), name, selection)
	var data map[string]result
	if err := c.post(ctx, document, map[string]any{"input": input}, &data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	got := data[name]
	if refused, ok := got["userErrors"].([]any); ok && len(refused) > 0 {
		first := result(refused[0].(map[string]any))
		return nil, &refusal{Code: first.text("code"), Message: name + ": " + first.text("message")}
	}
	return got, nil
}

// at follows a path such as "payment.id"; nil where it leads nowhere.
func (r result) at(path string) any {
	var v any = map[string]any(r)
	for _, name := range strings.Split(path, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// text is the text at a path, "" where there is none.
func (r result) text(path string) string {
	s, _ := r.at(path).(string)
	return s
}

// usDollars is an amount as the API takes it.
func usDollars(amount string) map[string]any {
	return map[string]any{"amount": amount, "currency": "USD"}
}
