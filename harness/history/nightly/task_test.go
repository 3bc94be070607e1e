package nightly

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/scenario"
)

// A scenario that cannot be run keeps its name in reports, unless another one has
// it.
func TestReadTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		checkError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	files := []string{
		write("good.yaml", "name: quick\ndriver: netns\n"),
		write("same.yaml", "name: quick\ndriver: netns\n"),
		write("other-driver.yaml", "name: quick\ndriver: docker\n"),
		write("broken.yaml", "name: slow\ndriver: netns\nbroken: 1\n"),
		write("broken-too.yaml", "name: slow\ndriver: netns\nbroken: 1\n"),
		write("nameless.yaml", "- broken: 1\n"),
	}
	read := func(file string) (*scenario.Scenario, error) {
		name, driver := scenario.NameOf(file)
		if text, err := os.ReadFile(file); err != nil || filepath.Base(file)[0] == 'b' || name == "" {
			return nil, fmt.Errorf("cannot be run: %d bytes", len(text))
		}
		return &scenario.Scenario{Name: name, Driver: driver}, nil
	}
	var got []string
	for _, task := range ReadTasks(files, "", read) {
		got = append(got, fmt.Sprintf("%s %s %t", task.Name, task.Driver, task.Err == nil))
	}
	want := []string{"quick netns true", "same.yaml netns false", "quick docker true", "slow netns false", "broken-too.yaml netns false", "nameless  false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestListScenarios(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, folder := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := ListScenarios(folder); fmt.Sprint(err) != "no scenario is named, and there is no *.yaml in "+folder {
			t.Errorf("%v", err)
		}
	}
	for _, name := range []string{"b.yaml", "a.yaml", "notes.txt"} {
		checkError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	files, err := ListScenarios(dir)
	if want := []string{filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")}; err != nil || !cmp.Equal(files, want) {
		t.Errorf("%q, %v", files, err)
	}
}
