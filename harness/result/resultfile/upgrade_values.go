package resultfile

import (
	"regexp"
	"strings"

	"snatlab/harness/result"
)

// Results of earlier versions have sentences where there are values today. This file
// is the only one that reads them.

// addArmValues reads the options of an arm's rule and its settings from their texts.
func addArmValues(a *result.Arm) {
	if a.Options == nil && a.Rule != "" {
		a.Options = readOptions(a.Rule)
	}
	if len(a.SettingValues) != len(a.Settings) {
		a.SettingValues = nil
		for _, text := range a.Settings {
			a.SettingValues = append(a.SettingValues, readSetting(text))
		}
	}
}

// drawOption matches --random and --random-fully of iptables, random and
// fully-random of nftables.
var drawOption = regexp.MustCompile(`(?:^|[\s,])(?:--random|--random-fully|random|fully-random)(?:$|[\s,])`)

func readOptions(rule string) *result.RuleOptions {
	option := drawOption.FindString(rule)
	fully := strings.Contains(option, "fully")
	return &result.RuleOptions{Random: option != "" && !fully, RandomFully: fully}
}

// readSetting reads a setting from a sentence like "router: net.x = 1". A sentence
// that it cannot read is the value of a setting without a key.
func readSetting(text string) result.Setting {
	part, rest, found := strings.Cut(text, ": ")
	if !found {
		return result.Setting{Value: text}
	}
	if rest == "each has source ports of its own" {
		return result.Setting{Part: part, Key: result.KeySourcePorts, Value: result.SplitPorts}
	}
	if ports, ok := strings.CutPrefix(rest, "source ports "); ok {
		return result.Setting{Part: part, Key: result.KeySourcePorts, Value: strings.Replace(ports, " to ", "-", 1)}
	}
	if address, ok := strings.CutPrefix(rest, "address "); ok {
		return result.Setting{Part: part, Key: result.KeyAddress, Value: strings.Replace(address, " on ", " dev ", 1)}
	}
	if name, value, ok := strings.Cut(rest, " = "); ok {
		return result.Setting{Part: part, Key: name, Value: value}
	}
	return result.Setting{Part: part, Value: rest}
}

// addWarningValues adds a value without a code for every warning, with the arm that
// its sentence begins with.
func addWarningValues(r *result.Result) {
	if len(r.WarningValues) == len(r.Warnings) {
		return
	}
	r.WarningValues = nil
	for _, text := range r.Warnings {
		r.WarningValues = append(r.WarningValues, result.Warning{Arm: findSubject(text, r.Arms)})
	}
}

// findSubject returns the name of the arm that a sentence begins with.
func findSubject(sentence string, arms []result.Arm) string {
	for _, a := range arms {
		rest, ok := strings.CutPrefix(sentence, a.Name)
		if ok && (strings.HasPrefix(rest, ": ") || strings.HasPrefix(rest, ", ")) {
			return a.Name
		}
	}
	return ""
}
