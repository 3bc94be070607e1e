package effect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"snatlab/harness/nat/compat"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/snat"
)

// Rules of iptables-legacy are read and written by its program. A rule is identified by
// its text: the first of equal ones is the one that translates.

func listLegacy(ctx context.Context) (rules []Rule, unread []string) {
	programs, err := iptables.FindInstalled(iptables.IPv4)
	at := slices.IndexFunc(programs, func(p *iptables.Program) bool { return p.Variant == "legacy" })
	if at < 0 {
		return nil, []string{fmt.Sprintf("the table nat of iptables-legacy: no program for it (%v)", errors.Join(err, errors.New("install iptables-legacy")))}
	}
	p := programs[at]
	lines, unread, err := p.ListReachable(ctx, iptables.NATTable, iptables.Postrouting, maxLegacyChains)
	if err != nil {
		return nil, append(unread, err.Error())
	}
	for _, l := range lines {
		options, translates, known := readTarget(l.Text)
		if !translates || isOwnComment(commentOf(l.Text)) {
			continue
		}
		rules = append(rules, Rule{
			Program: "iptables (legacy)", Place: l.Chain, Text: l.Text, Options: options, Known: known, Packets: new(l.Packets),
			at: place{legacy: p, chain: l.Chain},
		})
	}
	return rules, unread
}

// readTarget returns the options of a rule's target.
func readTarget(text string) (o snat.Options, translates, known bool) {
	words, err := iptables.SplitRule(text)
	at := slices.IndexFunc(words, func(w string) bool { return w == "-j" })
	if err != nil || at < 0 || at+1 == len(words) {
		return o, false, false
	}
	target := words[at+1]
	switch target {
	case "MASQUERADE", "SNAT":
	case "NETMAP":
		return o, true, false
	default:
		return o, false, false
	}
	for i := at + 2; i < len(words); i++ {
		switch argument := strings.Join(words[min(i+1, len(words)):min(i+2, len(words))], ""); words[i] {
		case "--random":
			o.Random = true
		case "--random-fully":
			o.RandomFully = true
		case "--to-ports":
			o.ToPorts = snat.ParsePorts(argument)
		case "--to-source":
			o.ToSource, o.ToPorts = snat.ParseTarget(argument)
		case "--persistent":
			o.Persistent = true
		}
	}
	return o, true, o.Check() == nil && strings.HasSuffix(text, compat.Text(target, o))
}

// commentOf returns the last comment of a rule.
func commentOf(text string) string {
	words, err := iptables.SplitRule(text)
	if err != nil {
		return ""
	}
	for i := len(words) - 2; i >= 0; i-- {
		if words[i] == "--comment" {
			return words[i+1]
		}
	}
	return ""
}

// words returns the rule as iptables prints it, after "-A CHAIN", with a comment if there
// is one.
func (r ownRule) words(comment string) []string {
	words := []string{"-s", r.Source.String()}
	if r.Server.IsValid() {
		words = append(words, "-d", r.Server.String())
	}
	if r.Ports != (snat.PortRange{}) || r.Options.ToPorts != (snat.PortRange{}) {
		words = append(words, "-p", r.Protocol())
	}
	if r.Ports != (snat.PortRange{}) {
		words = append(words, "-m", r.Protocol(), "--sport", fmt.Sprintf("%d:%d", r.Ports.First, r.Ports.Last))
	}
	if r.Options.PerMillion != 0 {
		const whole = 1 << 31 // the kernel holds a number of 31 bits, and iptables prints 11 digits
		probability := math.Round(float64(r.Options.PerMillion)/snat.Million*whole) / whole
		words = append(words, "-m", "statistic", "--mode", "random", "--probability", fmt.Sprintf("%.11f", probability))
	}
	if comment != "" {
		words = append(words, "-m", "comment", "--comment", comment)
	}
	target := "MASQUERADE"
	if r.Options.ToSource != (snat.AddressRange{}) {
		target = "SNAT"
	}
	return append(words, strings.Fields(compat.Text(target, r.Options))...)
}

func (r ownRule) legacyLine() string {
	return "-A " + r.beside.chain + " " + strings.Join(r.words(r.mark), " ")
}

// maxAttempts bounds the attempts to write a rule directly before another one while other
// programs insert rules above.
const maxAttempts = 5

// insertLegacy writes the rule before the one beside which it is to stand. Another program
// may insert rules between the listing and the writing, so the order is checked.
func (r ownRule) insertLegacy(ctx context.Context) error {
	p := r.beside.legacy
	for range maxAttempts {
		lines, err := p.ListRules(ctx, iptables.NATTable, r.beside.chain)
		if err != nil {
			return err
		}
		at := positionOf(lines, r.besideText)
		if at < 0 {
			return fmt.Errorf("no rule %q in %s", r.besideText, r.beside.chain)
		}
		if err := p.InsertRule(iptables.NATTable, at+1, r.legacyLine()); err != nil {
			return err
		}
		if lines, err = p.ListRules(ctx, iptables.NATTable, r.beside.chain); err != nil {
			return err
		}
		own := positionOf(lines, r.legacyLine())
		switch {
		case own < 0:
			return fmt.Errorf("%s accepted the rule, but prints it differently, or it is gone", p.Name())
		case own == positionOf(lines, r.besideText)-1:
			return nil
		}
		if err := p.DeleteRule(iptables.NATTable, r.legacyLine()); err != nil {
			return err
		}
	}
	return fmt.Errorf("other programs insert rules into %s all the time", r.beside.chain)
}

func positionOf(lines []iptables.RuleLine, text string) int {
	return slices.IndexFunc(lines, func(l iptables.RuleLine) bool { return l.Text == text })
}

func (p insertedPlace) deleteLegacy(ctx context.Context) error {
	program, err := iptables.OpenNamed(p.Path)
	if err != nil || program.LacksTable(iptables.NATTable) {
		return err
	}
	if exists, err := program.HasChain(iptables.NATTable, p.Chain); err != nil || !exists {
		return err
	}
	lines, err := program.ListRules(ctx, iptables.NATTable, p.Chain)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if commentOf(l.Text) != p.Mark {
			continue
		}
		if err := program.DeleteRule(iptables.NATTable, l.Text); err != nil {
			return err
		}
	}
	return nil
}
