package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// info is what a module says of itself, in its section .modinfo.
type info struct {
	release string   // of the kernel that it was built for; empty if it does not say
	depends []string // modules that have to be loaded before it
	before  []string // modules that it would like to be loaded before it
}

// maxInfo bounds the section. It has some kilobytes.
const maxInfo = 1 << 20

// infoOf reads it out of a module that is not compressed.
func infoOf(data []byte) (info, error) {
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return info{}, fmt.Errorf("not a module: %w", err)
	}
	if file.Machine != elf.EM_X86_64 || file.Type != elf.ET_REL {
		return info{}, fmt.Errorf("not a module for x86-64: %v of %v", file.Type, file.Machine)
	}
	section := file.Section(".modinfo")
	if section == nil {
		return info{}, errors.New("not a module: it has no section .modinfo")
	}
	if section.Flags&elf.SHF_COMPRESSED != 0 || section.FileSize > maxInfo {
		return info{}, fmt.Errorf("its section .modinfo is compressed, or larger than %d bytes", maxInfo)
	}
	text, err := section.Data()
	if err != nil {
		return info{}, fmt.Errorf("read its section .modinfo: %w", err)
	}
	return parseInfo(string(text)), nil
}

// parseInfo reads the entries, key=value, each with a zero byte at its end.
func parseInfo(text string) info {
	var i info
	for entry := range strings.SplitSeq(text, "\x00") {
		switch key, value, _ := strings.Cut(entry, "="); key {
		case "vermagic": // "6.12.107 SMP preempt mod_unload modversions"
			i.release, _, _ = strings.Cut(value, " ")
		case "depends":
			i.depends = append(i.depends, names(strings.Split(value, ","))...)
		case "softdep": // "pre: a b post: c"
			i.before = append(i.before, names(pre(strings.Fields(value)))...)
		}
	}
	return i
}

// pre picks what comes after "pre:" and before "post:".
func pre(words []string) []string {
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

func names(words []string) []string {
	var all []string
	for _, word := range words {
		if word != "" {
			all = append(all, canonical(word))
		}
	}
	return all
}

// canonical is the name that the kernel gives a module: files have either
// of - and _.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }
