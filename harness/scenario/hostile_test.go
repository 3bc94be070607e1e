package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snatlab/harness/scenario/strictyaml"
)

// little is the most memory in bytes that a file may use: see allocated.
const little = 64 << 20

// allocated returns the number of bytes that do allocates, freed or not.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Hostile files are refused in little memory. Each has the allowed size, or the
// allowed number of marks.
func TestParseHostileFiles(t *testing.T) {
	numbered := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	long := func(s string) string { return strings.Repeat(s, strictyaml.MaxBytes/len(s)) }
	full := func(s string, marks int) string { return strings.Repeat(s, 50_000/marks-10) } // marks in s
	const many = "more than 50000 lines, keys and entries; no such file has as many"
	for _, c := range []struct{ name, data, want string }{
		{"10,000 arms", "name: s\narms:\n" + full("- {name: a}\n", 4)[:12*10_000], "x.yaml:3:1: arms: has 10000 entries; allowed: a list of 1 to 32"},
		{"a million keys", numbered("%x:\n", 150_000), "x.yaml:25001:5: " + many},
		{"a million keys on a line", "{" + numbered("%x:,", 150_000) + "}", "x.yaml:1:145633: " + many},
		{"as many keys as are allowed", numbered("%x:\n", 24_999), "x.yaml:100:1: and more than 4900 faults from here on"},
		{"as many keys as are allowed, in arms", "arms:\n" + strings.Repeat("- "+strings.ReplaceAll(numbered("%x:\n", 700), "\n", "\n  ")+"\n", 32),
			"and more than 4900 faults from here on"},
		{"the same key again and again", full("a:\n", 2), "x.yaml:100:1: and more than 4900 faults from here on"},
		{"as many entries as are allowed", "name: s\narms: [" + full("a,", 1) + "]", "arms: has 49990 entries; allowed: a list of 1 to 32"},
		{"as many mappings as are allowed", "name: s\narms: [" + full("{},", 2) + "]", "arms: has 24990 entries; allowed: a list of 1 to 32"},
		{"as many sysctls as fit", "name: s\narms: [{name: a, sysctls: {router: {" + numbered("net.a%x: 1,", 24_900) + "}}}]",
			"router: has 24900 entries; allowed: a mapping of at most 32 sysctls"},
		{"100,000 brackets", strings.Repeat("[", 100_000), "x.yaml:1:50001: " + many},
		{"brackets that are closed", "arms: " + strings.Repeat("[", 49_900) + strings.Repeat("]", 49_900), "x.yaml:1:1: YAML: exceeded max depth of 10000"},
		{"braces", full("{", 1), "x.yaml:1:1: YAML: exceeded max depth of 10000"},
		{"dashes", full("- ", 1), "x.yaml:1:1: YAML: exceeded max depth of 10000"},
		{"brackets as deep as is allowed", "name: s\narms: " + strings.Repeat("[", 9_990) + strings.Repeat("]", 9_990), "x.yaml:2:8: arms: a list is not a mapping"},
		{"a mebibyte of brackets", long("["), "x.yaml:1:50001: " + many},
		{"a line of a mebibyte", "name: " + long("a")[6:], "has 1048570 characters; allowed: " + allowedName},
		{"a key of a mebibyte", long("a")[1:] + ":", "YAML: mapping values are not allowed in this context"},
		{"a quoted line of a mebibyte", `name: "` + long("a")[8:] + `"`, "has 1048568 characters; allowed: " + allowedName},
		{"escapes", `name: "` + long(`\U0001F600`)[10:] + `"`, "is not allowed; allowed: " + allowedName},
		{"folded lines", "name: >\n" + full(" a\n", 1), "is not allowed; allowed: " + allowedName},
		{"comments", minimal + full("a: # b\n", 2), "and more than 4900 faults from here on"},
		{"names of arms in a fault of an expectation", "name: s\narms: [{name: b}, {name: " + long("a")[5_000:] + "}]\nexpect:\n" + strings.Repeat("- {arm: x, race: absent}\n", 96),
			"x.yaml:4:9: arm: \"x\" is no arm of this scenario; allowed: b\n"},
		{"aliases", "name: &a s\narms: [" + full("*a ,", 1) + "]", "arms: has 49990 entries; allowed: a list of 1 to 32"},
		{"anchors", long("&a "), "YAML: did not find expected <document start>"},
		{"tags", long("!a "), "YAML: did not find expected <document start>"},
		{"documents", full("---\n", 4), "a second document begins; allowed: one in a file"},
		{"directives", full("%YAML 1.1\n", 1), "YAML: found duplicate %YAML directive"},
		{"blanks", long(" "), "scenario: is empty"},
		{"line ends", long("\n"), "x.yaml:50001:1: " + many},
		{"carriage returns", long("a: b\r"), "x.yaml:1:5: U+000D is not allowed"},
		{"line ends of DOS", long("\r\n"), "x.yaml:50001:2: " + many},
		{"more than a mebibyte", strings.Repeat(minimal, strictyaml.MaxBytes), "x.yaml:1:1: larger than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			data := []byte(c.data)
			took := allocated(func() { _, err = Parse("x.yaml", data) })
			if took > little {
				t.Errorf("%d bytes were allocated", took)
			}
			if _, ok := errors.AsType[strictyaml.Faults](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v\nwant %s", err, c.want)
			} else if len(err.Error()) > 100*1024 {
				t.Errorf("%d bytes to print", len(err.Error()))
			}
		})
	}
}

// Bytes that are not text are refused at their place.
func TestParseBadCharacters(t *testing.T) {
	t.Parallel()
	const noText = " is not allowed; allowed: text without control characters"
	for _, c := range []struct{ data, want string }{
		{"name: caf\xe9\n", "x.yaml:1:10: byte 0xe9 is not UTF-8; allowed: text in UTF-8"},
		{"# \u00e9\u00e9\nname: \xed\xa0\x80\n", "x.yaml:2:7: byte 0xed is not UTF-8; allowed: text in UTF-8"}, // a surrogate
		{"\xff\xfen\x00a\x00m\x00e\x00", "x.yaml:1:1: byte 0xff is not UTF-8; allowed: text in UTF-8"},
		{"name: s\x00\n", "x.yaml:1:8: U+0000" + noText},
		{"name: s\n# \x1b[2J\n", "x.yaml:2:3: U+001B" + noText},
		{"name: \x7f\n", "x.yaml:1:7: U+007F" + noText},
		{"name: \u0080\n", "x.yaml:1:7: U+0080" + noText},
		{minimal + "\ufeff" + minimal, "x.yaml:3:1: U+FEFF" + noText}, // two concatenated files
		{"\ufeff\ufeff" + minimal, "x.yaml:1:1: U+FEFF" + noText},
		{strings.Repeat("\x00", strictyaml.MaxBytes), "x.yaml:1:1: U+0000" + noText},
	} {
		checkRefused(t, c.data, c.want)
	}
}

// A reader sees everything that YAML reads. In most editors, each of these
// characters would hide a setting in a comment, or hide a setting from YAML.
func TestParseUnseenCharacters(t *testing.T) {
	t.Parallel()
	const order = "lab: {allow_host_sysctls: true}"
	for _, c := range []struct{ name, data, want string }{
		{"line separator", "# a note\u2028" + order + "\n" + minimal, "1:9: U+2028"},
		{"paragraph separator", "# a note\u2029" + order + "\n" + minimal, "1:9: U+2029"},
		{"next line", "# a note\u0085" + order + "\n" + minimal, "1:9: U+0085"},
		{"bare carriage return", "# a note\r" + order + "\n" + minimal, "1:9: U+000D"},
		{"carriage return at the end", minimal + "# a note\r", "3:9: U+000D"},
		{"two carriage returns", "# a note\r\r\n" + minimal, "1:9: U+000D"},
		{"right-to-left override", "# a \u202eetirw\n" + minimal, "1:5: U+202E"},
		{"isolate", minimal + order + " # \u2066 a note\n", "3:35: U+2066"},
		{"right-to-left mark", minimal + "# \u200f\n", "3:3: U+200F"},
		{"Arabic letter mark", minimal + "# \u061c\n", "3:3: U+061C"},
		{"zero-width space", minimal + "lab\u200b: {}\n", "3:4: U+200B"},
		{"word joiner", minimal + "# \u2060\n", "3:3: U+2060"},
		{"soft hyphen", minimal + "# \u00ad\n", "3:3: U+00AD"},
		{"tag letter", minimal + "# \U000e0061\n", "3:3: U+E0061"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkRefused(t, c.data, "x.yaml:"+c.want+" is not allowed: editors do not show it, and it can hide a part of the file; "+
				"allowed: visible text, and lines that end in LF or CR LF")
		})
	}
}

// Changes that editors make to a file do not change the scenario.
func TestParseEditorVariants(t *testing.T) {
	t.Parallel()
	want := parse(t, minimal)
	for name, data := range map[string]string{
		"byte order mark":        "\ufeff" + minimal,
		"line ends of DOS":       strings.ReplaceAll(minimal, "\n", "\r\n"),
		"both":                   "\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n"),
		"tabs between words":     strings.ReplaceAll(minimal, ": ", ":\t"),
		"no line end at the end": strings.TrimSuffix(minimal, "\n"),
		"blanks":                 "\n\n" + strings.ReplaceAll(minimal, "\n", "  \t\n\n"),
		"a comment in UTF-8":     "# größer als 1 µs \u2264 \U0001F600\n" + minimal,
		"joined letters":         "# \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001F469\u200d\U0001F4BB\n" + minimal,
	} {
		t.Run(name, func(t *testing.T) {
			if d := diff(want, parse(t, data)); d != "" {
				t.Error(d)
			}
		})
	}
	// Faults have the place that an editor shows.
	checkRefused(t, "\ufeffname: S\r\narms:\r\n- {name: a}\r\n", `x.yaml:1:7: name: 'S' at character 1 is not allowed; allowed: `+allowedName)
}

// Only a regular file is read: other files may have no end, or block when they
// are opened.
func TestReadSpecialFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, socket, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket"), filepath.Join(dir, "link")
	for _, err := range []error{
		unix.Mkfifo(pipe, 0o600),
		unix.Mknod(socket, unix.S_IFSOCK|0o600, 0),
		os.Symlink("/dev/zero", link),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, kind := range map[string]string{pipe: "a pipe", socket: "a socket", link: "a device", "/dev/zero": "a device", "/dev/null": "a device"} {
		_, err := Read(path)
		if want := "read scenario: " + path + ": " + kind + ", not a regular file"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Of a file of 100 MB, no more than the limit is read. The file is sparse.
func TestReadHugeFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(file, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 100<<20); err != nil {
		t.Fatal(err)
	}
	took := allocated(func() {
		if _, err := Read(file); err == nil || !strings.HasSuffix(err.Error(), ":1:1: larger than 1 MiB") {
			t.Errorf("got %v", err)
		}
	})
	if took > 8*strictyaml.MaxBytes {
		t.Errorf("%d bytes were allocated", took)
	}
	// A file of the kernel has no size, and is read nevertheless.
	if _, err := Read("/proc/self/environ"); err == nil || !strings.Contains(err.Error(), "U+0000 is not allowed") {
		t.Errorf("got %v", err)
	}
}
