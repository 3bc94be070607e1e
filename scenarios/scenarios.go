// Package scenarios holds the ready scenarios, so that the program has them wherever it
// is installed.
package scenarios

import (
	"embed"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// suffix ends the name of each file. The name of a scenario is the rest.
const suffix = ".yaml"

// Names returns the names of the ready scenarios in alphabetical order.
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

// Read returns the text of a ready scenario; ok is false if there is none of that name.
func Read(name string) (text []byte, ok bool) {
	text, err := files.ReadFile(name + suffix)
	return text, err == nil
}

// Question returns the first line of the comment that a ready scenario begins with: the
// question that it answers.
func Question(name string) string {
	text, _ := Read(name)
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimPrefix(line, "# ")
}
