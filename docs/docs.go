// Package docs holds the pages of the documentation, so that the program has them
// wherever it is installed.
package docs

import (
	"embed"
	"strings"
)

//go:embed *.md
var files embed.FS

// suffix ends the name of each file. The name of a page is the rest.
const suffix = ".md"

// Names returns the names of the pages in alphabetical order.
func Names() (names []string) {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), suffix))
	}
	return names
}

// Read returns the text of a page, in Markdown; ok is false if there is none of that
// name.
func Read(name string) (text []byte, ok bool) {
	text, err := files.ReadFile(name + suffix)
	return text, err == nil
}

// Title returns the heading of a page.
func Title(name string) string {
	text, _ := Read(name)
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimPrefix(line, "# ")
}
