// Package testdb gives tests databases of both kinds. It is imported by tests
// only.
//
// SQLite databases are fresh files. PostgreSQL databases are fresh databases on
// the server that PURSER_TEST_POSTGRES names by URL, or, where that is not set,
// on a server that the test process starts once for itself, as an ordinary
// user, on a unix socket in a folder of its own, and that ends with the process
// however the process ends. A missing PostgreSQL fails the test; it never skips
// it. On a server named by URL one database stays behind, purser_template_…, per
// state of the migrations (see MigratedURL).
package testdb
