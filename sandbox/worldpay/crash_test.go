package worldpaysandbox_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	worldpaysandbox "purser/sandbox/worldpay"
)

const crashVariable = "SANDBOX_CRASH_TEST_PATH"

// TestMain turns the test program into a sandbox when TestKilledAtRandom
// starts it again as a process that can be killed.
func TestMain(m *testing.M) {
	path := os.Getenv(crashVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := serveUntilKilled(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveUntilKilled(path string) error {
	server, err := worldpaysandbox.Open(context.Background(), worldpaysandbox.Config{Path: path, Merchants: []worldpaysandbox.Merchant{notified()}})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, server.Handler())
}

// notified is a merchant whose notifications are queued and never sent, since
// nobody runs the queue.
func notified() worldpaysandbox.Merchant {
	m := worldpaysandbox.DemoMerchant()
	m.NotificationURL, m.CaptureDelay = "http://127.0.0.1:9/", "0"
	return m
}

// TestKilledAtRandom kills the sandbox in the middle of charges. Whatever was
// answered is still there, an order repeated under its code is charged once,
// and every order has all of its journal and its notifications.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	const rounds, perRound = 5, 400
	path := filepath.Join(t.TempDir(), "sandbox.db")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	address, kill := startKillable(t, path)
	merchant := notified()
	say := func(body string) (string, error) {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+worldpaysandbox.ServicePath, strings.NewReader(body)))(t)
		r.SetBasicAuth(merchant.Username, merchant.Password)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		raw, err := io.ReadAll(response.Body)
		return string(raw), err
	}
	charge := func(n int) (string, error) {
		return say(cardOrder(t, fmt.Sprintf("O%d", n), "4444333322221111", "Ada", "VISA-SSL"))
	}
	answered, sent := 0, 0
	for round := range rounds {
		if round > 0 {
			address, kill = startKillable(t, path)
		}
		if sent > answered { // what was in flight at the last kill
			reply, err := charge(sent)
			if err != nil || !strings.Contains(reply, "<lastEvent>CAPTURED") && !strings.Contains(reply, "Duplicate Order") {
				t.Fatalf("the repetition is answered with %s (%v)", reply, err)
			}
			answered = sent
		}
		timer := time.AfterFunc(time.Duration(20+random.IntN(300))*time.Millisecond, kill)
		for range perRound {
			sent++
			if reply, err := charge(sent); err != nil || !strings.Contains(reply, "<lastEvent>CAPTURED") {
				break
			}
			answered = sent
		}
		timer.Stop()
		kill()
		t.Logf("round %d: %d answered, %d sent", round, answered, sent)
	}
	server := must(worldpaysandbox.Open(t.Context(), worldpaysandbox.Config{Path: path}))(t)
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	state := must(server.Inspect(t.Context(), merchant.Code))(t)
	if n := len(state.Orders); n < answered || n > sent || answered == 0 {
		t.Errorf("there are %d orders, want %d answered to %d sent, and some", n, answered, sent)
	}
	for _, o := range state.Orders {
		if len(o.Journal) != 3 || o.Payment.Captured != 1000 {
			t.Errorf("order %s is half done: %+v", o.Code, o)
		}
	}
	deliveries := must(server.Deliveries(t.Context(), merchant.Code, 100_000))(t)
	equal(t, "notifications, three per order", len(deliveries), 3*len(state.Orders))
}

func startKillable(t *testing.T, path string) (address string, kill func()) {
	t.Helper()
	command := exec.Command(must(os.Executable())(t))
	command.Env = append(os.Environ(), crashVariable+"="+path)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = command.Wait() // killed: an error is what is wanted
		close(dead)
	}()
	kill = func() {
		_ = command.Process.Kill()
		<-dead
	}
	t.Cleanup(kill)
	return strings.TrimSpace(line), kill
}

// TestManyAtOnce sends the same order, and the same form, from many clients at
// the same time: each is charged once.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token := b.paid("FIRST", "")
	order := sample(t, "10_mit_token.xml", sampleToken, token, sampleMITID, b.order("FIRST").Payment.SchemeID)
	address := b.hosted("PAGE")
	const clients = 8
	var group sync.WaitGroup
	var mu sync.Mutex
	paid, duplicates, ways := 0, 0, map[string]int{}
	for range clients {
		group.Go(func() {
			d := b.say(order)
			p := browse(t, address, card(""))
			mu.Lock()
			defer mu.Unlock()
			ways[p.location]++
			switch {
			case d.Order.Payment != nil:
				paid++
			case d.Order.Error.Text == "Duplicate Order":
				duplicates++
			}
		})
	}
	group.Wait()
	equal(t, "orders that were paid", paid, 1)
	equal(t, "duplicates", duplicates, clients-1)
	if len(ways) != 1 {
		t.Errorf("the form leads to %v", ways)
	}
	for _, code := range []string{sampleMIT, "PAGE"} {
		equal(t, "entries of the journal", len(b.order(code).Journal), 3)
	}
	equal(t, "notifications", len(b.hook.wait(t, 9)), 9)
}

// FuzzDocuments holds that whatever is sent is answered with a document that
// conforms to the DTD.
func FuzzDocuments(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal("there are no payloads", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
		f.Add(strings.Replace(string(raw), `encoding="UTF-8"`, `encoding="ISO-8859-1"`, 1))
	}
	for _, seed := range []string{"", "<", "<a>", `<!DOCTYPE paymentService><paymentService/>`, `<!DOCTYPE paymentService><paymentService version="1.4" merchantCode="PURSERTEST"><submit/></paymentService>`} {
		f.Add(seed)
	}
	server, err := worldpaysandbox.Open(context.Background(), worldpaysandbox.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { server.Close() })
	merchant := worldpaysandbox.DemoMerchant()
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, worldpaysandbox.ServicePath, strings.NewReader(body))
		r.SetBasicAuth(merchant.Username, merchant.Password)
		w := httptest.NewRecorder()
		server.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%q is answered with %d", body, w.Code)
		}
		if d := read(t, w.Body.Bytes()); d.Top != nil && d.Top.Code == "1" {
			t.Fatalf("%q is an internal error", body)
		}
	})
}
