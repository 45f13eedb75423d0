package billing

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/ent"
	"purser/ent/organization"
)

// A SANDBOX organization has a clock that can be advanced. Everything that is
// due in the organization, and every time that is written in it, is by that
// clock; credentials, events of gateways and ids are by the machine's.
//
// While it is advanced the clock stands still at one instant after the other:
// the times at which something falls due (stops), in order, each until all that
// is due there is done. So a year in one step and a year day by day come to the
// same. Afterwards it runs on, ahead of the machine's.

// orgClock is what an organization's time is told by. The zero value is the
// machine's clock.
type orgClock struct {
	ahead time.Duration
	at    *time.Time // where it stands while it is advanced
}

func (c orgClock) tell(machine time.Time) time.Time {
	if c.at != nil {
		return *c.at
	}
	return machine.Add(c.ahead)
}

// orgClocks keeps the organizations' clocks. One that another server has
// advanced is known here with the next look for due work.
type orgClocks struct {
	mu    sync.Mutex
	known map[string]knownClock
	last  string // the last organization that was looked at in turn
}

// clocksEach is how many organizations with clocks of their own are looked at in
// one look for due work. Each is looked at by itself.
const clocksEach = 20

// turn picks those of the organizations that are looked at now, so that each has
// its turn.
func (c *orgClocks) turn(ids []string) []string {
	slices.Sort(ids)
	c.mu.Lock()
	defer c.mu.Unlock()
	at, found := slices.BinarySearch(ids, c.last)
	if found {
		at++
	}
	ids = slices.Concat(ids[at:], ids[:at])
	ids = ids[:min(len(ids), clocksEach)]
	if len(ids) > 0 {
		c.last = ids[len(ids)-1]
	}
	return ids
}

type knownClock struct {
	orgClock
	since time.Time // when it was known to be so, by the machine's clock
}

func (c *orgClocks) get(organizationID string) (orgClock, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.known[organizationID]
	return known.orgClock, ok
}

// set notes a clock as it was at a time. What was read before this server has
// changed it is no news any more: the work of a stop would be looked for at the
// one before.
func (c *orgClocks) set(organizationID string, clock orgClock, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]knownClock{}
	}
	if !since.Before(c.known[organizationID].since) {
		c.known[organizationID] = knownClock{clock, since}
	}
}

// changed notes a clock as this server has just changed it.
func (c *orgClocks) changed(organizationID string, clock orgClock) {
	c.set(organizationID, clock, time.Now())
}

// clock is the clock of the viewer's organization.
func (s *Service) clock(ctx context.Context) orgClock {
	v := auth.FromContext(ctx)
	if v == nil || v.AllTenants || v.OrganizationID == "" {
		return orgClock{}
	}
	return s.clockOf(ctx, v.OrganizationID)
}

func (s *Service) clockOf(ctx context.Context, organizationID string) orgClock {
	if clock, ok := s.clocks.get(organizationID); ok {
		return clock
	}
	began := time.Now()
	o, err := s.read.Organization.Query().Where(organization.ID(organizationID)).
		Select(organization.FieldClockAhead, organization.FieldClockAt).Only(ctx)
	if err != nil {
		// One that is just being made has none. Where the database cannot be
		// read, what the time is wanted for fails as well.
		return orgClock{}
	}
	clock := clockIn(o)
	s.clocks.set(organizationID, clock, began)
	return clock
}

func clockIn(o *ent.Organization) orgClock {
	return orgClock{ahead: time.Duration(o.ClockAhead) * time.Microsecond, at: o.ClockAt}
}

// machine is the machine's time: UTC, in microseconds.
func (s *Service) machine() time.Time { return s.machineClock().UTC().Truncate(time.Microsecond) }

// now is the time in the viewer's organization: UTC, in microseconds.
func (s *Service) now(ctx context.Context) time.Time {
	clock := s.clock(ctx)
	return clock.tell(s.machine())
}

// Now returns the machine's time: UTC, in microseconds. What belongs to an
// organization is by TimeIn.
func (s *Service) Now() time.Time { return s.machine() }

// TimeIn returns the time in the viewer's organization: UTC, in microseconds.
func (s *Service) TimeIn(ctx context.Context) time.Time { return s.now(ctx) }

// clockIsSet keeps the organizations whose clocks are not the machine's, by a
// condition that stands in the statement as it stands in the index.
func clockIsSet(s *entsql.Selector) { s.Where(entsql.ExprP("clock_ahead <> 0")) }

// readClocks reads the clocks that are not the machine's, and returns the
// organizations that have them; those whose clocks are being advanced are
// named once more.
func (s *Service) readClocks(ctx context.Context) (set, advancing []string, err error) {
	began := time.Now()
	rows, err := s.read.Organization.Query().Where(clockIsSet).
		Select(organization.FieldClockAhead, organization.FieldClockAt, organization.FieldClockUntil).All(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read clocks: %w", err)
	}
	for _, o := range rows {
		s.clocks.set(o.ID, clockIn(o), began)
		set = append(set, o.ID)
		if o.ClockUntil != nil {
			advancing = append(advancing, o.ID)
		}
	}
	return set, advancing, nil
}

// clockReach is how far one call may advance a clock.
const clockReach = 3 * 366 * 24 * time.Hour

// ClockAdvance says how far to advance a clock: by a time, or up to one.
type ClockAdvance struct {
	By *time.Duration
	To *time.Time
}

// AdvanceClock begins to advance the clock of a SANDBOX organization; jobs has
// happen what falls due on the way. It may not be called again before that has
// ended.
//
// Codes: REQUIRED, INVALID, INVALID_STATE.
func (s *Service) AdvanceClock(ctx context.Context, d ClockAdvance) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		switch {
		case o.Environment != organization.EnvironmentSANDBOX:
			return refuse(CodeInvalidState, "", "the organization is %s: only the clocks of SANDBOX organizations can be advanced", o.Environment)
		case o.ClockUntil != nil:
			return refuse(CodeInvalidState, "", "the clock is being advanced up to %s: wait until clockUntil is null", o.ClockUntil.Format(time.RFC3339))
		case d.By == nil && d.To == nil:
			return refuse(CodeRequired, "to", "say how far to advance the clock, with by or to")
		case d.By != nil && d.To != nil:
			return refuse(CodeInvalid, "to", "give either by or to")
		}
		field, to := "to", storedTime(d.To)
		if d.By != nil {
			at := tx.Now.Add(*d.By)
			field, to = "by", &at
		}
		switch {
		case !to.After(tx.Now):
			return refuse(CodeInvalid, field, "a clock goes forward only; it is %s", tx.Now.Format(time.RFC3339))
		case to.After(tx.Now.Add(clockReach)):
			return refuse(CodeInvalid, field, "one call advances a clock by three years at most")
		}
		n, err := tx.Organization.Update().
			Where(organization.ID(o.ID), organization.EnvironmentEQ(organization.EnvironmentSANDBOX), organization.ClockUntilIsNil(), organization.ClockAhead(o.ClockAhead)).
			SetClockAhead(max(1, o.ClockAhead)).SetClockAt(tx.Now).SetClockUntil(*to).Save(ctx)
		if err := cas(n, err); err != nil {
			return fmt.Errorf("advance clock: %w", err)
		}
		tx.committed(func() {
			s.clocks.changed(o.ID, orgClock{ahead: time.Duration(max(1, o.ClockAhead)) * time.Microsecond, at: &tx.Now})
		})
		return tx.audit(ctx, "clock.advance", o.ID, map[string]string{"to": to.Format(time.RFC3339Nano)})
	})
}

// StepClock moves a clock that is being advanced on to its next stop, or at
// the end lets it run. It is called when nothing is due where the clock stands,
// and reports whether there may be something now. Where another server has
// moved it meanwhile, that stop is to be looked at first.
func (s *Service) StepClock(ctx context.Context) (bool, error) {
	stood := s.clock(ctx).at
	if stood == nil {
		return false, nil
	}
	moved := false
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		moved = false
		o, err := tx.tenant(ctx)
		if err != nil {
			return err
		}
		if o.ClockUntil == nil || o.ClockAt == nil || !o.ClockAt.Equal(*stood) {
			moved = o.ClockAt != nil
			tx.committed(func() { s.clocks.changed(o.ID, clockIn(o)) })
			return nil
		}
		u := tx.Organization.Update().Where(organization.ID(o.ID), organization.ClockAt(*o.ClockAt), organization.ClockUntil(*o.ClockUntil))
		after := *o
		if o.ClockAt.Before(*o.ClockUntil) {
			stop, err := tx.nextStop(ctx, *o.ClockAt, *o.ClockUntil)
			if err != nil {
				return err
			}
			u.SetClockAt(stop)
			after.ClockAt, moved = &stop, true
		} else {
			after.ClockAhead = max(1, o.ClockUntil.Sub(s.machine()).Microseconds())
			after.ClockAt = nil
			u.SetClockAhead(after.ClockAhead).ClearClockAt().ClearClockUntil()
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("step clock: %w", err)
		}
		tx.committed(func() { s.clocks.changed(o.ID, clockIn(&after)) })
		return nil
	})
	return moved, err
}
