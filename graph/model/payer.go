// Package model holds the types of the public schema that are not rows:
// inputs and payloads (generated), and what is written by hand here because
// it wraps a row or needs a rule of its own.
package model

import (
	"strings"

	"purser/ent"
)

// Payer is a developer or a company.
type Payer interface {
	ent.Noder
	IsPayer()
	Row() *ent.Payer
}

// Developer is a payer row shown as a developer.
type Developer struct{ *ent.Payer }

// Company is a payer row shown as a company.
type Company struct{ *ent.Payer }

// Row returns the payer's row.
func (d *Developer) Row() *ent.Payer { return d.Payer }

// Row returns the payer's row.
func (c *Company) Row() *ent.Payer { return c.Payer }

// NewPayer wraps the row by its id's prefix, never by its kind: the kind is
// not read when the document does not ask for it.
func NewPayer(p *ent.Payer) Payer {
	switch {
	case p == nil:
		return nil
	case strings.HasPrefix(p.ID, "com_"):
		return &Company{p}
	default:
		return &Developer{p}
	}
}

// DeveloperConnection is a page of developers.
type DeveloperConnection struct {
	Edges      []*DeveloperEdge
	PageInfo   ent.PageInfo
	TotalCount int
}

// DeveloperEdge is a developer in its place in a list.
type DeveloperEdge struct {
	Cursor ent.Cursor
	Node   *Developer
}

// CompanyConnection is a page of companies.
type CompanyConnection struct {
	Edges      []*CompanyEdge
	PageInfo   ent.PageInfo
	TotalCount int
}

// CompanyEdge is a company in its place in a list.
type CompanyEdge struct {
	Cursor ent.Cursor
	Node   *Company
}

// NewDevelopers shows a page of payers as developers.
func NewDevelopers(c *ent.PayerConnection) *DeveloperConnection {
	out := &DeveloperConnection{PageInfo: c.PageInfo, TotalCount: c.TotalCount, Edges: make([]*DeveloperEdge, len(c.Edges))}
	for i, e := range c.Edges {
		out.Edges[i] = &DeveloperEdge{Cursor: e.Cursor, Node: &Developer{e.Node}}
	}
	return out
}

// NewCompanies shows a page of payers as companies.
func NewCompanies(c *ent.PayerConnection) *CompanyConnection {
	out := &CompanyConnection{PageInfo: c.PageInfo, TotalCount: c.TotalCount, Edges: make([]*CompanyEdge, len(c.Edges))}
	for i, e := range c.Edges {
		out.Edges[i] = &CompanyEdge{Cursor: e.Cursor, Node: &Company{e.Node}}
	}
	return out
}
