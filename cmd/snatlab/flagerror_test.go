package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// No flag of any command answers a wrong value in the words of Go's library.
func TestWrongValues(t *testing.T) {
	everyCommand(rootCommand(), func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			for _, value := range []string{`a"b`, "99999999999999999999"} {
				t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_")+"/"+f.Name+"/"+value[:1], func(t *testing.T) {
					err := c.ParseFlags([]string{"--" + f.Name + "=" + value})
					if err == nil {
						return // any text is a value
					}
					err = explainFlagError(c, err)
					if codeOf(err) != exitUsage || !strings.HasPrefix(err.Error(), "--"+f.Name+": ") {
						t.Errorf("error %v, exit code %d", err, codeOf(err))
					}
					for _, word := range []string{"strconv", "parse", "syntax", "time:"} {
						if strings.Contains(err.Error(), word) {
							t.Errorf("error %v has the word %s", err, word)
						}
					}
				})
			}
		})
	})
}

func everyCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		everyCommand(sub, do)
	}
}
