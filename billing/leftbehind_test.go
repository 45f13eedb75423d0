package billing

import (
	"strings"
	"testing"

	"purser/ent/provider"
)

// Another default merchant account says what stays with the one before.
func TestLeftBehind(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		s.reloading(t, nil)
		other := s.newKind(t, provider.KindWORLDPAY)
		left, err := s.ChangeOrganization(s.ctx, OrganizationChange{DefaultProviderID: &other})
		if err != nil || left == nil || *left != (LeftBehind{ProviderID: s.provider, SavedCards: 1, AutomaticReloads: 1, OpenInvoices: 1}) || !strings.HasPrefix(left.Message(), "1 saved cards") {
			t.Errorf("left behind: %+v, %v", left, err)
		}
		for what, c := range map[string]OrganizationChange{"the same": {DefaultProviderID: &other}, "something else": {Name: ptr("Acme")}} {
			if left, err := s.ChangeOrganization(s.ctx, c); err != nil || left != nil {
				t.Errorf("%s leaves behind %+v, %v", what, left, err)
			}
		}
		if left, err := s.ChangeOrganization(s.ctx, OrganizationChange{DefaultProviderID: &s.provider}); err != nil || !strings.HasPrefix(left.Message(), "Nothing") {
			t.Errorf("left behind: %+v, %v", left, err)
		}
	})
}
