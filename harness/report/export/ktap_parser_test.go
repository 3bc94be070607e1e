package export

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A ktapTest is a test of a document in KTAP.
type ktapTest struct {
	passed      bool
	description string
	directive   string // SKIP, ERROR, ...; empty for none
	data        string
	subtests    []ktapTest
}

// outcome returns ok, not ok, SKIP or ERROR.
func (k ktapTest) outcome() string {
	switch {
	case k.directive != "":
		return k.directive
	case k.passed:
		return "ok"
	}
	return "not ok"
}

// The lines of Documentation/dev-tools/ktap.rst, without their indentation. The kernel's
// "unknown lines" are refused: this program writes none.
var (
	planLine   = regexp.MustCompile(`^1\.\.(0|[1-9][0-9]*)$`)
	resultLine = regexp.MustCompile(`^(ok|not ok) ([1-9][0-9]*)(?: ([^#]*?))?(?: # (.*))?$`)
	dataWords  = regexp.MustCompile(`^(SKIP|TODO|XFAIL|TIMEOUT|ERROR)(?: (.*))?$`)
)

// parseKTAP parses a document and returns its tests. Anything that the grammar does not
// have is an error.
func parseKTAP(text string) ([]ktapTest, error) {
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("the last line has no end")
	}
	p := ktapParser{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	tests, err := p.parseLevel(0)
	if err == nil && p.at < len(p.lines) {
		err = fmt.Errorf("surplus line %q", p.lines[p.at])
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", p.at+1, err)
	}
	return tests, nil
}

type ktapParser struct {
	lines []string
	at    int
}

// peek returns the next line of a level; ok is false if there is none.
func (p *ktapParser) peek(level int) (line string, ok bool) {
	if p.at == len(p.lines) {
		return "", false
	}
	line, ok = strings.CutPrefix(p.lines[p.at], strings.Repeat("  ", level))
	return line, ok && !strings.HasPrefix(line, " ")
}

func isDiagnostic(line string) bool { return line == "#" || strings.HasPrefix(line, "# ") }

// parseLevel parses a version line, a plan, and as many tests as the plan names.
func (p *ktapParser) parseLevel(level int) (tests []ktapTest, err error) {
	if line, ok := p.peek(level); !ok || line != "KTAP version 1" {
		return nil, fmt.Errorf("no version line")
	}
	p.at++
	line, _ := p.peek(level)
	for isDiagnostic(line) {
		p.at++
		line, _ = p.peek(level)
	}
	plan := planLine.FindStringSubmatch(line)
	if plan == nil {
		return nil, fmt.Errorf("%q is no plan", line)
	}
	p.at++
	for n, _ := strconv.Atoi(plan[1]); len(tests) < n; {
		test, err := p.parseTest(level, len(tests)+1)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	return tests, nil
}

// parseTest parses diagnostic lines and subtests up to the result of a test.
func (p *ktapParser) parseTest(level, number int) (test ktapTest, err error) {
	for {
		line, ok := p.peek(level)
		switch {
		case ok && isDiagnostic(line):
			p.at++
			continue
		case ok:
			test, err := parseResult(line, number, test.subtests)
			p.at++
			return test, err
		case test.subtests != nil:
			return test, fmt.Errorf("subtests without the result of their test")
		}
		if test.subtests, err = p.parseLevel(level + 1); err != nil {
			return test, err
		}
	}
}

// parseResult parses a result line, which must agree with the subtests.
func parseResult(line string, number int, subtests []ktapTest) (ktapTest, error) {
	m := resultLine.FindStringSubmatch(line)
	if m == nil {
		return ktapTest{}, fmt.Errorf("%q is no result", line)
	}
	test := ktapTest{passed: m[1] == "ok", description: m[3], data: m[4], subtests: subtests}
	if m[2] != strconv.Itoa(number) {
		return test, fmt.Errorf("test %s follows test %d", m[2], number-1)
	}
	if d := dataWords.FindStringSubmatch(test.data); d != nil {
		test.directive, test.data = d[1], d[2]
	}
	if (test.directive == "ERROR" || test.directive == "TIMEOUT") && test.passed {
		return test, fmt.Errorf("%s, and ok", test.directive)
	}
	failed := slices.ContainsFunc(subtests, func(s ktapTest) bool { return !s.passed && s.directive != "SKIP" })
	if subtests != nil && failed == test.passed {
		return test, fmt.Errorf("%q does not agree with its subtests", line)
	}
	return test, nil
}
