package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/shlex"

	"snatlab/harness/history/store"
	"snatlab/harness/scenario"
)

// A block is the text between two fences of a Markdown file.
type block struct {
	file  string
	line  int    // of its first line
	info  string // what follows the opening fence: "sh", "sh host", "yaml"
	lines []string
}

func (b block) name() string { return fmt.Sprintf("%s:%d", filepath.Base(b.file), b.line) }

// readBlocks returns the fenced blocks of every document.
func readBlocks(t *testing.T) (blocks []block) {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	for _, file := range append(files, "../../README.md", "../../SECURITY.md") {
		f, err := os.Open(file)
		must(t, err)
		defer f.Close()
		var open *block
		scan := bufio.NewScanner(f)
		for n := 1; scan.Scan(); n++ {
			info, fence := strings.CutPrefix(scan.Text(), "```")
			switch {
			case fence && open == nil:
				open = &block{file: file, line: n + 1, info: info}
			case fence:
				blocks, open = append(blocks, *open), nil
			case open != nil:
				open.lines = append(open.lines, scan.Text())
			}
		}
		must(t, scan.Err())
		if open != nil {
			t.Errorf("%s: the block is not closed", open.name())
		}
	}
	return blocks
}

// Every command in the documents exists, with its flags, its files and its targets
// of make. Those in blocks marked "sh" are also run, in order, in one folder for
// each document; those in blocks marked "sh host" would change the machine.
func TestDocs(t *testing.T) {
	byFile := map[string][]block{}
	for _, b := range readBlocks(t) {
		if b.info == "sh" || b.info == "sh host" {
			byFile[b.file] = append(byFile[b.file], b)
		}
	}
	for file, blocks := range byFile {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var run []string
			for _, b := range blocks {
				for _, line := range b.lines {
					checkCommand(t, line)
				}
				if b.info == "sh" {
					run = append(run, b.lines...)
				}
			}
			if len(run) == 0 || testing.Short() {
				return
			}
			dir := docsFolder(t)
			for _, line := range run {
				runLine(t, line, dir)
			}
		})
	}
}

// checkCommand checks a line of a document without running it.
func checkCommand(t *testing.T, line string) {
	t.Helper()
	for _, command := range commandsOf(line) {
		words, err := shlex.Split(command)
		must(t, err)
		if len(words) > 0 && words[0] == "sudo" {
			words = words[1:]
		}
		if len(words) == 0 {
			continue
		}
		if err := checkWords(words); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

var substitution = regexp.MustCompile(`\$\([^)]*\)`)

// commandsOf returns the commands of a line without their redirections and what
// the shell fills in.
func commandsOf(line string) []string {
	line = substitution.ReplaceAllString(line, "--kernel running")
	commands := regexp.MustCompile(` (&&|\|) `).Split(line, -1)
	for i, c := range commands {
		commands[i], _, _ = strings.Cut(c, " >")
	}
	return commands
}

func checkWords(words []string) error {
	switch words[0] {
	case "snatlab":
		return checkSnatlab(words[1:])
	case "make":
		return checkTargets(words[1:])
	case "go", "install":
		return checkFiles(words[1:])
	case "kubectl", "systemctl", "journalctl", "apt", "dnf", "tar", "git", "sha256sum":
		return nil
	}
	return fmt.Errorf("the documents have no program %s", words[0])
}

// checkSnatlab checks that a command exists with these flags and arguments.
func checkSnatlab(args []string) error {
	found, rest, err := rootCommand().Find(args)
	if err != nil {
		return err
	}
	if err := found.ParseFlags(rest); err != nil {
		return err
	}
	if err := found.ValidateArgs(found.Flags().Args()); err != nil {
		return err
	}
	if found.Run == nil && found.RunE == nil {
		return fmt.Errorf("%s is not a command that can be run", found.CommandPath())
	}
	return checkFiles(found.Flags().Args())
}

func checkTargets(targets []string) error {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		return err
	}
	for _, target := range targets {
		if strings.Contains(target, "=") { // a variable
			continue
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(makefile) {
			return fmt.Errorf("the Makefile has no target %s", target)
		}
	}
	return nil
}

// checkFiles checks that the words which name files of the repository do so.
func checkFiles(words []string) error {
	for _, word := range words {
		top, _, inside := strings.Cut(word, "/")
		if inside && slices.Contains([]string{"scenarios", "packaging", "docs", "harness", "scripts"}, top) {
			if _, err := os.Stat(filepath.Join("../..", word)); err != nil {
				return err
			}
		}
	}
	return nil
}

var requests = regexp.MustCompile(`requests: +[0-9]+`)

// docsFolder returns a folder in which the commands of one document can be run: it
// has the scenarios, with fewer requests.
func docsFolder(t *testing.T) string {
	t.Helper()
	needNamespaces(t)
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "scenarios"), 0o755))
	files, err := filepath.Glob("../../scenarios/*.yaml")
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		text = requests.ReplaceAll(text, []byte("requests: 200"))
		must(t, os.WriteFile(filepath.Join(dir, "scenarios", filepath.Base(file)), text, 0o644))
	}
	return dir
}

// runLine runs a line of a document in a shell, as its reader does. What a run
// finds about this machine is not tested here: an expectation that does not hold
// (exit code 1) and a run that shows no race (4) are in order.
func runLine(t *testing.T, line, dir string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", line)
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"), "XDG_STATE_HOME="+dir, store.Variable+"="+filepath.Join(dir, "kept"))
	out, err := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != 0 && code != 1 && code != 4 {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// Scenarios and parts of scenarios in the documents are valid.
func TestDocsScenarios(t *testing.T) {
	for _, b := range readBlocks(t) {
		text := strings.Join(b.lines, "\n") + "\n"
		if b.info != "yaml" || strings.HasPrefix(text, "- ") { // a list is a file of known failures
			continue
		}
		t.Run(b.name(), func(t *testing.T) {
			for _, needed := range []string{"name: document", "arms: [{name: masquerade}]"} {
				key, _, _ := strings.Cut(needed, ":")
				if !regexp.MustCompile(`(?m)^` + key + `:`).MatchString(text) {
					text += needed + "\n"
				}
			}
			if _, err := scenario.Parse(b.name(), []byte(text)); err != nil {
				t.Error(err)
			}
		})
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// Links between the documents lead to files of the repository.
func TestDocsLinks(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	for _, file := range append(files, "../../README.md", "../../SECURITY.md", "../../CHANGELOG.md") {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), match[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, match[1], err)
			}
		}
	}
}

// The command of the CronJob exists, with these flags.
func TestCronJobCommand(t *testing.T) {
	text, err := os.ReadFile("../../packaging/kubernetes/fleet.yaml")
	must(t, err)
	_, after, _ := strings.Cut(string(text), "args:\n")
	args, _, ok := strings.Cut(after, "env:\n")
	if !ok {
		t.Fatal("the CronJob has no arguments")
	}
	var words []string
	for line := range strings.Lines(args) {
		line, _, _ = strings.Cut(line, " #")
		if word, ok := strings.CutPrefix(strings.TrimSpace(line), "- "); ok {
			words = append(words, word)
		}
	}
	if err := checkSnatlab(words); err != nil {
		t.Errorf("%v: %v", words, err)
	}
}
