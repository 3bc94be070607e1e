package report

import (
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/report/layout"
	"snatlab/harness/result"
)

func TestArmLines(t *testing.T) {
	t.Parallel()
	pool := func(n, used int) result.Arm {
		a := result.Arm{Name: "pool", Settings: []string{"router: address"}}
		for i := range n {
			a.ToSource = append(a.ToSource, fmt.Sprintf("198.19.0.%d", i+1))
		}
		for i := range used {
			a.Sources = append(a.Sources, result.Source{Address: a.ToSource[i], Connections: 1000 + i})
		}
		return a
	}
	for _, test := range []struct {
		name string
		arm  result.Arm
		want string // after the settings
	}{
		{"one address", pool(1, 1), ""},
		{"a pool that was not counted", pool(2, 0), ""},
		{"a pool", pool(3, 2), "connections left from 2 of 3 addresses: 198.19.0.1 (1,000), 198.19.0.2 (1,001)"},
		{"a large pool", pool(10, 10), "connections left from 10 of 10 addresses: 198.19.0.1 (1,000), 198.19.0.2 (1,001), 198.19.0.3 (1,002), " +
			"198.19.0.4 (1,003), 198.19.0.5 (1,004), 198.19.0.6 (1,005), 198.19.0.7 (1,006), 198.19.0.8 (1,007), and 2 more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := strings.TrimSuffix("router: address\n"+test.want, "\n")
			if got := strings.Join(armLines(test.arm), "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	t.Run("stand below the rule in text and in Markdown", func(t *testing.T) {
		r := &result.Result{Arms: []result.Arm{pool(3, 2)}}
		var text, markdown strings.Builder
		if err := WriteFull(&text, r, layout.Screen{}); err != nil {
			t.Fatal(err)
		}
		if err := WriteMarkdown(&markdown, r); err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{text.String(), markdown.String()} {
			if !strings.Contains(out, "connections left from 2 of 3 addresses") {
				t.Errorf("the addresses are not in:\n%s", out)
			}
		}
	})
}
