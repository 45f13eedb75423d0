package worldpaysandbox

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
)

// Merchant is what a merchant has agreed with the service or set in its
// administration interface.
type Merchant struct {
	// Code is the merchant code, in capital letters and digits.
	Code string `json:"code"`
	// AdminCode stands before the merchant code in order keys; may be empty.
	AdminCode string `json:"admin_code"`
	// Username and Password are the login of the XML service. Username
	// defaults to Code.
	Username string `json:"username"`
	Password string `json:"password"`
	// InstallationID names the hosted page; orders for it carry it. Empty takes
	// any.
	InstallationID string `json:"installation_id"`
	// MACSecret signs what returning browsers carry. Without one nothing is
	// signed.
	MACSecret string `json:"mac_secret"`
	// MAC says how: MACHMAC, MACLegacy or MACBoth. Defaults to MACHMAC.
	MAC string `json:"mac"`
	// OmitURLParameters lets browsers return without parameters, as they do
	// until "Send URL parameters" is set in the page designer.
	OmitURLParameters bool `json:"omit_url_parameters"`
	// NotificationURL is where order notifications go; nowhere when empty.
	NotificationURL string `json:"notification_url"`
	// Events are the journal types that are notified. Defaults to all.
	Events []string `json:"events"`
	// CaptureDelay is that of orders without one or with DEFAULT: OFF or a
	// number of days. Defaults to OFF.
	CaptureDelay string `json:"capture_delay"`
	// OmitDirect says that the merchant may not send direct orders.
	OmitDirect bool `json:"omit_direct"`
	// TicketSeconds is how long the address of a hosted page works. Defaults
	// to an hour.
	TicketSeconds int64 `json:"ticket_seconds"`
	// LagSeconds is how long the service takes for what it does by itself: to
	// capture, and to carry out a refund. Defaults to no time at all.
	LagSeconds int64 `json:"lag_seconds"`
}

// How returning browsers are signed.
const (
	MACHMAC   = "mac2" // HMAC-SHA256, as mac2
	MACLegacy = "mac"  // MD5, as mac
	MACBoth   = "both"
)

// DemoMerchant is the merchant that every sandbox has unless it is given
// others. Its login is no secret: the sandbox moves no money.
func DemoMerchant() Merchant {
	return Merchant{
		Code: "PURSERTEST", AdminCode: "PURSERADM", Username: "PURSERTEST", Password: "purser-demo-xml-password",
		InstallationID: "1234567", MACSecret: "purser-demo-secret-0123",
	}
}

// Login is the login of the XML service as curl takes it.
func (m Merchant) Login() string { return m.Username + ":" + m.Password }

const ticketSeconds = 3600

var (
	merchantCodeForm = regexp.MustCompile(`^[A-Z0-9]{1,40}$`)
	adminCodeForm    = regexp.MustCompile(`^[A-Z0-9]{0,40}$`)
	captureDelayForm = regexp.MustCompile(`^(OFF|[0-9]|1[0-4])$`)
)

// complete fills in the defaults and says what is wrong with the settings.
func (m *Merchant) complete(target func(*url.URL) error) error {
	if m.Username == "" {
		m.Username = m.Code
	}
	if m.MAC == "" {
		m.MAC = MACHMAC
	}
	if m.CaptureDelay == "" {
		m.CaptureDelay = captureOff
	}
	if m.TicketSeconds == 0 {
		m.TicketSeconds = ticketSeconds
	}
	switch {
	case !merchantCodeForm.MatchString(m.Code):
		return errors.New("the merchant code must be 1 to 40 capital letters and digits")
	case !adminCodeForm.MatchString(m.AdminCode):
		return errors.New("the admin code must be capital letters and digits")
	case m.Password == "":
		return errors.New("the password is missing")
	case m.MAC != MACHMAC && m.MAC != MACLegacy && m.MAC != MACBoth:
		return fmt.Errorf("mac is %q, want mac2, mac or both", m.MAC)
	case !captureDelayForm.MatchString(m.CaptureDelay):
		return fmt.Errorf("the capture delay is %q, want OFF or 0 to 14 days", m.CaptureDelay)
	case m.TicketSeconds < 0 || m.LagSeconds < 0:
		return errors.New("seconds must not be negative")
	}
	for _, event := range m.Events {
		if !slices.Contains(journalTypes, event) {
			return fmt.Errorf("there are no events of the type %q", event)
		}
	}
	if m.NotificationURL == "" {
		return nil
	}
	to, err := url.Parse(m.NotificationURL)
	if err != nil || to.Host == "" || (to.Scheme != "http" && to.Scheme != "https") {
		return errors.New("the notification address must begin with http:// or https://")
	}
	if err := target(to); err != nil {
		return fmt.Errorf("the notification address is refused: %w", err)
	}
	return nil
}

// SetMerchant makes a merchant, or replaces the settings of the one with that
// code. It fails when they are not valid or the user name belongs to another.
func (s *Server) SetMerchant(ctx context.Context, m Merchant) error {
	return s.storeMerchant(ctx, m, `DO UPDATE SET username = excluded.username, body = excluded.body`)
}

// ensureMerchant makes a merchant unless there is one with its code.
func (s *Server) ensureMerchant(ctx context.Context, m Merchant) error {
	return s.storeMerchant(ctx, m, `DO NOTHING`)
}

func (s *Server) storeMerchant(ctx context.Context, m Merchant, conflict string) error {
	if err := m.complete(s.config.Target); err != nil {
		return fmt.Errorf("set up a sandbox merchant: %w", err)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode a sandbox merchant: %w", err)
	}
	return s.db.InTx(ctx, func(tx *sql.Tx) error {
		var others int
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM merchants WHERE username = ? AND code <> ?`, m.Username, m.Code).Scan(&others)
		if err != nil {
			return fmt.Errorf("look for the user name of a sandbox merchant: %w", err)
		}
		if others > 0 {
			return errors.New("set up a sandbox merchant: the user name belongs to another merchant")
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO merchants (code, username, body) VALUES (?, ?, ?) ON CONFLICT (code) `+conflict, m.Code, m.Username, string(body))
		if err != nil {
			return fmt.Errorf("store a sandbox merchant: %w", err)
		}
		return nil
	})
}

// merchantWhere reads a merchant by its code or user name; nil when there is
// none.
func (s *Server) merchantWhere(ctx context.Context, column, value string) (*Merchant, error) {
	var body string
	err := s.db.QueryRowContext(ctx, `SELECT body FROM merchants WHERE `+column+` = ?`, value).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up a sandbox merchant: %w", err)
	}
	m := &Merchant{}
	if err := json.Unmarshal([]byte(body), m); err != nil {
		return nil, fmt.Errorf("decode a sandbox merchant: %w", err)
	}
	return m, nil
}

// login returns the merchant whose login the request carries; nil when it
// carries none that is right.
func (s *Server) login(r *http.Request) (*Merchant, error) {
	username, password, ok := r.BasicAuth()
	if !ok {
		return nil, nil
	}
	m, err := s.merchantWhere(r.Context(), "username", username)
	if err == nil && m == nil && s.config.OwnMerchants && merchantCodeForm.MatchString(username) && password != "" {
		if err := s.ensureMerchant(r.Context(), Merchant{Code: username, Password: password}); err != nil {
			return nil, err
		}
		m, err = s.merchantWhere(r.Context(), "username", username)
	}
	if err != nil || m == nil || subtle.ConstantTimeCompare([]byte(m.Password), []byte(password)) != 1 {
		return nil, err
	}
	return m, nil
}

// wants says whether an event is notified.
func (m *Merchant) wants(event string) bool {
	return m.NotificationURL != "" && (len(m.Events) == 0 || slices.Contains(m.Events, event))
}

// orderKey names an order to whom the browser returns.
func (m *Merchant) orderKey(order string) string {
	return m.AdminCode + "^" + m.Code + "^" + order
}

const (
	captureOff     = "OFF"
	captureDefault = "DEFAULT"
)

// captureAfter is how many days after its authorisation an order is captured;
// false when it is not captured by itself.
func (m *Merchant) captureAfter(o *Order) (days int64, ok bool) {
	delay := o.CaptureDelay
	if delay == captureDefault {
		delay = m.CaptureDelay
	}
	days, err := strconv.ParseInt(delay, 10, 64)
	return days, err == nil
}
