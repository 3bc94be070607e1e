package resultfile

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Texts of a few MiB that would take GiB as a result, or hours as a report, are refused
// in little memory. A text with the largest number of trials takes half of the memory
// that is allowed here.
func TestExplosiveTexts(t *testing.T) {
	const head = `{"schema":"snatlab.result/v1",`
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	causes := ""
	for i := range 40 {
		causes += fmt.Sprintf(`"cause %d":1,`, i)
	}
	for _, c := range []struct{ name, text, want string }{
		{"arms", head + `"arms":[` + many(1_000_000, "{}") + `]}`, "999,999 values at depth 2, which no run makes"},
		{"nulls for arms", head + `"arms":[` + many(1_000_000, "null") + `]}`, "999,999 values at depth 2, which no run makes"},
		{"as many arms as may be", head + `"arms":[` + many(200_000, "{}") + `]}`, "200,000 arms, which no run makes"},
		{"a few arms too many", head + `"arms":[` + many(65, "null") + `]}`, "65 arms, which no run makes"},
		{"trials", head + `"arms":[{"trials":[` + many(1_000_000, "{}") + `]}]}`, "999,999 values at depth 4, which no run makes"},
		{"as many trials as may be", head + `"arms":[{"trials":[` + many(200_000, "null") + `]}]}`, "200,000 trials of an arm, which no run makes"},
		{"a few trials too many", head + `"arms":[{"trials":[` + many(2001, "{}") + `]}]}`, "2,001 trials of an arm, which no run makes"},
		{"CPUs", head + `"arms":[{"trials":[{"conntrack":{"per_cpu":[` + many(1_000_000, "{}") + `]}}]}]}`, "999,999 values at depth 7, which no run makes"},
		{"comparisons", head + `"comparisons":[` + many(65, "{}") + `]}`, "65 comparisons, which no run makes"},
		{"expectations", head + `"expected":[` + many(1001, "{}") + `]}`, "1,001 expectations, which no run makes"},
		{"warnings", head + `"warnings":[` + many(1_000_000, `""`) + `]}`, "999,999 values at depth 2, which no run makes"},
		{"a few warnings too many", head + `"warnings":[` + many(200_001, `""`) + `]}`, "200,001 warnings, which no run makes"},
		{"values", head + `"environment":{"sysctls":{` + many(4_000_000, `"":""`) + `}}}`, "4,000,000 values, which no run makes"},
		{"settings", head + `"arms":[{"settings":[` + many(1001, `""`) + `]}]}`, "1,001 settings of an arm, which no run makes"},
		{"causes", head + `"arms":[{"trials":[{"causes":{` + strings.TrimSuffix(causes, ",") + `}}]}]}`, "42 causes of failure, which no run makes"},
		{"a histogram", head + `"arms":[{"latency_histogram":"` + strings.Repeat("1 ", 1<<20) + `"}]}`, "a latency histogram has 1048577 buckets, which no run makes"},
		{"a name", head + `"arms":[{"name":"` + strings.Repeat("x", 1<<20) + `"}]}`, "the name of an arm is 1,048,576 bytes long"},
		{"brackets", strings.Repeat("[", 1<<20), "exceeded max depth"},
		{"a number", head + `"seconds":` + strings.Repeat("9", 1<<20) + `}`, "cannot unmarshal number 999"},
		{"a schema", `{"schema":"` + strings.Repeat("\u202e", 1<<20) + `"}`, "schema ????"},
		{"a string without an end", head + `"arms":"` + strings.Repeat(`\"{`, 1<<20), "unexpected end of JSON input"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := []byte(c.text)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := parseResult(text)
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 512<<20 {
				t.Errorf("%d MiB were allocated", took>>20)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 500 {
				t.Errorf("got %.600v\nwant %s", err, c.want)
			}
		})
	}
}

// Only regular files are read: a pipe has no end as long as it has a writer, and may
// never get one.
func TestReadRegularFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, ResultName)
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge.json")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 3<<30); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/dev/zero": "/dev/zero: a device, not a regular file",
		pipe:        pipe + ": a pipe, not a regular file",
		dir:         pipe + ": a pipe, not a regular file",
		huge:        huge + ": 3072.0 MiB; no result is larger than 64 MiB",
	} {
		failed := make(chan error, 1)
		go func() {
			_, err := ReadResult(path)
			failed <- err
		}()
		select {
		case err := <-failed:
			if err == nil || err.Error() != want {
				t.Errorf("%s: got %v, want %q", path, err, want)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: does not end", path)
		}
	}
}
