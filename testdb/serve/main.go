// Command serve starts the PostgreSQL server of the tests, prints its URL for
// PURSER_TEST_POSTGRES, and stops it when its standard input ends.
package main

import (
	"fmt"
	"os"

	"purser/testdb"
)

func main() {
	if err := testdb.Serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "serve PostgreSQL for tests:", err)
		os.Exit(1)
	}
}
