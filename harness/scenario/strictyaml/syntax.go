package strictyaml

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

var (
	yamlError = regexp.MustCompile(`(?s)^yaml: (?:line ([0-9]+): )?(.*)$`)

	// yaml.v3 counts the lines of these errors from 0: they come from its
	// parser, all others with a line from its scanner (decode.go, parser.fail).
	parserError = regexp.MustCompile(`^did not find expected (key|node content|'-' indicator|',' or|<)`)

	unquotedBound = regexp.MustCompile(`[:,{]\s*>=`) // an unquoted "<=" is no error: it is text
	tabIndent     = regexp.MustCompile(`^ *\t`)
)

// addSyntaxFault turns an error of yaml.v3, which is text only, into a fault.
func (d *Decoder) addSyntaxFault(err error, data []byte) {
	line, problem := 1, err.Error()
	if m := yamlError.FindStringSubmatch(problem); m != nil {
		problem = m[2]
		if m[1] != "" {
			line, _ = strconv.Atoi(m[1])
			if parserError.MatchString(problem) {
				line++
			}
		}
	}
	message := "YAML: " + problem
	switch text := lineAt(data, line); {
	case unquotedBound.Match(text):
		message += ` (text that begins with ">" needs quotes: ">=95%")`
	case tabIndent.Match(text):
		message += " (a tab does not indent; spaces do)"
	}
	if strings.HasPrefix(problem, "unknown anchor") {
		message += "; aliases are not allowed"
	}
	d.addFaultAt(line, 1, message)
}

// lineAt returns the text of a line, counted from 1; nil if there is none.
func lineAt(data []byte, number int) []byte {
	for text := range bytes.Lines(data) {
		if number--; number == 0 {
			return text
		}
	}
	return nil
}
