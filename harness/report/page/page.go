// Package page draws the records of package result as web pages: report.html and its
// like. A page is one file that works offline, years later. It loads nothing, and holds no
// script: its Content-Security-Policy allows its own style sheet and nothing else.
//
// The charts are SVG, written by the templates of this package. A plotting library (as
// gonum/plot) draws on a canvas of fixed size, with colours and fonts in style
// attributes. Those the policy would refuse, a dark theme could not change them, and on a
// phone the text would shrink with the picture. Here a chart has classes that the style
// sheet colours, horizontal positions in percent, and text of constant size.
//
// Each chart has a title, a description, and its figures as a table or as text beside it.
// Colour is never the only difference: an arm is a disc, its control a ring.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"

	"snatlab/harness/printable"
)

//go:embed templates
var files embed.FS

// style is the style sheet of every page.
var style = readStyle()

func readStyle() string {
	text, err := files.ReadFile("templates/style.css")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// policy allows the style sheet, by its hash, and nothing else.
var policy = "default-src 'none'; style-src 'sha256-" + hashText(style) + "'; base-uri 'none'; form-action 'none'"

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(style) },
	"policy": func() string { return policy },
	"anchor": anchor,
	"first":  func(cells []string) string { return cells[0] },
	"rest":   func(cells []string) []string { return cells[1:] },
}).ParseFS(files, "templates/*.html"))

// anchor returns a title as the name of a place in the page. It is for titles of ours.
func anchor(title string) string {
	return strings.ReplaceAll(strings.ToLower(title), " ", "-")
}

// write writes the page that a template makes of data. Every text from outside passes two
// gates: html/template escapes what could be markup, and here each character that steers
// a terminal, or the direction of writing, is replaced.
func write(w io.Writer, name string, data any) error {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, data); err != nil {
		return err
	}
	// A number and its sign stay on one line.
	_, err := io.WriteString(w, strings.ReplaceAll(printable.Lines(page.String()), " %", "\u00a0%"))
	return err
}

// A table has a heading for each column. The first cell of a row names the row.
type table struct {
	Caption string
	Head    []string
	Rows    [][]string
	Note    string // below the table
	Folded  bool   // the reader has to open it
}

// rowsMax bounds the rows of a table: a browser takes seconds to lay out many thousands.
const rowsMax = 500

// limitRows leaves out the rows that are too many, and states so.
func (t table) limitRows() table {
	if more := len(t.Rows) - rowsMax; more > 0 {
		t.Rows = t.Rows[:rowsMax]
		t.Note = "The first " + thousands(rowsMax) + " rows. The other " + thousands(more) + " are in the JSON that this page is made of."
	}
	return t
}
