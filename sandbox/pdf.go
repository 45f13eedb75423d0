package sandbox

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// PDFLine is one line of a document: a text at the left and, where given, one
// that ends at the right margin.
type PDFLine struct {
	Left, Right string
	Bold        bool
}

// Measures of an A4 page in points.
const (
	pdfPageWidth    = 595
	pdfPageHeight   = 842
	pdfMargin       = 56
	pdfLeading      = 18
	pdfFontSize     = 11
	pdfLinesPerPage = (pdfPageHeight - 2*pdfMargin) / pdfLeading
	pdfColumns      = 80
)

// PDF writes a small document (PDF 1.4, A4, Helvetica, as many pages as the
// lines need). Characters beyond Latin-1 appear as question marks, because the
// fonts every reader has of its own know no others.
func PDF(title string, lines []PDFLine) []byte {
	var pages [][]PDFLine
	for len(lines) > pdfLinesPerPage {
		pages, lines = append(pages, lines[:pdfLinesPerPage]), lines[pdfLinesPerPage:]
	}
	pages = append(pages, lines)

	// Objects: 1 catalog, 2 page tree, 3 and 4 fonts, 5 information, then a
	// page and its content alternately.
	const first = 6
	objects := []string{"<< /Type /Catalog /Pages 2 0 R >>"}
	kids := make([]string, len(pages))
	for i := range pages {
		kids[i] = fmt.Sprintf("%d 0 R", first+2*i)
	}
	objects = append(objects,
		fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", strings.Join(kids, " "), len(pages)),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
		fmt.Sprintf("<< /Title (%s) >>", pdfText(title)))
	for i, page := range pages {
		content := pdfContent(page)
		objects = append(objects,
			fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents %d 0 R >>",
				pdfPageWidth, pdfPageHeight, first+2*i+1),
			fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content))
	}

	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int, len(objects))
	for i, object := range objects {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	table := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, table)
	return out.Bytes()
}

func pdfContent(lines []PDFLine) string {
	var out strings.Builder
	y := pdfPageHeight - pdfMargin
	for _, line := range lines {
		font := "F1"
		if line.Bold {
			font = "F2"
		}
		write := func(x int, text string) {
			fmt.Fprintf(&out, "BT /%s %d Tf %d %d Td (%s) Tj ET\n", font, pdfFontSize, x, y, pdfText(text))
		}
		if line.Left != "" {
			write(pdfMargin, clip(line.Left, pdfColumns))
		}
		if line.Right != "" {
			// Digits of Helvetica are 0.556 em wide; amounts are nearly all digits.
			width := utf8.RuneCountInString(line.Right) * pdfFontSize * 556 / 1000
			write(pdfPageWidth-pdfMargin-width, line.Right)
		}
		y -= pdfLeading
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func clip(text string, runes int) string {
	if r := []rune(text); len(r) > runes {
		return string(r[:runes-1]) + "-"
	}
	return text
}

// pdfText encodes a text as the inside of a literal string: Latin-1, with what
// has a meaning there escaped.
func pdfText(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '(' || r == ')' || r == '\\':
			out.WriteByte('\\')
			out.WriteByte(byte(r))
		case r < 0x20 || r == 0x7f:
			out.WriteByte(' ')
		case r < 0x7f || (r >= 0xa0 && r <= 0xff):
			out.WriteByte(byte(r))
		case r == '€':
			out.WriteByte(0x80)
		default:
			out.WriteByte('?')
		}
	}
	return out.String()
}
