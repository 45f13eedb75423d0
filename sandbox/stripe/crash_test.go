package stripesandbox_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	stripesandbox "purser/sandbox/stripe"
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
	server, err := stripesandbox.Open(context.Background(), stripesandbox.Config{Path: path})
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

// TestKilledAtRandom kills the sandbox in the middle of charges. Whatever was
// answered is still there, a request repeated with its key gives one charge,
// and every charge has its events.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	const rounds, perRound = 6, 400
	path := filepath.Join(t.TempDir(), "sandbox.db")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	answered, sent := 0, 0
	charge := func(address string, key int) bool {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v1/payment_intents",
			strings.NewReader("amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa")))(t)
		r.Header.Set("Authorization", "Bearer "+testKey)
		r.Header.Set("Idempotency-Key", fmt.Sprint("charge:", key))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	}
	for round := range rounds {
		address, kill := startKillable(t, path)
		if sent > answered { // what was in flight at the last kill
			if !charge(address, sent) {
				t.Fatal("the repetition was refused")
			}
			answered = sent
		}
		timer := time.AfterFunc(time.Duration(20+random.IntN(300))*time.Millisecond, kill)
		for range perRound {
			sent++
			if !charge(address, sent) {
				break
			}
			answered = sent
		}
		timer.Stop()
		kill()
		t.Logf("round %d: %d answered, %d sent", round, answered, sent)
	}
	server := must(stripesandbox.Open(t.Context(), stripesandbox.Config{Path: path}))(t)
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	state := must(server.Inspect(t.Context(), testKey))(t)
	if n := len(state.Charges); n < answered || n > sent {
		t.Errorf("there are %d charges, want %d answered to %d sent", n, answered, sent)
	}
	succeeded := 0
	for _, pi := range state.PaymentIntents {
		if pi["status"] == "succeeded" {
			succeeded++
		}
	}
	equal(t, "succeeded intents, one per charge", succeeded, len(state.Charges))
	web := httptest.NewServer(http.StripPrefix("/base", server.Handler()))
	defer web.Close()
	events := 0
	list := &stripe.EventListParams{Type: stripe.String("payment_intent.succeeded")}
	list.Limit = stripe.Int64(100)
	it := (&bundle{t: t, http: web}).client(testKey).Events.List(list)
	for it.Next() {
		events++
	}
	if it.Err() != nil {
		t.Error(it.Err())
	}
	equal(t, "events, one per charge", events, len(state.Charges))
	if answered == 0 {
		t.Error("no charge was answered: nothing was tested")
	}
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
