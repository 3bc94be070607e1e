package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// moduleInfo is what a module says of itself, in its section .modinfo.
type moduleInfo struct {
	release string   // of the kernel that it was built for; empty if it does not say
	depends []string // modules that have to be loaded before it
	before  []string // modules that it would like to be loaded before it
}

// maxText bounds the section. It has some kilobytes.
const maxText = 1 << 20

// readModuleInfo reads it out of a module that is not compressed.
func readModuleInfo(data []byte) (moduleInfo, error) {
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return moduleInfo{}, fmt.Errorf("not a module: %w", err)
	}
	if file.Machine != elf.EM_X86_64 || file.Type != elf.ET_REL {
		return moduleInfo{}, fmt.Errorf("not a module for x86-64: %v of %v", file.Type, file.Machine)
	}
	section := file.Section(".modinfo")
	if section == nil {
		return moduleInfo{}, errors.New("not a module: it has no section .modinfo")
	}
	if section.Flags&elf.SHF_COMPRESSED != 0 || section.FileSize > maxText {
		return moduleInfo{}, fmt.Errorf("its section .modinfo is compressed, or larger than %d bytes", maxText)
	}
	text, err := section.Data()
	if err != nil {
		return moduleInfo{}, fmt.Errorf("read its section .modinfo: %w", err)
	}
	return parseModuleInfo(string(text)), nil
}

// parseModuleInfo reads the entries, key=value, each with a zero byte at its end.
func parseModuleInfo(text string) moduleInfo {
	var i moduleInfo
	for entry := range strings.SplitSeq(text, "\x00") {
		switch key, value, _ := strings.Cut(entry, "="); key {
		case "vermagic": // "6.12.107 SMP preempt mod_unload modversions"
			i.release, _, _ = strings.Cut(value, " ")
		case "depends":
			i.depends = append(i.depends, canonicalNames(strings.Split(value, ","))...)
		case "softdep": // "pre: a b post: c"
			i.before = append(i.before, canonicalNames(softdepsBefore(strings.Fields(value)))...)
		}
	}
	return i
}

// softdepsBefore picks what comes after "pre:" and before "post:".
func softdepsBefore(words []string) []string {
	var picked []string
	in := false
	for _, word := range words {
		if strings.HasSuffix(word, ":") {
			in = word == "pre:"
		} else if in {
			picked = append(picked, word)
		}
	}
	return picked
}

func canonicalNames(words []string) []string {
	var all []string
	for _, word := range words {
		if word != "" {
			all = append(all, canonicalName(word))
		}
	}
	return all
}

// canonicalName is the name that the kernel gives a module: files have either
// of - and _.
func canonicalName(name string) string { return strings.ReplaceAll(name, "-", "_") }
