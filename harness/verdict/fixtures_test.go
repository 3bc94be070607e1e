package verdict

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"snatlab/harness/result"
)

var update = flag.Bool("update", false, "judge the results in ../report/testdata again")

// The results that package report draws its goldens from are judged as a run's are.
func TestReportFixtures(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../report/testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no results: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		judged := judgeFile(t, text)
		if *update {
			if err := os.WriteFile(path, judged, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !bytes.Equal(judged, text) {
			t.Errorf("%s is not as Judge leaves it: look at what changed, then go test -update here and in ../report", path)
		}
	}
}

func judgeFile(t *testing.T, text []byte) []byte {
	var r result.Result
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	judgeAndDescribe(&r)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
