package main

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/gateway"
	"purser/sandbox"
)

// cellAt says which steps a cell is for: a class, at one gateway or at any.
type cellAt struct {
	class   class
	gateway gateway.Kind
}

// mishap is one thing that goes wrong.
type mishap struct {
	name string
	// run plays a step with it, and returns how often it has played it.
	run map[cellAt]func(t *testing.T, tr *trial, m move) int
	// cannot says why it cannot happen to a step, or where else it is tried.
	cannot map[cellAt]string
	// postgres: it takes a database server that can be lost.
	postgres bool
}

// cell is what is done where a step meets a mishap, or why nothing is.
func (h mishap) cell(m move) (run func(*testing.T, *trial, move) int, reason string) {
	for _, at := range []cellAt{{m.class, m.gateway}, {m.class, ""}} {
		if run, reason = h.run[at], h.cannot[at]; run != nil || reason != "" {
			return run, reason
		}
	}
	return nil, ""
}

// Why some cells are empty.
const (
	asksNobody  = "nobody is asked, and nobody tells"
	toldOfSales = "TestEventsInAnyOrder, TestEventsThatNobodySent and TestEventIsOnlyAHint tell of sales"
	noKeys      = "Worldpay keeps no answers: it has no idempotency keys"
	noPageYet   = "nobody can pay on a page whose address has not arrived"
	noBrowser   = "no browser is sent anywhere"
	unsigned    = "what Worldpay tells of a charge bears no MAC: it is believed by nobody, see the tampered ones"
	amountOnly  = "Worldpay confirms the amount of a refund in what it tells alone, see the other amount that is told"
)

type cells = map[cellAt]func(*testing.T, *trial, move) int

// at puts one function into the cells of several classes.
func at(run func(*testing.T, *trial, move) int, classes ...class) cells {
	all := cells{}
	for _, c := range classes {
		all[cellAt{c, ""}] = run
	}
	return all
}

// because gives one reason for the cells of several classes.
func because(reason string, classes ...class) map[cellAt]string {
	all := map[cellAt]string{}
	for _, c := range classes {
		all[cellAt{c, ""}] = reason
	}
	return all
}

func also[V any](all map[cellAt]V, more ...map[cellAt]V) map[cellAt]V {
	for _, m := range more {
		maps.Copy(all, m)
	}
	return all
}

// mishaps are all that can go wrong.
func mishaps() []mishap {
	var all []mishap
	for n, s := range spoilers() {
		h := mishap{
			name: "request spoiled: " + s.name, run: at(spoiled(s, n), append(gatewaySteps(), classSale)...),
			cannot: because(asksNobody, classHold, classBooked),
		}
		if s.fault.Store {
			for _, c := range gatewaySteps() {
				h.cannot[cellAt{c, gateway.KindWorldpay}] = noKeys
			}
		}
		all = append(all, h)
	}
	untold := func() map[cellAt]string {
		return also(because(asksNobody, classHold, classBooked), because(toldOfSales, classSale))
	}
	hosted := func(run func(*testing.T, *trial, move) int) cells {
		return cells{{classHosted, gateway.KindWorldpay}: run}
	}
	all = append(all,
		mishap{name: "notices come twice", run: at(told(twice), gatewaySteps()...), cannot: untold()},
		mishap{name: "notices come in the wrong order", run: at(told(backwards), gatewaySteps()...), cannot: untold()},
		mishap{
			name: "notices come before the reply", run: at(toldEarly, classCharge, classAuto, classRefund, classRenewal, classRetry),
			cannot: also(untold(), because(noPageYet, classHosted)),
		},
		mishap{name: "notices come after it is known", run: at(toldLate, gatewaySteps()...), cannot: untold()},
		mishap{name: "notices never come", run: at(toldNever, gatewaySteps()...), cannot: untold()},
		mishap{
			name: "a signature is forged", run: also(at(forged, gatewaySteps()...), hosted(returns(otherMAC))),
			cannot: also(untold(), map[cellAt]string{
				{classCharge, gateway.KindWorldpay}: unsigned, {classAuto, gateway.KindWorldpay}: unsigned, {classRefund, gateway.KindWorldpay}: unsigned,
				{classRenewal, gateway.KindWorldpay}: unsigned, {classRetry, gateway.KindWorldpay}: unsigned,
			}),
		},
		mishap{name: "another amount is told", run: at(tampered(otherAmount, otherParameter("paymentAmount", "300000")), gatewaySteps()...), cannot: untold()},
		mishap{name: "another currency is told", run: at(tampered(otherCurrency, otherParameter("paymentCurrency", "EUR")), gatewaySteps()...), cannot: untold()},
		mishap{name: "a success is told that is none", run: at(toldOfSuccess, gatewaySteps()...), cannot: untold()},
		mishap{name: "a failure is told that is none", run: at(tampered(otherStatus, otherParameter("paymentStatus", "REFUSED")), gatewaySteps()...), cannot: untold()},
		mishap{name: "another's success is told", run: at(toldOfAnother, gatewaySteps()...), cannot: untold()},
		mishap{
			name: "a return is replayed", run: at(replayed, classHosted),
			cannot: also(untold(), because(noBrowser, classCharge, classAuto, classRefund, classRenewal, classRetry, classSale)),
		},
		mishap{name: "another tenant is told", run: at(toldNextDoor, gatewaySteps()...), cannot: untold()},
		mishap{
			name: "the gateway confirms another amount", run: at(otherConfirmed, gatewaySteps()...),
			cannot: also(untold(), because("billing.TestInvoiceIsAdoptedFromEvents holds what is confirmed of a sale", classSale),
				map[cellAt]string{{classRefund, gateway.KindWorldpay}: amountOnly}),
		},
		mishap{
			name: "the database restarts", run: also(at(restarted, append(gatewaySteps(), classSale)...), at(restartedAtCommit, classHold, classBooked)),
			postgres: true,
		},
		mishap{name: "the reply to a COMMIT is lost", run: at(lostCommits, append(gatewaySteps(), classHold, classBooked, classSale)...), postgres: true},
		mishap{name: "a reply of the database is lost", run: at(lostReplies, append(gatewaySteps(), classHold, classBooked, classSale)...), postgres: true},
	)
	return all
}

// gatewaySteps are the classes of the steps that move money at a gateway, and
// of which it tells.
func gatewaySteps() []class {
	return []class{classHosted, classCharge, classAuto, classRefund, classRenewal, classRetry}
}

// spoiled plays a step once for each of its requests, with that one spoiled.
// Unless everything is to be tried, most ways to spoil meet one request each,
// one after the other.
func spoiled(s spoiler, number int) func(*testing.T, *trial, move) int {
	return func(t *testing.T, tr *trial, m move) int {
		usual, n := tr.usual(t, m)
		for i, request := range usual.requests {
			if !full() && !s.all && i != number/2%len(usual.requests) {
				continue
			}
			n++
			tr.spoil(t, m, tr.home, i, s, tr.key(m))
			if t.Failed() {
				t.Fatalf("%s with request %d (%s) spoiled: %s", m.name, i, request, s.name)
			}
		}
		return n
	}
}

// happens has the gateway do what a step asks for, without a reply or a word
// to us. Where a page is paid on, it returns where the browser is sent.
func (tr *trial) happens(t *testing.T, m move, c *cast, key string) (back *url.URL) {
	t.Helper()
	tr.news(t, m.gateway) // what came before is none of this
	if m.start != nil {
		return tr.payOn(t, tr.begun(t, m, c, key), m.number)
	}
	if m.lead != nil {
		m.lead(t, tr.stack)
	}
	heal := tr.broken(t, m, sandbox.WhenAfter)
	_, _ = m.ask(t.Context(), tr.stack, c, key) // nobody knows
	heal()
	tr.mustStand(t, m, c, "PROCESSING", "SUCCEEDED")
	return nil
}

// begun starts a hosted step and returns its page.
func (tr *trial) begun(t *testing.T, m move, c *cast, key string) string {
	t.Helper()
	page, text, err := m.start(t.Context(), tr.stack, c, key)
	if err != nil || page == "" {
		t.Fatalf("%s has no page: %s, %v", m.name, text, err)
	}
	return page
}

// broken breaks the connection to the step's gateway until it is healed:
// before its requests are processed, or after; then it says nothing of how
// things stand either.
func (tr *trial) broken(t *testing.T, m move, when string) (heal func()) {
	t.Helper()
	faults, path, method := tr.sandbox.Faults(), m.writes, ""
	if when == sandbox.WhenBefore {
		method = http.MethodPost
	}
	if m.gateway == gateway.KindWorldpay {
		faults = tr.worldpay.Faults()
		if when == sandbox.WhenAfter && m.class != classRefund { // which asks how things stand first
			path = ""
		}
	}
	id, err := faults.AddRequest(sandbox.RequestFault{Method: method, Path: path, Action: sandbox.ActionReset, When: when, Count: -1})
	must(t, err)
	return func() {
		if faults.Remove("", id) == 0 {
			t.Error("the fault is gone before its time")
		}
	}
}

func twice(all []notice) []notice {
	var out []notice
	for _, n := range all {
		out = append(out, n, n)
	}
	return append(out, all...)
}

func backwards(all []notice) []notice {
	out := slices.Clone(all)
	slices.Reverse(out)
	return out
}

// told delivers what the gateway tells in some arrangement: it is enough.
func told(arrange func([]notice) []notice) func(*testing.T, *trial, move) int {
	return func(t *testing.T, tr *trial, m move) int {
		c, key := tr.cast(t, m), tr.key(m)
		tr.happens(t, m, c, key)
		for _, n := range arrange(tr.mustTell(t, m)) {
			tr.mustHand(t, n)
		}
		tr.mustStand(t, m, c, "SUCCEEDED")
		tr.ends(t, m, c, key)
		return 1
	}
}

// mustTell is news that must not be empty.
func (tr *trial) mustTell(t *testing.T, m move) []notice {
	t.Helper()
	all := tr.news(t, m.gateway)
	if len(all) == 0 {
		t.Fatalf("%s tells nothing", m.gateway)
	}
	return all
}

// toldEarly delivers what the gateway tells while its reply is on the way.
func toldEarly(t *testing.T, tr *trial, m move) int {
	usual, n := tr.usual(t, m)
	c, key := tr.cast(t, m), tr.key(m)
	tr.news(t, m.gateway)
	tr.during(t, m, c, key, usual.atOnce-1, func() {
		for _, n := range tr.mustTell(t, m) {
			tr.mustHand(t, n)
		}
	})
	tr.ends(t, m, c, key)
	return n + 1
}

// during asks once and does something while a request of it has been processed
// and its reply is held back.
func (tr *trial) during(t *testing.T, m move, c *cast, key string, request int, do func()) {
	t.Helper()
	held := tr.gateway.hold(m.gateway, request, true)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = m.ask(t.Context(), tr.stack, c, key) // it is asked again
	}()
	select {
	case <-held.reached:
	case <-asked:
		t.Fatalf("%s was answered without request %d", m.name, request)
	}
	do()
	close(held.release)
	<-asked
}

// toldLate delivers what the gateway has told when we have found out by
// ourselves.
func toldLate(t *testing.T, tr *trial, m move) int {
	c, key := tr.cast(t, m), tr.key(m)
	tr.happens(t, m, c, key)
	tr.settle(t)
	tr.mustStand(t, m, c, "SUCCEEDED")
	before := tr.books(t, tr.ctx)
	for _, n := range tr.mustTell(t, m) {
		tr.mustHand(t, n)
	}
	if after := tr.books(t, tr.ctx); after != before {
		t.Errorf("late notices left %s, before there were %s", after, before)
	}
	tr.ends(t, m, c, key)
	return 1
}

func toldNever(t *testing.T, tr *trial, m move) int {
	c, key := tr.cast(t, m), tr.key(m)
	tr.happens(t, m, c, key)
	tr.settle(t)
	tr.mustStand(t, m, c, "SUCCEEDED")
	tr.ends(t, m, c, key)
	return 1
}

// forged delivers what the gateway tells with somebody else's signature.
func forged(t *testing.T, tr *trial, m move) int {
	c, key := tr.cast(t, m), tr.key(m)
	tr.happens(t, m, c, key)
	before := tr.books(t, tr.ctx)
	for _, n := range tr.mustTell(t, m) {
		if status := tr.handTo(t, tr.hook, n, "whsec_forged0000000000000000000000"); status != http.StatusBadRequest {
			t.Errorf("a forged notice is answered with %d", status)
		}
	}
	if after := tr.books(t, tr.ctx); after != before {
		t.Errorf("forged notices left %s, before there were %s", after, before)
	}
	tr.ends(t, m, c, key)
	return 1
}

// change makes a notice of a step into one that is not true.
type change func(m move, body []byte) []byte

func replace(body []byte, pairs ...string) []byte {
	for i := 0; i < len(pairs); i += 2 {
		body = bytes.ReplaceAll(body, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	return body
}

func otherAmount(m move, body []byte) []byte {
	if m.class == classRefund && m.gateway == gateway.KindWorldpay {
		return replace(body, `"500"`, `"700"`) // which the payment would cover
	}
	return sums.ReplaceAll(body, []byte("${0}00"))
}

func otherCurrency(_ move, body []byte) []byte {
	return replace(body, `"usd"`, `"eur"`, `"USD"`, `"EUR"`)
}

// otherStatus tells of a failure.
func otherStatus(_ move, body []byte) []byte {
	return replace(body,
		"payment_intent.succeeded", "payment_intent.payment_failed", "charge.succeeded", "charge.failed",
		"checkout.session.completed", "checkout.session.expired",
		"invoice.paid", "invoice.payment_failed", "invoice.payment_succeeded", "invoice.payment_failed", "refund.created", "refund.failed", "refund.updated", "refund.failed",
		`"succeeded"`, `"failed"`, `"complete"`, `"expired"`, `"paid"`, `"unpaid"`,
		"AUTHORISED", "REFUSED", "CAPTURED", "REFUSED", "SENT_FOR_REFUND", "REFUND_FAILED", "REFUNDED", "REFUND_FAILED",
	)
}

// otherParameter changes a parameter of a signed return.
func otherParameter(name, value string) func(url.Values) {
	return func(q url.Values) { q.Set(name, value) }
}

func otherMAC(q url.Values) {
	mac := []byte(q.Get("mac2"))
	slices.Reverse(mac)
	q.Set("mac2", string(mac))
}

// tampered delivers what the gateway has never said, however well it is
// signed: the gateway is asked, and that is what counts. Where a browser brings
// what the gateway has signed, it is changed in the same way.
func tampered(with change, parameter func(url.Values)) func(*testing.T, *trial, move) int {
	return func(t *testing.T, tr *trial, m move) int {
		c, key := tr.cast(t, m), tr.key(m)
		tr.happens(t, m, c, key)
		changed := 0
		for _, n := range tr.mustTell(t, m) {
			lie := notice{n.gateway, n.kind, with(m, n.body)}
			if !bytes.Equal(lie.body, n.body) {
				changed++
				if m.class == classRefund && m.gateway == gateway.KindWorldpay {
					tr.remember(t, lie) // it is not confirmed, or left to a person
				}
			}
			tr.mustHand(t, lie)
		}
		if changed == 0 {
			t.Error("no notice was changed")
		}
		tr.mustStand(t, m, c, "SUCCEEDED", "PROCESSING", "REQUIRES_ACTION")
		tr.ends(t, m, c, key)
		if m.class == classHosted && m.gateway == gateway.KindWorldpay {
			return 1 + returns(parameter)(t, tr, m)
		}
		return 1
	}
}

// returns has a browser come back from a page that was paid on while the
// gateway does not answer, first with something changed, and then with what
// was signed.
func returns(with func(url.Values)) func(*testing.T, *trial, move) int {
	return func(t *testing.T, tr *trial, m move) int {
		c, key := tr.cast(t, m), tr.key(m)
		page := tr.begun(t, m, c, key)
		id, err := tr.worldpay.Faults().AddRequest(sandbox.RequestFault{Path: "/inquiry", Action: sandbox.ActionStatus, Status: http.StatusServiceUnavailable, Count: -1})
		must(t, err)
		back := tr.payOn(t, page, m.number)
		if back.Query().Get("mac2") == "" {
			t.Fatalf("nothing is signed in %s", back)
		}
		query := back.Query()
		with(query)
		changed := *back
		changed.RawQuery = query.Encode()
		tr.comeBack(t, &changed)
		tr.mustStand(t, m, c, "REQUIRES_ACTION")
		tr.comeBack(t, back)
		tr.mustStand(t, m, c, "SUCCEEDED")
		tr.worldpay.Faults().Remove("", id)
		tr.ends(t, m, c, key)
		return 1
	}
}

// replayed comes back from a page again and again.
func replayed(t *testing.T, tr *trial, m move) int {
	c, key := tr.cast(t, m), tr.key(m)
	back := tr.happens(t, m, c, key)
	tr.comeBack(t, back)
	tr.mustStand(t, m, c, "SUCCEEDED")
	before := tr.books(t, tr.ctx)
	for range 3 {
		tr.comeBack(t, back)
	}
	if after := tr.books(t, tr.ctx); after != before {
		t.Errorf("a replayed return left %s, before there were %s", after, before)
	}
	tr.ends(t, m, c, key)
	return 1
}

// toldNextDoor delivers what the gateway tells to another tenant, as if it
// were that one's account.
func toldNextDoor(t *testing.T, tr *trial, m move) int {
	door := tr.nextDoor(t)
	c, key := tr.cast(t, m), tr.key(m)
	tr.happens(t, m, c, key)
	all := tr.mustTell(t, m)
	before, there := tr.books(t, tr.ctx), tr.books(t, door.ctx)
	for _, n := range all {
		if status := tr.handTo(t, door.hooks[m.gateway], n, neighbourSecret); status != http.StatusOK {
			t.Errorf("another tenant answers with %d", status)
		}
	}
	if after := tr.books(t, tr.ctx); after != before {
		t.Errorf("what was told next door left %s, before there were %s", after, before)
	}
	if after := tr.books(t, door.ctx); after != there {
		t.Errorf("next door it left %s, before there were %s", after, there)
	}
	tr.ends(t, m, c, key)
	return 1
}

// restarted kills the database while the gateway's reply is on the way.
func restarted(t *testing.T, tr *trial, m move) int {
	usual, n := tr.usual(t, m)
	c, key := tr.cast(t, m), tr.key(m)
	tr.during(t, m, c, key, usual.atOnce-1, func() {
		tr.postgres.Kill(t)
		tr.postgres.Start(t)
	})
	tr.ends(t, m, c, key)
	return n + 1
}

// restartedAtCommit kills the database when a COMMIT has its answer, which
// nobody hears.
func restartedAtCommit(t *testing.T, tr *trial, m move) int {
	c, key := tr.cast(t, m), tr.key(m)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, _ = m.ask(ctx, tr.stack, c, key) // it is asked again
	}()
	killAt(t, tr.postgres, tr.proxy, 0, isCommit)
	tr.postgres.Start(t)
	<-asked
	tr.ends(t, m, c, key)
	return 1
}

// crookedTrial is made when it is first needed.
func (tr *trial) crookedTrial(t *testing.T) *trial {
	t.Helper()
	if tr.crooked == nil {
		crooked := newTrial(t, dialect.SQLite)
		tr.crookedBefore, tr.crooked = crooked.taken(t), crooked
	}
	return tr.crooked
}

// otherConfirmed has the gateway confirm another amount than it was asked for:
// nothing is booked, nothing is called failed, and a person is told.
func otherConfirmed(t *testing.T, straight *trial, m move) int {
	tr := straight.crookedTrial(t)
	tr.charging(t, m.byItself())
	c, key := tr.cast(t, m), tr.key(m)
	if m.lead != nil {
		m.lead(t, tr.stack)
	}
	before := tr.books(t, tr.ctx)
	tr.news(t, m.gateway)
	crooked := func(reply []byte) []byte { return sums.ReplaceAll(reply, []byte("${0}1")) }
	if m.start != nil {
		page := tr.begun(t, m, c, key)
		tr.gateway.rewriting(crooked)
		tr.comeBack(t, tr.payOn(t, page, m.number))
	} else {
		tr.gateway.rewriting(crooked)
		_, _ = m.ask(t.Context(), tr.stack, c, key) // whatever it is answered with
	}
	for _, n := range tr.mustTell(t, m) {
		tr.mustHand(t, n)
	}
	tr.clock.Advance(2 * time.Minute)
	_ = tr.jobs.Round(t.Context()) // it says what does not fit
	tr.gateway.rewriting(nil)
	tr.mustStand(t, m, c, "PROCESSING", "REQUIRES_ACTION")
	if after := tr.books(t, tr.ctx); after != before {
		t.Errorf("what does not fit left %s, before there were %s", after, before)
	}
	calls, err := tr.billing.ReviewCalls(tr.ctx)
	must(t, err)
	parked := tr.parked(t)
	if calls+parked == 0 {
		t.Error("nobody was told")
	}
	tr.finish(t, m)
	return 1
}
