package graph

import (
	"context"
	"fmt"

	"purser/billing"
	"purser/ent"
	entemail "purser/ent/email"
	"purser/graph/model"
)

// emailTemplates lists the templates of one language.
func (r *Resolver) emailTemplates(ctx context.Context, locale string) ([]*model.EmailTemplate, error) {
	all, err := r.Billing.MailTemplates(ctx, locale)
	if err != nil {
		return nil, err
	}
	out := make([]*model.EmailTemplate, len(all))
	for i, t := range all {
		out[i] = emailTemplate(t)
	}
	return out, nil
}

// emailTemplateByID finds a template by its id; nil where there is none.
func (r *Resolver) emailTemplateByID(ctx context.Context, id string) (ent.Noder, error) {
	t, err := r.Billing.MailTemplateByID(ctx, id)
	if err != nil || t == nil {
		return nil, err
	}
	return emailTemplate(*t), nil
}

// emailTemplateNow is a template after a mutation, or why that was refused.
func (r *Resolver) emailTemplateNow(ctx context.Context, kind entemail.Kind, locale string, err error) (*model.EmailTemplate, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	t, err := r.Billing.MailTemplate(ctx, billing.MailKind(kind), locale)
	if err != nil {
		return nil, nil, err
	}
	return emailTemplate(*t), u, nil
}

func emailTemplate(t billing.MailTemplate) *model.EmailTemplate {
	return &model.EmailTemplate{
		ID: t.ID, Kind: entemail.Kind(t.Kind), SystemName: t.Kind.SystemName(), Title: t.Kind.Title(), Locale: t.Locale,
		Subject: t.Subject, Body: t.Body, HTMLBody: t.HTML, OwnHTML: t.OwnHTML, Overridden: t.Overridden, Variables: t.Kind.Variables(), UpdatedAt: t.UpdatedAt,
	}
}

// shownPreview is the template's wording with sample data. Nothing is read for
// it again.
func (r *Resolver) shownPreview(ctx context.Context, t *model.EmailTemplate) (*model.EmailPreview, error) {
	d := billing.MailDraft{Kind: billing.MailKind(t.Kind), Locale: t.Locale, Subject: &t.Subject, Body: &t.Body}
	if t.OwnHTML {
		d.HTML = &t.HTMLBody
	}
	return r.emailPreview(ctx, d)
}

// emailPreview shows a wording with sample data.
func (r *Resolver) emailPreview(ctx context.Context, d billing.MailDraft) (*model.EmailPreview, error) {
	p, err := r.Billing.PreviewMail(ctx, d)
	if err != nil {
		return nil, err
	}
	return &model.EmailPreview{Subject: p.Subject, Text: p.Text, HTML: p.HTML}, nil
}

// resent is a mail after emailResend, or why that was refused.
func (r *Resolver) resent(ctx context.Context, id string) (*ent.Email, []*model.UserError, error) {
	u, err := refused(r.Billing.ResendMail(ctx, id))
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	q, err := r.client().Email.Query().Where(entemail.ID(id)).CollectFields(ctx, "Email", "Node")
	if err != nil {
		return nil, nil, fmt.Errorf("shape mail: %w", err)
	}
	e, err := q.Only(ctx)
	return e, u, err
}
