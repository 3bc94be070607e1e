package nat

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/snat"
)

// The journal decides which rules root removes, so its steps are not trusted. A
// rule in a step must have, to the letter, one of the forms that snatlab writes.
// The text is parsed into its parts, written again from them, and compared.

// errForm is the error of a step that is refused.
var errForm = errors.New("not a rule of snatlab's; its step is not undone")

func foreignRuleError(text string) error { return fmt.Errorf("%q: %w", text, errForm) }

// parseRules parses the two rules of the step and the bridge of their network.
func (s rewriteStep) parseRules() (original, rewritten rule, bridge string, err error) {
	if original, err = parseStepText(s.Original); err != nil {
		return
	}
	if rewritten, err = parseStepText(s.Rewritten); err != nil {
		return
	}
	if _, bridge, err = parseMasquerade(original.text); err != nil {
		return
	}
	err = checkRewritten(iptablesBackend{}, original.text, rewritten.text, iptablesOptions(rewritten.text))
	return
}

// openProgram opens the program that a step names, for a rule of this text. It refuses
// the program of the other family of addresses. A rule without addresses is for both.
func openProgram(name, text string) (*iptables.Program, error) {
	p, err := iptables.OpenNamed(name)
	if err != nil {
		return nil, err
	}
	if source := sourceOf(text); source.IsValid() && p.Family != iptables.FamilyOf(source.Addr()) {
		return nil, fmt.Errorf("%q: %w (%s is for the other family of addresses)", text, errForm, name)
	}
	return p, nil
}

// parseStepText separates the text of a rule in a step from its mark.
func parseStepText(line string) (rule, error) {
	text, mark := splitMark(line)
	if r := (rule{text: text, mark: mark}); r.markedLine() == line {
		return r, nil
	}
	return rule{}, foreignRuleError(line)
}

// ruleOf returns the rule whose words a step holds.
func ruleOf(chain string, spec []string) (rule, error) {
	return parseStepText("-A " + chain + " " + strings.Join(spec, " "))
}

// parseMasquerade parses the text of a masquerade rule as Docker writes it.
func parseMasquerade(text string) (subnet netip.Prefix, bridge string, err error) {
	words := strings.Fields(text)
	if len(words) != 9 {
		return subnet, "", foreignRuleError(text)
	}
	subnet, err = netip.ParsePrefix(words[3])
	bridge = words[6]
	if err != nil || subnet.Addr().Is4In6() || subnet != subnet.Masked() || !isInterface(bridge) || text != masqueradeText(subnet, bridge) {
		return subnet, "", foreignRuleError(text)
	}
	return subnet, bridge, nil
}

// parseAccept checks the text of a rule of InsertAccept.
func parseAccept(text string) error {
	words := strings.Fields(text)
	if len(words) != 8 || !isInterface(words[3]) || !isInterface(words[5]) || text != acceptText(words[3], words[5]) {
		return foreignRuleError(text)
	}
	return nil
}

// checkRewritten returns an error unless a text is the original rewritten with
// these options.
func checkRewritten(b backend, original, text string, o snat.Options) error {
	if o == (snat.Options{}) || o.CheckFor(sourceOf(original)) != nil || b.rewriteText(original, o) != text {
		return foreignRuleError(text)
	}
	return nil
}

// iptablesOptions parses the options of a rule's target. It ignores words that it
// does not know; checkRewritten finds them.
func iptablesOptions(text string) (o snat.Options) {
	words := strings.Fields(text)
	for i, word := range words {
		argument := ""
		if i+1 < len(words) {
			argument = words[i+1]
		}
		switch word {
		case "--random":
			o.Random = true
		case "--random-fully":
			o.RandomFully = true
		case "--to-ports":
			o.ToPorts = snat.ParsePorts(argument)
		case "-p":
			o.UDP = argument == snat.Protocol(true)
		case "--to-source":
			o.ToSource, o.ToPorts = snat.ParseTarget(argument)
		case "--persistent":
			o.Persistent = true
		}
	}
	return o
}

// isInterface reports whether a word can be the name of one interface. A name
// that ends in + stands for several; one that begins with - would be an option.
func isInterface(name string) bool {
	if name == "" || len(name) >= unix.IFNAMSIZ || name[0] == '-' || name == "." || name == ".." {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
