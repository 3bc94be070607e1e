package strictyaml

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shop is what the tests read: a field of each kind.
type shop struct {
	Name, Kind string
	Shelves    int
	Spare      int
	Open       bool
	Wait       time.Duration
	Goods      []string
}

func (s *shop) fields() []Field {
	return []Field{
		{Key: "name", Required: true, Value: String{&s.Name, Pattern{
			regexp.MustCompile(`^[a-z]{1,8}$`), "lower-case letters", regexp.MustCompile(`^[a-z]*`)}}},
		{Key: "kind", Value: Choice{&s.Kind, []string{"bakery", "florist"}}},
		{Key: "shelves", Value: Integer[int]{&s.Shelves, SpanOf(1, 64)}},
		{Key: "spare", Value: OptionalInteger{Integer[int]{&s.Spare, SpanOf(0, 9)}}},
		{Key: "open", Value: Boolean{&s.Open}},
		{Key: "wait", Value: Duration{&s.Wait, time.Second, time.Minute, "nobody waits longer"}},
		{Key: "goods", Value: Sequence[string]{&s.Goods, SpanOf(0, 2), func(good *string) Value {
			return String{Into: good, Pattern: Pattern{Words: "a good"}}
		}}},
	}
}

func readShop(data string) (s shop, err error) {
	d := NewDecoder("f")
	if root := d.ReadDocument([]byte(data)); root != nil {
		d.ReadField(Field{Key: "shop", Value: Mapping{Fields: s.fields()}}, root)
	}
	return s, d.Err()
}

func TestReadField(t *testing.T) {
	t.Parallel()
	_, err := readShop("{name: abc, kind: bakery, shelves: 64, spare: 0, open: true, wait: 90s, goods: [x, '2']}")
	if err == nil || err.Error() != "f:1:68: wait: 90s is out of range; allowed: 1s to 1m (nobody waits longer)" {
		t.Errorf("error %v", err)
	}
	got, err := readShop("{name: abc, kind: bakery, shelves: 64, spare: 0, open: true, wait: 30s, goods: [x, '2']}")
	want := shop{"abc", "bakery", 64, 0, true, 30 * time.Second, []string{"x", "2"}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v, error %v", d, err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const keys = "; allowed: goods, kind, name, open, shelves, spare, wait"
	for _, tc := range []struct{ name, data, want string }{
		{"unknown key", "name: a\nkidn: bakery", `2:1: unknown key "kidn" in shop` + keys + ` (did you mean "kind"?)`},
		{"key twice", "name: a\nname: b", `2:1: key "name" is already at line 1`},
		{"missing key", "kind: bakery", "1:1: name: is missing; allowed: lower-case letters"},
		{"wrong type", "name: [a]", "1:7: name: a list is not text; allowed: lower-case letters"},
		{"number for text", "name: 12", "1:7: name: 12 is not text (put it in quotes); allowed: lower-case letters"},
		{"wrong character", "name: aB", "1:7: name: 'B' at character 2 is not allowed; allowed: lower-case letters"},
		{"too long", "name: abcdefghi", `1:7: name: "abcdefghi" has 9 characters; allowed: lower-case letters`},
		{"misspelled word", "{name: a, kind: bakry}", `1:17: kind: "bakry" is not allowed; allowed: bakery, florist (did you mean "bakery"?)`},
		{"out of bounds", "{name: a, shelves: 65}", "1:20: shelves: 65 is out of range; allowed: 1 to 64"},
		{"list too long", "{name: a, goods: [a, b, c]}", "1:18: goods: has 3 entries; allowed: a list of 0 to 2"},
		{"faults in file order", "goods: [1]\nshelves: x\n", "1:1: name: is missing; allowed: lower-case letters\n" +
			"f:1:9: goods: 1 is not text (put it in quotes); allowed: a good\n" +
			`f:2:10: shelves: "x" is not a whole number; allowed: 1 to 64`},
		{"alias", "name: &a b\nkind: *a", "1:7: name: anchors are not allowed\nf:2:7: kind: aliases are not allowed"},
		{"second document", "name: a\n---\n", "2:1: a second document begins; allowed: one in a file"},
		{"empty", "", "1:1: shop: is empty; allowed: a mapping of goods, kind, name, open, shelves, spare, wait"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := readShop(tc.data)
			if got := fmt.Sprint(err); got != "f:"+tc.want {
				t.Errorf("got  %s\nwant f:%s", got, tc.want)
			}
		})
	}
}

// A file of many faults fills one page.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	_, err := readShop("name: a\n" + strings.Repeat("x:\n", 20_000))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxFaults || !strings.HasSuffix(lines[maxFaults-1], "and more than 4900 faults from here on") {
		t.Errorf("%d lines, the last one %q", len(lines), lines[len(lines)-1])
	}
}

func TestReadText(t *testing.T) {
	t.Parallel()
	var s shop
	for i, f := range s.fields() {
		if f.Key != "shelves" {
			continue
		}
		if err := s.fields()[i].ReadText("65"); fmt.Sprint(err) != "shelves: 65 is out of range; allowed: 1 to 64" {
			t.Errorf("error %v", err)
		}
		if err := f.ReadText("7"); err != nil || s.Shelves != 7 {
			t.Errorf("%d shelves, error %v", s.Shelves, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 3*MaxBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadBounded(path); len(data) != MaxBytes+1 || err != nil {
		t.Errorf("%d bytes, error %v", len(data), err)
	}
}

func TestFindPairs(t *testing.T) {
	t.Parallel()
	root := NewDecoder("f").ReadDocument([]byte("a:\n- b: {c: 1}\n- b: {c: 2, !x c: 3}\n- 7\n"))
	var lines []int
	for _, p := range (Path{"a", "b", "c"}).FindPairs(root) {
		lines = append(lines, p.Value.Line)
	}
	if d := cmp.Diff([]int{2, 3}, lines); d != "" {
		t.Error(d)
	}
	if got := len(Path{"a", "b", "c"}.FindAlong(root)); got != 5 {
		t.Errorf("%d values on the path, want 5", got)
	}
	if n := ChildOf(root, "b"); n != nil {
		t.Errorf("b is at line %d", n.Line)
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	words := []string{"requests", "rate", "sync"}
	for text, want := range map[string]string{
		"requets": "requests", "rqeuests": "requests", "raet": "rate", "snc": "sync", "Sync": "sync",
		"x": "", "topology": "", "": "", strings.Repeat("requests", 9): "",
	} {
		if want != "" {
			want = fmt.Sprintf(" (did you mean %q?)", want)
		}
		if got := DidYouMean(text, words); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
