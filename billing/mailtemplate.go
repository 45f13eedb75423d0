package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/emailtemplate"
	"purser/language"
	"purser/mail"
)

// MailKind is what a mail is sent for.
type MailKind = mail.Kind

// MailTemplate is the wording of a mail in one language.
type MailTemplate struct {
	Kind       MailKind
	Locale     string
	Subject    string
	Body       string
	HTML       string // as it is rendered, also where it is made of the body
	OwnHTML    bool   // it is not made of the body
	Overridden bool
	UpdatedAt  *time.Time // of an override
	// ID names the template, whether somebody has overridden it or not.
	ID string
}

// mailTemplateID names a template: it is no row until somebody overrides it,
// so its id is made of what it is.
func mailTemplateID(ctx context.Context, k MailKind, locale string) string {
	organization := strings.TrimPrefix(auth.FromContext(ctx).OrganizationID, prefixOrganization+"_")
	return prefixTemplate + "_" + organization + "." + strings.ToLower(string(k)) + "." + locale
}

// MailDraft is a wording that somebody proposes. What is nil is taken from the
// template as it is; the HTML, where the body alone is given, from the body.
type MailDraft struct {
	Kind    MailKind
	Locale  string
	Subject *string
	Body    *string
	HTML    *string
}

// MailPreview is a mail as it would look.
type MailPreview = mail.Rendered

// overridesMax is how many languages an organization may write a template in.
const overridesMax = 50

func checkMailLocale(locale string) error {
	if !language.Valid(locale) {
		return refuse(CodeInvalid, "locale", "%.40q is not a language: write it like en, uk or pt-BR", locale)
	}
	return nil
}

// optionalLocale checks a language that may be left out; empty becomes nil.
func optionalLocale(s *string, field string) (*string, error) {
	if s == nil || *s == "" {
		return nil, nil
	}
	if !language.Valid(*s) {
		return nil, refuse(CodeInvalid, field, "%.40q is not a language: write it like en, uk or pt-BR", *s)
	}
	return s, nil
}

// MailTemplates lists the templates of one language in the viewer's
// organization. Refusals: INVALID.
func (s *Service) MailTemplates(ctx context.Context, locale string) ([]MailTemplate, error) {
	if err := checkMailLocale(locale); err != nil {
		return nil, err
	}
	rows, err := s.read.EmailTemplate.Query().Where(emailtemplate.Locale(locale)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	own := make(map[string]*ent.EmailTemplate, len(rows))
	for _, row := range rows {
		own[row.Kind] = row
	}
	var out []MailTemplate
	for _, k := range mail.Kinds() {
		out = append(out, mailTemplate(ctx, k, locale, own[string(k)]))
	}
	return out, nil
}

// mailTemplate is the organization's own template, or without one the
// system's.
func mailTemplate(ctx context.Context, k MailKind, locale string, row *ent.EmailTemplate) MailTemplate {
	t := mail.SystemFor(k, locale)
	out := MailTemplate{Kind: k, Locale: locale, ID: mailTemplateID(ctx, k, locale)}
	if row != nil {
		t = templateOf(row)
		out.Overridden, out.UpdatedAt = true, &row.UpdatedAt
	}
	out.Subject, out.Body, out.HTML, out.OwnHTML = t.Subject, t.Text, t.HTMLSource(), t.HTML != ""
	return out
}

// MailTemplateByID returns the template that an id names; nil where there is
// none.
func (s *Service) MailTemplateByID(ctx context.Context, id string) (*MailTemplate, error) {
	parts := strings.SplitN(id, ".", 3)
	if len(parts) < 3 || !language.Valid(parts[2]) {
		return nil, nil
	}
	k := MailKind(strings.ToUpper(parts[1]))
	if !k.Known() || id != mailTemplateID(ctx, k, parts[2]) {
		return nil, nil
	}
	return s.MailTemplate(ctx, k, parts[2])
}

// MailTemplate returns one template of the viewer's organization. Refusals:
// INVALID.
func (s *Service) MailTemplate(ctx context.Context, k MailKind, locale string) (*MailTemplate, error) {
	if err := checkMailLocale(locale); err != nil {
		return nil, err
	}
	row, err := s.read.EmailTemplate.Query().Where(emailtemplate.Kind(string(k)), emailtemplate.Locale(locale)).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("read template: %w", err)
	}
	t := mailTemplate(ctx, k, locale, row)
	return &t, nil
}

// PreviewMail renders a wording with sample data. Refusals: INVALID, with line
// and variable.
func (s *Service) PreviewMail(ctx context.Context, d MailDraft) (MailPreview, error) {
	t, err := s.drafted(ctx, d)
	if err != nil {
		return MailPreview{}, err
	}
	out, err := t.Preview(d.Kind)
	return out, refusedTemplate(err)
}

// drafted fills what a draft leaves out from the template as it is.
func (s *Service) drafted(ctx context.Context, d MailDraft) (mail.Template, error) {
	if err := checkMailLocale(d.Locale); err != nil {
		return mail.Template{}, err
	}
	var t mail.Template
	if d.Subject == nil || d.Body == nil {
		current, err := s.MailTemplate(ctx, d.Kind, d.Locale)
		if err != nil {
			return t, err
		}
		t.Subject, t.Text = current.Subject, current.Body
		if current.OwnHTML {
			t.HTML = current.HTML
		}
	}
	if d.Subject != nil {
		t.Subject = *d.Subject
	}
	if d.Body != nil {
		t.Text, t.HTML = *d.Body, ""
	}
	if d.HTML != nil {
		t.HTML = *d.HTML
	}
	return t, nil
}

// refusedTemplate says of a problem where it is.
func refusedTemplate(err error) error {
	var p *mail.Problem
	if !errors.As(err, &p) {
		return err
	}
	return refuse(CodeInvalid, p.Part, "%s", p.Error())
}

// OverrideMailTemplate puts the organization's own wording in the place of a
// template. It must be possible to render it. Refusals: INVALID, with line and
// variable; LIMIT_EXCEEDED.
func (s *Service) OverrideMailTemplate(ctx context.Context, d MailDraft) error {
	if err := checkMailLocale(d.Locale); err != nil {
		return err
	}
	t := mail.Template{Subject: orEmpty(d.Subject), Text: orEmpty(d.Body), HTML: orEmpty(d.HTML)}
	if err := refusedTemplate(t.Check(d.Kind)); err != nil {
		return err
	}
	id := s.newID(prefixTemplate)
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		changed, err := tx.EmailTemplate.Update().Where(emailtemplate.Kind(string(d.Kind)), emailtemplate.Locale(d.Locale)).
			SetSubject(t.Subject).SetBody(t.Text).SetHTML(t.HTML).SetUpdatedAt(tx.Now).Save(ctx)
		if err != nil {
			return fmt.Errorf("change template: %w", err)
		}
		if changed == 0 {
			n, err := tx.EmailTemplate.Query().Where(emailtemplate.Kind(string(d.Kind))).Count(ctx)
			if err != nil {
				return fmt.Errorf("count templates: %w", err)
			}
			if n >= overridesMax {
				return refuse(CodeLimitExceeded, "locale", "there are overrides in %d languages already", n)
			}
			err = tx.EmailTemplate.Create().SetID(id).SetKind(string(d.Kind)).SetLocale(d.Locale).
				SetSubject(t.Subject).SetBody(t.Text).SetHTML(t.HTML).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
			if err != nil {
				return fmt.Errorf("store template: %w", err)
			}
		}
		return tx.audit(ctx, "emailTemplate.override", mailTemplateID(ctx, d.Kind, d.Locale), nil)
	})
}

// ResetMailTemplate goes back to the system's wording; where that is used
// already nothing changes. Refusals: INVALID.
func (s *Service) ResetMailTemplate(ctx context.Context, k MailKind, locale string) error {
	if err := checkMailLocale(locale); err != nil {
		return err
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.EmailTemplate.Delete().Where(emailtemplate.Kind(string(k)), emailtemplate.Locale(locale)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("remove template: %w", err)
		}
		if n == 0 {
			return nil
		}
		return tx.audit(ctx, "emailTemplate.reset", mailTemplateID(ctx, k, locale), nil)
	})
}
