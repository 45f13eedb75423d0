package model

import (
	"time"

	"purser/ent/email"
)

// EmailTemplate is the wording of a mail in one language: the system's, which
// is no row, or an organization's own.
type EmailTemplate struct {
	ID         string
	Kind       email.Kind
	SystemName string
	Title      string
	Locale     string
	Subject    string
	Body       string
	HTMLBody   string
	OwnHTML    bool // it is not made of the body
	Overridden bool
	Variables  []string
	UpdatedAt  *time.Time
}

// IsNode implements the Node interface.
func (*EmailTemplate) IsNode() {}
