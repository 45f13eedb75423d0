package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"purser/auth"
	"purser/billing"
)

// tokenCreate makes an access token of an organization and prints it. Who may
// run it has the database and the master key, and so every right already.
func tokenCreate(ctx context.Context, c invocation) (err error) {
	flags := c.newFlags()
	slug := flags.String("organization", "", "the organization's short id")
	name := flags.String("name", "", "what the token is for")
	scopes := flags.String("scopes", "", "BILLING, ACCOUNT, ADMIN, separated by commas")
	permission := flags.String("permission", string(auth.PermissionRead), "READ or READ_WRITE")
	expires := flags.String("expires", "", "when the token ends")
	cfg, _, err := c.settings(flags)
	if err != nil {
		return err
	}
	draft, err := tokenDraft(*name, *scopes, *permission, *expires, time.Now())
	if err != nil {
		return err
	}
	if *slug == "" {
		return errors.New("--organization is missing: the organization's short id")
	}
	db, err := openStorage(ctx, cfg, schemaKeep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	domain := billing.New(billing.Config{DB: db.DB, Logger: slog.New(slog.DiscardHandler), Random: rand.Reader})
	inside, err := domain.Inside(ctx, "token", *slug)
	if errors.Is(err, auth.ErrNotFound) {
		return fmt.Errorf("there is no organization %q", *slug)
	}
	if err != nil {
		return err
	}
	_, token, err := domain.CreateToken(inside, draft)
	if err != nil {
		var refusal *billing.Error
		if errors.As(err, &refusal) {
			return errors.New(refusal.Message)
		}
		return err
	}
	_, err = fmt.Fprintln(c.stdout, token.Reveal())
	return err
}

// tokenDraft reads what the token is to be.
func tokenDraft(name, scopes, permission, expires string, now time.Time) (billing.TokenDraft, error) {
	d := billing.TokenDraft{Name: name}
	if name == "" {
		return d, errors.New("--name is missing: what the token is for")
	}
	for _, word := range strings.Split(scopes, ",") {
		switch s := auth.Scope(strings.ToUpper(strings.TrimSpace(word))); s {
		case auth.ScopeBilling, auth.ScopeAccount, auth.ScopeAdmin:
			d.Scopes = append(d.Scopes, s)
		case "":
			return d, errors.New("--scopes is missing or has an empty entry: BILLING, ACCOUNT, ADMIN, separated by commas")
		default:
			return d, fmt.Errorf("--scopes: %q is none of BILLING, ACCOUNT, ADMIN", word)
		}
	}
	switch p := auth.Permission(strings.ToUpper(permission)); p {
	case auth.PermissionRead, auth.PermissionReadWrite:
		d.Permission = p
	default:
		return d, fmt.Errorf("--permission: %q is neither READ nor READ_WRITE", permission)
	}
	if expires == "" {
		return d, nil
	}
	end, err := parseEnd(expires, now)
	if err != nil {
		return d, err
	}
	d.ExpiresAt = &end
	return d, nil
}

// daysMax bounds a life in days: a hundred years are for ever.
const daysMax = 36500

// parseEnd reads a point in time, a day (its beginning in UTC), or a number of
// days from now.
func parseEnd(text string, now time.Time) (time.Time, error) {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.Atoi(number); err == nil && days > 0 && days <= daysMax {
			return now.Add(time.Duration(days) * 24 * time.Hour), nil
		}
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--expires: %q is neither a day (2027-01-31), a time (2027-01-31T12:00:00Z) nor a number of days (90d)", text)
}
