package page

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var colour = regexp.MustCompile(`--([a-z0-9]+): #([0-9a-f]{6});`)

// themes returns the colours of each theme: light, dark and print.
func themes() (all []map[string]string) {
	for _, block := range strings.Split(style, ":root {")[1:] {
		block, _, _ = strings.Cut(block, "}")
		theme := map[string]string{}
		for _, m := range colour.FindAllStringSubmatch(block, -1) {
			theme[m[1]] = m[2]
		}
		all = append(all, theme)
	}
	return all
}

// contrast returns the ratio of two colours, as WCAG 2 defines it.
func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(hex string) (sum float64) {
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		c := float64(n) / 255
		if c > 0.04045 {
			c = math.Pow((c+0.055)/1.055, 2.4)
		} else {
			c /= 12.92
		}
		sum += weight * c
	}
	return sum
}

// Text has the contrast that WCAG 2.2 asks of text (level AA), and signs that of graphics,
// in every theme.
func TestContrast(t *testing.T) {
	t.Parallel()
	all := themes()
	if len(all) != 3 {
		t.Fatalf("%d themes, want light, dark and print", len(all))
	}
	for i, theme := range all {
		for _, c := range []struct {
			signs, grounds string
			least          float64
		}{
			{"text quiet arm", "ground raised", 4.5},
			{"goodtext badtext", "ground", 4.5},
			{"text", "h1 h2 h3 h4 h5", 4.5},
			{"arm control", "ground area", 3},
			{"arm text", "good partly same bad", 3},
		} {
			for _, sign := range strings.Fields(c.signs) {
				for _, ground := range strings.Fields(c.grounds) {
					if ratio := contrast(theme[sign], theme[ground]); ratio < c.least {
						t.Errorf("theme %d: %s on %s: %.2f, want %g", i, sign, ground, ratio, c.least)
					}
				}
			}
		}
	}
}
