package docker

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/undo"
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

// A load that fails is reported in the engine's words.
func TestLoadImageErrors(t *testing.T) {
	binary := staticBinary(t, "hello")
	for _, test := range []struct {
		name string
		load http.HandlerFunc
		want string // IMAGE stands for its name
	}{
		{
			"an engine that cannot load", answerError(http.StatusNotImplemented, "not implemented"),
			"load image IMAGE: Error response from daemon: not implemented",
		}, {
			"an error in the middle", answerWith(`{"stream":"Loading layer"}` + "\n" + `{"errorDetail":{"message":"no space"},"error":"no space left on device"}`),
			"load image IMAGE: no space left on device",
		}, {
			"an answer that is cut off", answerWith(`{"stream":"Loading`),
			"load image IMAGE: read the engine's answer: unexpected EOF",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := startEngine(t, map[string]http.HandlerFunc{"POST /images/load": test.load})
			journal, err := openOnFake(t, binary)
			if got := strings.ReplaceAll(err.Error(), e.image(t), "IMAGE"); got != test.want {
				t.Errorf("error %s, want %s", got, test.want)
			}
			if c := e.changed(); !slices.Equal(c, []string{"POST /images/load"}) || len(journal.Steps()) != 0 {
				t.Errorf("more was made than the image: %v, %v", c, journal.Steps())
			}
		})
	}
}

// A binary that fits into no image is not sent.
func TestLoadImageBadBinary(t *testing.T) {
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
		_, _ = openOnFake(t, binary) // fails: nothing is loaded
		names = append(names, e.image(t))
	}
	if names[0] != names[1] || names[0] == names[2] || !strings.HasPrefix(names[0], "snatlab-probe:") {
		t.Errorf("the same binary twice, then another, made %v", names)
	}
}

// An image that exists is not loaded again.
func TestLoadImageOnce(t *testing.T) {
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
