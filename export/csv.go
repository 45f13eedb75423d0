package export

import (
	"encoding/csv"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// table is a file of comma-separated values (RFC 4180) that is sent while it is
// written.
type table struct {
	*csv.Writer
	control *http.ResponseController
}

func newTable(w http.ResponseWriter, name string, header []string) *table {
	head := w.Header()
	head.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	head.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	head.Set("Cache-Control", "no-store")
	head.Add("Vary", "Authorization")
	t := &table{Writer: csv.NewWriter(w), control: http.NewResponseController(w)}
	t.UseCRLF = true
	t.row(header...)
	return t
}

// row writes a line. What goes wrong is told by flush.
func (t *table) row(cells ...string) { _ = t.Write(cells) }

// flush sends what was written.
func (t *table) flush() error {
	t.Flush()
	if err := t.Error(); err != nil {
		return err
	}
	return t.control.Flush()
}

// keepOpen moves the connection's deadline: a long file takes longer than an
// answer may.
func (t *table) keepOpen(d time.Duration) {
	// A connection that has no deadline needs none moved.
	_ = t.control.SetWriteDeadline(time.Now().Add(d))
}

// formulaSigns are what a spreadsheet takes for the beginning of a formula, in
// their wide forms as well.
const formulaSigns = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"

// text is a cell with a text that people write. A spreadsheet computes one that
// looks like a formula, which may reach into other files and to other servers;
// after an apostrophe it is shown as it is. Numbers that we write need none,
// and would be no numbers any more.
func text(s string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, " "))
	if s != "" && strings.ContainsRune(formulaSigns, first) {
		return "'" + s
	}
	return s
}
