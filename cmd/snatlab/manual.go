package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"snatlab/harness/history/store"
)

// writeManual writes a page for man(1) of each command into a folder, which it makes. The
// pages do not depend on the user who writes them. $SOURCE_DATE_EPOCH sets their date.
func writeManual(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--man: %w", err)
	}
	root := rootCommand()
	root.DisableAutoGenTag = true
	prepareManual(root)
	if err := doc.GenManTree(root, &doc.GenManHeader{Source: "snatlab " + version, Manual: "snatlab"}, dir); err != nil {
		return fmt.Errorf("--man: %w", err)
	}
	return nil
}

// prepareManual changes the texts of c and of the commands under it into what package doc
// expects, which is Markdown. Examples are not read as Markdown.
func prepareManual(c *cobra.Command) {
	name, arguments, _ := strings.Cut(c.Use, " ")
	c.Use = strings.TrimSpace(name + " " + markdown.Replace(arguments))
	c.Short, c.Long = markdown.Replace(c.Short), markdown.Replace(c.Long)
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	c.Flags().VisitAll(func(f *pflag.Flag) {
		f.Usage = markdown.Replace(strings.ReplaceAll(f.Usage, store.DefaultDir(), "/var/lib/snatlab for root, ~/.local/state/snatlab for others"))
	})
	for _, sub := range c.Commands() {
		prepareManual(sub)
	}
}

// markdown escapes the characters that have a meaning in Markdown.
var markdown = newEscaper("\\`*_{}[]<>#|~")

// newEscaper returns a replacer that puts a backslash before each of the characters.
func newEscaper(characters string) *strings.Replacer {
	var pairs []string
	for _, c := range characters {
		pairs = append(pairs, string(c), `\`+string(c))
	}
	return strings.NewReplacer(pairs...)
}
