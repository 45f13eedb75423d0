package billing

import (
	"testing"

	"purser/ent/price"
	"purser/ent/product"
)

func TestProducts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, err := f.CreateProduct(f.ctx, ProductDraft{Name: "API", Description: ptr("Calls\nand more"), ProviderID: &f.provider}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.UpdateProduct(f.ctx, ProductChange{ID: id, Description: ptr(""), ProviderID: ptr(""), Active: ptr(false)}); err != nil {
			t.Fatal(err)
		}
		p, err := f.Client().Product.Query().Where(product.ID(id)).Only(f.ctx)
		if err != nil || p.Name != "API" || p.Description != nil || p.ProviderID != nil || p.Active {
			t.Errorf("got %+v, %v", p, err)
		}
		_, err = f.CreatePrice(f.ctx, PriceDraft{ProductID: id, UnitAmount: usd(t, "1")}, nil)
		wantCode(t, err, CodeInvalidState, "productId")
		if err := f.UpdateProduct(f.ctx, ProductChange{ID: id, Name: ptr("API calls"), ProviderID: &f.provider, Active: ptr(true)}); err != nil {
			t.Fatal(err)
		}
		_, other := f.newOrganization(t, "other", "UTC")
		wantCode(t, f.UpdateProduct(other, ProductChange{ID: id, Name: ptr("Mine")}), CodeNotFound, "id")
		_, err = f.CreateProduct(other, ProductDraft{Name: "X", ProviderID: &f.provider}, nil)
		wantCode(t, err, CodeNotFound, "providerId")
		wantCode(t, f.UpdateProduct(f.ctx, ProductChange{ID: id, Name: ptr("")}), CodeRequired, "name")
		wantCode(t, f.UpdateProduct(f.ctx, ProductChange{ID: id, ProviderID: ptr("prv_nobody")}), CodeNotFound, "providerId")
	})
}

func TestPrices(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		prod, err := f.CreateProduct(f.ctx, ProductDraft{Name: "API"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		d := PriceDraft{ProductID: prod, UnitAmount: usd(t, "0.0015"), Nickname: ptr("per call"), Recurrence: &Recurrence{Interval: price.RecurrenceIntervalMONTH, Count: 3}}
		id, err := f.CreatePrice(f.ctx, d, ptr("k"))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := f.CreatePrice(f.ctx, d, ptr("k")); err != nil || again != id {
			t.Errorf("the same key gave %s, %v, want %s", again, err, id)
		}
		p, err := f.Client().Price.Query().Where(price.ID(id)).Only(f.ctx)
		if err != nil || p.UnitAmount().String() != "0.0015 USD" || p.Recurrence().IntervalCount != 3 || *p.Nickname != "per call" {
			t.Errorf("got %+v, %v", p, err)
		}
		for _, bad := range []struct {
			code   Code
			field  string
			change func(*PriceDraft)
		}{
			{CodeInvalid, "unitAmount", func(d *PriceDraft) { d.UnitAmount = usd(t, "-1") }},
			{CodeCurrencyMismatch, "unitAmount.currency", func(d *PriceDraft) { d.UnitAmount = in(t, "1", "EUR") }},
			{CodeInvalid, "recurrence.intervalCount", func(d *PriceDraft) { d.Recurrence.Count = 0 }},
			{CodeInvalid, "recurrence.intervalCount", func(d *PriceDraft) { d.Recurrence.Count = 37 }},
			{CodeNotFound, "productId", func(d *PriceDraft) { d.ProductID = "prd_nobody" }},
		} {
			c := d
			c.Recurrence = ptr(*d.Recurrence)
			bad.change(&c)
			_, err := f.CreatePrice(f.ctx, c, nil)
			wantCode(t, err, bad.code, bad.field)
		}
		for range 2 {
			if err := f.ArchivePrice(f.ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := f.Client().Price.Query().Where(price.ID(id)).Only(f.ctx); err != nil || p.Active {
			t.Errorf("got %+v, %v", p, err)
		}
		_, other := f.newOrganization(t, "other", "UTC")
		wantCode(t, f.ArchivePrice(other, id), CodeNotFound, "id")
	})
}
