package docker

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/undo"
	"snatlab/images"
)

// staticBinary builds a program that needs only the kernel.
func staticBinary(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	program := fmt.Sprintf("package main\n\nfunc main() { println(%q) }\n", text)
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// Only a static binary fits into an image of its own.
func TestCheckStatic(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(text, []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"static", staticBinary(t, "hello"), ""},
		{"dynamic", "/bin/ls", "not a static binary"},
		{"a script", text, "not an ELF binary: bad magic number '[35 33 47 98]' in record at byte 0x0"},
		{"empty", "/dev/null", "not an ELF binary: EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, err := os.Open(test.path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			err = checkStatic(file)
			if got := fmt.Sprint(err); (err != nil || test.want != "") && got != test.want {
				t.Errorf("%s: %v, want %s", test.path, err, test.want)
			}
		})
	}
}

// The build context holds the recipe and the binary only.
func TestWriteContext(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("binary"), 100_000)
	path := filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.CopyN(io.Discard, file, 1000); err != nil { // as hashing leaves the file
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := writeContext(&archive, file); err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(&archive)
	for _, want := range []struct {
		name    string
		mode    int64
		content []byte
	}{{"Dockerfile", 0o644, images.ProbeDockerfile}, {"snatlab", 0o755, content}} {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name != want.name || h.Mode != want.mode || h.Typeflag != tar.TypeReg || !bytes.Equal(got, want.content) {
			t.Errorf("%s, mode %o, type %c, %d bytes; want %s, mode %o, %d bytes", h.Name, h.Mode, h.Typeflag, len(got), want.name, want.mode, len(want.content))
		}
	}
	if h, err := r.Next(); err != io.EOF {
		t.Errorf("there is more: %+v, %v", h, err)
	}
}

// openOnFake opens a lab on a fake engine, which fails.
func openOnFake(t *testing.T, binary string) (*undo.Journal, error) {
	t.Helper()
	engine, err := connectEngine("")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	journal, err := undo.CreateJournal(t.TempDir(), "run", Undoers())
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), &Host{docker: engine}, Config{Run: "run", Clients: 1, Binary: binary, Journal: journal})
	if err == nil {
		t.Fatal("a lab was opened on an engine that does nothing")
	}
	return journal, err
}

// image returns the name of the image that the engine was asked for.
func (e *fakeEngine) image(t *testing.T) string {
	t.Helper()
	for _, r := range e.requests {
		if name, ok := strings.CutPrefix(r, "GET /images/"); ok {
			return strings.TrimSuffix(name, "/json")
		}
	}
	t.Fatalf("asked for no image: %v", e.requests)
	return ""
}

// A build that fails is reported in the engine's words.
func TestBuildImageErrors(t *testing.T) {
	binary := staticBinary(t, "hello")
	for _, test := range []struct {
		name  string
		build http.HandlerFunc
		want  string // IMAGE stands for its name
	}{
		{
			"an engine without a builder", answerError(http.StatusNotImplemented, "not implemented"),
			"build image IMAGE: Error response from daemon: not implemented (does this engine have an image builder?)",
		}, {
			"an error in the middle", answerWith(`{"stream":"Step 1/3 : FROM scratch"}` + "\n" + `{"errorDetail":{"message":"no space"},"error":"no space left on device"}`),
			"build image IMAGE: no space left on device",
		}, {
			"an answer that is cut off", answerWith(`{"stream":"Step 1/3`),
			"build image IMAGE: read the builder's answer: unexpected EOF",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := startEngine(t, map[string]http.HandlerFunc{"POST /build": test.build})
			journal, err := openOnFake(t, binary)
			if got := strings.ReplaceAll(err.Error(), e.image(t), "IMAGE"); got != test.want {
				t.Errorf("error %s, want %s", got, test.want)
			}
			if c := e.changed(); !slices.Equal(c, []string{"POST /build"}) || len(journal.Steps()) != 0 {
				t.Errorf("more was made than the build: %v, %v", c, journal.Steps())
			}
		})
	}
}

// A binary that fits into no image is not sent.
func TestBuildImageBadBinary(t *testing.T) {
	for _, test := range []struct{ binary, want string }{
		{"/bin/ls", "probe image of /bin/ls: not a static binary (build it with CGO_ENABLED=0, or `make build`)"},
		{"/nonexistent", "open the binary for the probe image: open /nonexistent: no such file or directory"},
	} {
		e := startEngine(t, nil)
		if _, err := openOnFake(t, test.binary); err.Error() != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
		if e.requests != nil {
			t.Errorf("%s: the engine was asked %v", test.binary, e.requests)
		}
	}
}

// The image is named after its content.
func TestImageName(t *testing.T) {
	one, other := staticBinary(t, "one"), staticBinary(t, "other")
	var names []string
	for _, binary := range []string{one, one, other} {
		e := startEngine(t, nil)
		_, _ = openOnFake(t, binary) // fails without a builder
		names = append(names, e.image(t))
	}
	if names[0] != names[1] || names[0] == names[2] || !strings.HasPrefix(names[0], "snatlab-probe:") {
		t.Errorf("the same binary twice, then another, made %v", names)
	}
}

// An image that exists is not built again.
func TestBuildImageOnce(t *testing.T) {
	binary := staticBinary(t, "hello")
	without := startEngine(t, nil)
	_, _ = openOnFake(t, binary) // to learn the name
	with := startEngine(t, map[string]http.HandlerFunc{"GET /images/" + without.image(t) + "/json": answerWith(`{"Id":"sha256:1"}`)})
	_, err := openOnFake(t, binary)
	if c := with.changed(); !slices.Equal(c, []string{"POST /networks/create"}) {
		t.Errorf("asked for %v, error %v", c, err)
	}
}

// An engine that cannot find out whether an image exists is an error.
func TestInspectImageError(t *testing.T) {
	binary := staticBinary(t, "hello")
	without := startEngine(t, nil)
	_, _ = openOnFake(t, binary) // to learn the name
	with := startEngine(t, map[string]http.HandlerFunc{"GET /images/" + without.image(t) + "/json": answerError(http.StatusInternalServerError, "layer missing")})
	_, err := openOnFake(t, binary)
	if !strings.Contains(err.Error(), "layer missing") || len(with.changed()) != 0 {
		t.Errorf("asked for %v, error %v", with.changed(), err)
	}
}
