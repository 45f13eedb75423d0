package main

import "os"

// full reports whether tests should try everything instead of a sample that
// fits a change's few minutes.
func full() bool { return os.Getenv("PURSER_TEST_FULL") == "1" }
