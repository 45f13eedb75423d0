package stripe

import (
	"errors"
	"fmt"
	"strings"

	"purser/gateway"
)

// keyLengthMin is the fewest characters after a key's prefix. Stripe's keys
// are longer; the built-in sandbox takes any that could not be a slip.
const keyLengthMin = 8

// CheckKeys reports whether the two keys are Stripe's, in their own fields
// and of the environment: test keys for SANDBOX and TEST, live keys for LIVE.
// The publishable key may be empty. The error tells a person what to change
// and never repeats a key. Nothing is sent.
func CheckKeys(env gateway.Environment, secret, publishable string) error {
	mode, err := keyMode(env)
	if err != nil {
		return err
	}
	if strings.HasPrefix(secret, "pk_") && (strings.HasPrefix(publishable, "sk_") || strings.HasPrefix(publishable, "rk_")) {
		return errors.New("the two keys are swapped: the secret key begins with sk_ or rk_, the publishable key with pk_")
	}
	if err := checkKey("secret key", secret, []string{"sk", "rk"}, mode, env); err != nil {
		return err
	}
	if publishable == "" {
		return nil
	}
	return checkKey("publishable key", publishable, []string{"pk"}, mode, env)
}

// keyMode is the second part of the environment's keys.
func keyMode(env gateway.Environment) (string, error) {
	switch env {
	case gateway.EnvironmentSandbox, gateway.EnvironmentTest:
		return "test", nil
	case gateway.EnvironmentLive:
		return "live", nil
	default:
		return "", fmt.Errorf("unknown environment %q", env)
	}
}

// keyKind names what a key is, for who pasted it into the wrong field; empty for
// what is none of Stripe's.
func keyKind(key string) string {
	switch {
	case strings.HasPrefix(key, "sk_"):
		return "a secret key"
	case strings.HasPrefix(key, "rk_"):
		return "a restricted key"
	case strings.HasPrefix(key, "pk_"):
		return "a publishable key"
	case strings.HasPrefix(key, "whsec_"):
		return "a webhook signing secret"
	}
	return ""
}

func checkKey(field, key string, kinds []string, mode string, env gateway.Environment) error {
	forms := make([]string, len(kinds))
	for i, kind := range kinds {
		forms[i] = kind + "_" + mode + "_"
	}
	want := strings.Join(forms, " or ")
	if key == "" {
		return fmt.Errorf("the %s is missing: it begins with %s", field, want)
	}
	if strings.ContainsAny(key, "*…•") {
		return fmt.Errorf("the %s is masked: copy the whole key, not its hidden form", field)
	}
	kind, rest, _ := strings.Cut(key, "_")
	found := false
	for _, k := range kinds {
		found = found || k == kind
	}
	if !found {
		if name := keyKind(key); name != "" {
			return fmt.Errorf("this is %s, the %s begins with %s", name, field, want)
		}
		return fmt.Errorf("this is not a %s of Stripe: it begins with %s", field, want)
	}
	keyMode, body, _ := strings.Cut(rest, "_")
	if keyMode != mode && (keyMode == "test" || keyMode == "live") {
		return fmt.Errorf("the %s is a %s key, but the environment is %s, which takes %s keys", field, keyMode, env, mode)
	}
	if keyMode != mode || len(body) < keyLengthMin {
		return fmt.Errorf("the %s is cut off: copy it whole", field)
	}
	for _, r := range body {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' {
			return fmt.Errorf("the %s has characters that no key has (a blank or a line end copied along?)", field)
		}
	}
	return nil
}
