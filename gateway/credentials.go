package gateway

// Credentials is offered by gateways whose keys tell what they are, so that a
// key in the wrong field or of another environment is noticed before it is
// stored. Nothing is sent. The errors tell a person what to change and never
// repeat a key.
type Credentials interface {
	// CheckKeys checks a pair of keys for the environment; publishable may be
	// empty.
	CheckKeys(env Environment, secret, publishable string) error
	// CheckWebhookSecret checks a signing secret of events.
	CheckWebhookSecret(secret string) error
}

// AccountCheck is offered by gateways whose accounts consist of more than
// keys. Nothing is sent; the errors are like those of Credentials.
type AccountCheck interface {
	// CheckAccount checks what belongs to the account beside the keys.
	CheckAccount(a Account) error
}
