package stripe

import (
	"strings"
	"testing"

	"purser/gateway"
)

func TestCheckKeys(t *testing.T) {
	t.Parallel()
	const (
		test = "sk_test_51AbCdEfGhIj"
		live = "sk_live_51AbCdEfGhIj"
		pub  = "pk_test_51AbCdEfGhIj"
	)
	tests := []struct {
		name                string
		env                 gateway.Environment
		secret, publishable string
		want                string // part of the message; empty: accepted
	}{
		{"sandbox", gateway.EnvironmentSandbox, test, pub, ""},
		{"test", gateway.EnvironmentTest, test, pub, ""},
		{"live", gateway.EnvironmentLive, live, "pk_live_51AbCdEfGhIj", ""},
		{"restricted", gateway.EnvironmentLive, "rk_live_51AbCdEfGhIj", "", ""},
		{"restricted test", gateway.EnvironmentTest, "rk_test_51AbCdEfGhIj", "", ""},
		{"no publishable key", gateway.EnvironmentTest, test, "", ""},
		{"missing", gateway.EnvironmentTest, "", pub, "secret key is missing"},
		{"swapped", gateway.EnvironmentTest, pub, test, "swapped"},
		{"publishable as secret", gateway.EnvironmentTest, pub, "", "this is a publishable key"},
		{"secret as publishable", gateway.EnvironmentTest, test, test, "this is a secret key, the publishable key begins with pk_test_"},
		{"signing secret", gateway.EnvironmentTest, "whsec_51AbCdEfGhIj", "", "webhook signing secret"},
		{"live key in test", gateway.EnvironmentTest, live, "", "is a live key, but the environment is TEST"},
		{"live key in the sandbox", gateway.EnvironmentSandbox, live, "", "is a live key"},
		{"restricted live key in test", gateway.EnvironmentTest, "rk_live_51AbCdEfGhIj", "", "is a live key"},
		{"test key in live", gateway.EnvironmentLive, test, "", "is a test key, but the environment is LIVE"},
		{"mixed pair", gateway.EnvironmentLive, live, pub, "publishable key is a test key"},
		{"cut off", gateway.EnvironmentTest, "sk_test_51Ab", "", "cut off"},
		{"cut off early", gateway.EnvironmentTest, "sk_te", "", "cut off"},
		{"masked", gateway.EnvironmentTest, "sk_test_51A***********xyz", "", "masked"},
		{"with a line end", gateway.EnvironmentTest, test + "\n", "", "line end"},
		{"something else", gateway.EnvironmentTest, "hunter2", "", "not a secret key of Stripe"},
		{"unknown environment", "MOON", test, "", "unknown environment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := New(Config{}).CheckKeys(tt.env, tt.secret, tt.publishable)
			if tt.want == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error = %v, want %q in it", err, tt.want)
			}
			if len(tt.secret) > 12 && strings.Contains(err.Error(), tt.secret) {
				t.Errorf("the key is repeated: %v", err)
			}
		})
	}
}

func TestCheckWebhookSecret(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{
		"whsec_51AbCdEfGhIj":         "",
		"whsec_MfKQ9r8GKYqrTwj+U/s=": "",
		"":                           "not a webhook signing secret",
		"whsec_":                     "cut off",
		"whsec_51A***":               "masked",
		"whsec_51AbCdEfGhIj\n":       "line end",
		"sk_test_51AbCdEfGhIj":       "this is a secret key",
		"hunter2":                    "not a webhook signing secret",
	} {
		err := New(Config{}).CheckWebhookSecret(secret)
		if want == "" && err != nil {
			t.Errorf("%q: %v", secret, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q in it", secret, err, want)
		}
	}
}
