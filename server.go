// Command purser is a billing server: products, quotes, invoices, prepaid and
// postpaid balances, and the payments behind them, over GraphQL.
//
// This package is wiring only: it reads the settings, opens what has to be
// open, hands the parts to each other, and closes them in the right order. No
// other package imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/agnivade/levenshtein"

	"purser/config"
	_ "purser/ent/runtime" // hooks and policies of the tables
)

func main() {
	tuneMemory()
	os.Exit(start(time.Now))
}

// heapGrowth is by how much of itself, in percent, the heap may grow before it
// is collected. What lives in it is small, and at Go's 100 a quarter of the
// time went into collecting what requests leave behind.
const heapGrowth = 400

// tuneMemory applies heapGrowth unless the operator has said otherwise.
func tuneMemory() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// start runs the command that the process was started with, under the given
// clock, and returns what the process is to exit with.
func start(now func() time.Time) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	around := surroundings{environ: os.Environ(), now: now, stdout: os.Stdout, stderr: os.Stderr}
	if err := around.run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "purser:", err)
		return 1
	}
	return 0
}

// surroundings is what a command gets from outside of the program.
type surroundings struct {
	environ []string
	now     func() time.Time // of everything that is stored; never nil
	stdout  io.Writer        // what was asked for
	stderr  io.Writer        // logs and progress
}

// command is one of the program's commands.
type command struct {
	name    string // one or two words
	usage   string // what follows the name
	summary string // one line for the list
	details string // what its own help adds
	run     func(ctx context.Context, c invocation) error
}

// invocation is a command with what was typed after its name.
type invocation struct {
	surroundings
	command *command
	args    []string
}

// commands returns the program's commands in the order of the help text.
func commands() []*command {
	return []*command{
		{
			name: "serve", summary: "serve API, playground and, in dev, the sandbox (default)", run: serve,
			details: `Brings an empty database up to date and serves until it is told to stop
(Ctrl-C or SIGTERM). Requests that are running then are finished first.

In dev, the first start makes a demo organization and prints how to reach it.`,
		},
		{
			name: "migrate", summary: "bring the tables of the database up to date", run: migrate,
			details: `Applies the migrations that the database has not seen, and names them. Run it
before a new version serves a PostgreSQL database. Running it again changes
nothing.`,
		},
		{
			name: "token create", usage: "--organization SLUG --name NAME --scopes LIST", summary: "make an access token and print it once", run: tokenCreate,
			details: `The token is kept nowhere: what is printed is all there is of it.

  --organization SLUG   the organization's short id
  --name NAME           what the token is for
  --scopes LIST         BILLING, ACCOUNT, ADMIN, separated by commas
  --permission WHICH    READ or READ_WRITE (default: READ)
  --expires WHEN        2027-01-31, 2027-01-31T12:00:00Z or 90d (default: never)`,
		},
		{
			name: "schema print", summary: "print the GraphQL schema", run: schemaPrint,
			details: `Prints the schema that this program serves as one SDL document.`,
		},
		{
			name: "verify", summary: "prove the ledger from its rows", run: verify,
			details: `Reads every organization's ledger, balances, payments, invoices and quotes and
proves that they fit each other, while the server may be running. Progress goes
to standard error. Exits with 1, naming the first row that does not fit.`,
		},
		{
			name: "keys rotate", summary: "seal all secrets with the new master key", run: keysRotate,
			details: `With the new key before the old one in PURSER_MASTER_KEY, seals everything anew
that was sealed with another key than the first: the secrets of providers, global
ones included, and of payments that wait for their payer. It may run while the
server does, which must have been started with both keys; when it is interrupted,
run it again. Afterwards the old key is needed for nothing but old backups.
Exits with 1, naming what none of the keys opens.`,
		},
		{
			name: "backup", usage: "PATH", summary: "copy the SQLite database to a new file", run: backup,
			details: `Writes a consistent copy to PATH, which must not exist yet, while the server
may be running. The master key is not in it: keep that apart. PostgreSQL has
pg_dump.`,
		},
		{
			name: "sandbox", summary: "serve the Stripe and Worldpay sandboxes alone", run: serveSandbox,
			details: `Serves a stateful stand-in for Stripe's API with hosted pages and signed events
on PURSER_ADDR, for any Stripe client. Every well-formed test key (sk_test_…) is
an account of its own. Below /sandbox/worldpay it serves one for Worldpay's XML
service. Their state is kept in the data folder, apart from that of a server's
sandboxes: both may run at once, each on an address of its own.`,
		},
		{
			name: "bench", summary: "measure how much usage this machine records", run: bench,
			details: `Records usage over HTTP, one event and a hundred at a time, on one balance and
on a thousand. With DATABASE_URL, which must name an empty PostgreSQL database
and is filled, pgbench records the same in the same minute, one statement per
event, and the ratios are printed; without, a SQLite file is measured that is
removed afterwards. docs/performance.md says how to read the figures.

  --length DURATION   how long each way is measured (default: 5s)
  --only NAME         measure only what is called so, W1 for example
  --payers N          on how many balances at random (default: 1000)
  --pgbench PATH      where pgbench is, or off (default: it is looked for)`,
		},
		{
			name: "version", summary: "print the version of this program", run: printVersion,
			details: `Prints the version and what it was built with.`,
		},
	}
}

// run starts the command that the arguments name, under the machine's clock.
// The error is one line, or several where several settings are wrong, and
// holds no secret.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	return surroundings{environ: environ, now: time.Now, stdout: stdout, stderr: stderr}.run(ctx, args)
}

func (around surroundings) run(ctx context.Context, args []string) error {
	all := commands()
	if len(args) > 0 && (args[0] == "help" || args[0] == "-h" || args[0] == "--help" || args[0] == "-help") {
		if len(args) == 1 {
			return writeHelp(around.stdout, all)
		}
		args = append(slices.Clone(args[1:]), "--help")
	}
	chosen, rest, err := choose(all, args)
	if err != nil {
		return err
	}
	err = chosen.run(ctx, invocation{surroundings: around, command: chosen, args: rest})
	if errors.Is(err, flag.ErrHelp) {
		return chosen.writeHelp(around.stdout)
	}
	return err
}

// choose finds the command that the arguments begin with. Without one, or
// with a flag first, it is the first of all.
func choose(all []*command, args []string) (*command, []string, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return all[0], args, nil
	}
	var names []string
	for _, c := range all {
		words := strings.Fields(c.name)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			return c, args[len(words):], nil
		}
		names = append(names, c.name)
		if len(words) > 1 && args[0] == words[0] {
			return nil, nil, fmt.Errorf("%q is no command; did you mean %q? `purser --help` lists them", strings.Join(args[:min(2, len(args))], " "), c.name)
		}
	}
	if near := nearest(args[0], names); near != "" {
		return nil, nil, fmt.Errorf("%q is no command; did you mean %q?", args[0], near)
	}
	return nil, nil, fmt.Errorf("%q is no command; `purser --help` lists them", args[0])
}

// nearest returns the name that differs from the word in at most three
// letters and by less than half, or "".
func nearest(word string, names []string) string {
	best, distance := "", 4
	for _, name := range names {
		if d := levenshtein.ComputeDistance(word, name); d < distance && 2*d <= len(name) {
			best, distance = name, d
		}
	}
	return best
}

// settings reads the settings and the command's own flags, and refuses more
// arguments than the command has names for.
func (c invocation) settings(flags *flag.FlagSet, arguments ...string) (config.Config, []string, error) {
	// Arguments may stand before the flags, too.
	if n := len(arguments); n > 0 && len(c.args) > n && !strings.HasPrefix(c.args[0], "-") && strings.HasPrefix(c.args[n], "-") {
		c.args = slices.Concat(c.args[n:], c.args[:n])
	}
	cfg, err := config.Parse(flags, c.args, c.environ)
	if err != nil {
		return cfg, nil, c.withSuggestion(flags, err)
	}
	rest := flags.Args()
	if len(rest) > len(arguments) {
		return cfg, nil, fmt.Errorf("unexpected argument %q; `purser %s --help` says what there is", rest[len(arguments)], c.command.name)
	}
	if len(rest) < len(arguments) {
		return cfg, nil, fmt.Errorf("%s is missing: purser %s %s", arguments[len(rest)], c.command.name, c.command.usage)
	}
	return cfg, rest, nil
}

// withSuggestion names the flag that an unknown one was probably meant to be.
func (c invocation) withSuggestion(flags *flag.FlagSet, err error) error {
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	for _, arg := range c.args {
		if arg == "--" {
			break
		}
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !strings.HasPrefix(arg, "-") || name == "h" || name == "help" || flags.Lookup(name) != nil {
			continue
		}
		if near := nearest(name, names); near != "" {
			return fmt.Errorf("there is no flag --%s; did you mean --%s?", name, near)
		}
		return fmt.Errorf("there is no flag --%s; `purser %s --help` lists them", name, c.command.name)
	}
	return err
}

// newFlags returns an empty set for a command's own flags.
func (c invocation) newFlags() *flag.FlagSet {
	return flag.NewFlagSet("purser "+c.command.name, flag.ContinueOnError)
}
