package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// moduleInfo is the description of a module in its section .modinfo.
type moduleInfo struct {
	release string   // the kernel that the module was built for; empty if not recorded
	depends []string // modules that must be loaded before it
	before  []string // modules that should be loaded before it, if present
}

// maxTextFile is the most bytes of .modinfo and of text files: each has some kilobytes.
const maxTextFile = 1 << 20

// readModuleInfo reads the .modinfo of a module that is not compressed.
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
	if section.Flags&elf.SHF_COMPRESSED != 0 || section.FileSize > maxTextFile {
		return moduleInfo{}, fmt.Errorf("its section .modinfo is compressed, or larger than %d bytes", maxTextFile)
	}
	text, err := section.Data()
	if err != nil {
		return moduleInfo{}, fmt.Errorf("read its section .modinfo: %w", err)
	}
	return parseModuleInfo(string(text)), nil
}

// parseModuleInfo parses entries of the form key=value, each ended by a zero byte.
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

// softdepsBefore returns the words after "pre:" and before "post:".
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

// canonicalNames returns the canonical names of words, without empty ones.
func canonicalNames(words []string) []string {
	var all []string
	for _, word := range words {
		if word != "" {
			all = append(all, canonicalName(word))
		}
	}
	return all
}

// canonicalName returns the name that the kernel uses for a module: file names have
// - or _.
func canonicalName(name string) string { return strings.ReplaceAll(name, "-", "_") }
