package page

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"snatlab/harness/report/reporttest"
)

var shots = flag.String("shots", "", "folder for a picture of every page, light and dark, narrow and wide")

// nobody is the user that a browser runs as in tests of root: as root it would need
// --no-sandbox.
const nobody = 65534

// requireChromium returns the path of the browser. With CI=true it fails the test
// where there is none.
func requireChromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs chromium; make check leaves it out")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs chromium")
	}
	t.Skip("needs chromium: apt-get install chromium")
	return ""
}

// A browser is a tab of chromium, with what it reported since the last page.
type browser struct {
	context.Context
	mu       sync.Mutex
	requests []string
	messages []string // of the console
}

// startBrowser starts chromium with a home of its own in dir.
func startBrowser(t *testing.T, dir string) *browser {
	t.Helper()
	path, home := requireChromium(t), filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(home, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(home, "data")),
		chromedp.Flag("no-sandbox", false), chromedp.DisableGPU, chromedp.Env("HOME="+home), chromedp.ModifyCmdFunc(asNobody))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	b := &browser{Context: ctx}
	if err := chromedp.Do(ctx, enableEvents); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	return b
}

// asNobody makes root start the browser as another user. It dies with the test.
func asNobody(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
}

func enableEvents(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
	if _, err = cdp.Call(ctx, t, log.Enable, cdp.Empty{}); err == nil {
		_, err = cdp.Call(ctx, t, network.Enable, network.EnableParams{})
	}
	return none, err
}

// hear records what the browser asks of the network, and what it prints to its console.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		b.messages = append(b.messages, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		b.messages = append(b.messages, string(e.Type))
	case *runtime.EventExceptionThrown:
		b.messages = append(b.messages, e.ExceptionDetails.Text)
	}
}

// forget returns what was heard since the last call.
func (b *browser) forget() (requests, messages []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	requests, messages, b.requests, b.messages = b.requests, b.messages, nil, nil
	return requests, messages
}

// A view is a way to look at a page.
type view struct {
	width int64
	media string // screen or print
	theme string // light or dark
}

func (v view) name() string { return fmt.Sprintf("%s-%d", v.theme, v.width) }

var views = []view{{360, "screen", "light"}, {360, "screen", "dark"}, {1600, "screen", "light"}, {1600, "screen", "dark"}, {794, "print", "dark"}}

// show makes the next page be seen like this.
func (v view) show(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
	_, err = cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: 900, DeviceScaleFactor: 1, Mobile: v.width < 500})
	if err == nil {
		_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: v.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.theme}}})
	}
	return none, err
}

// TestPagesInBrowser looks at every kind of page in a browser: it asks nothing of the
// network, prints nothing to the console, keeps its policy, and nothing lies outside it.
func TestPagesInBrowser(t *testing.T) {
	requireChromium(t)
	dir := publicFolder(t)
	b := startBrowser(t, dir)
	for name, text := range allPages(t) {
		path := filepath.Join(dir, name+".html")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			for _, v := range views {
				b.look(t, "file://"+path, name, v)
			}
			b.checkPolicy(t)
		})
	}
}

// publicFolder returns a folder that the user nobody can read, too.
func publicFolder(t *testing.T) string {
	dir, err := os.MkdirTemp("", "snatlab-pages-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// look opens a page, and checks what a reader would see.
func (b *browser) look(t *testing.T, url, name string, v view) {
	t.Helper()
	b.forget()
	ctx, cancel := context.WithTimeout(b, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, v.show, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s, %s: %v", url, v.name(), err)
	}
	outside, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](findFaults))
	if err != nil {
		t.Fatalf("%s, %s: %v", url, v.name(), err)
	}
	for _, fault := range outside {
		t.Errorf("%s %s: %s", v.media, v.name(), fault)
	}
	if drawn, err := chromedp.Run(ctx, chromedp.Evaluate[[]float64](timesToDraw)); err == nil && len(drawn) == 2 {
		t.Logf("%s: painted after %.0f ms, complete after %.0f ms", v.name(), drawn[0], drawn[1])
	}
	if *shots != "" && v.media == "screen" {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(filepath.Join(*shots, name+"-"+v.name()+".png"), picture, 0o644)
		}
		if err != nil {
			t.Errorf("%s: %v", v.name(), err)
		}
	}
	requests, messages := b.forget()
	if got := strings.Join(requests, " "); got != url {
		t.Errorf("%s: requests %s, want only that of the page itself", v.name(), got)
	}
	if len(messages) > 0 {
		t.Errorf("%s: the console has %q", v.name(), messages)
	}
}

// timesToDraw returns the times from the request of the page to its first paint, and until
// all of it is loaded, in ms.
const timesToDraw = `[performance.getEntriesByType("paint")[0].startTime, performance.getEntriesByType("navigation")[0].loadEventEnd]`

// findFaults lists elements that lie outside the page, unless the reader can scroll to
// them, and labels of a chart that cover each other.
const findFaults = `(() => {
	const faults = [], page = document.documentElement;
	if (page.scrollWidth > page.clientWidth) faults.push("the page is " + page.scrollWidth + " pixels wide in a window of " + page.clientWidth);
	for (const e of document.body.querySelectorAll("*")) {
		const box = e.getBoundingClientRect();
		if (!e.closest(".scroll, defs") && box.width > 0 && (box.right > page.clientWidth + 1 || box.left < -1))
			faults.push(e.tagName + " from " + Math.round(box.left) + " to " + Math.round(box.right) + ": " + e.textContent.slice(0, 60));
	}
	for (const chart of document.querySelectorAll("svg")) {
		const labels = [...chart.querySelectorAll("text")].map(e => [e.textContent, e.getBoundingClientRect()]);
		labels.forEach(([text, a], i) => labels.slice(i + 1).forEach(([other, b]) => {
			if (text && other && Math.min(a.right, b.right) > Math.max(a.left, b.left) + 1 && Math.min(a.bottom, b.bottom) > Math.max(a.top, b.top) + 3)
				faults.push("the labels " + text + " and " + other + " cover each other");
		}));
	}
	return faults;
})()`

// checkPolicy tries what the policy forbids.
func (b *browser) checkPolicy(t *testing.T) {
	t.Helper()
	refused, err := chromedp.Run(b, chromedp.Evaluate[string](breakPolicy, chromedp.EvalAwaitPromise))
	if want := "connect-src img-src script-src-elem style-src-attr style-src-elem"; err != nil || refused != want {
		t.Errorf("refused: %s (%v), want %s", refused, err, want)
	}
}

const breakPolicy = `(async () => {
	const refused = new Set();
	document.addEventListener("securitypolicyviolation", e => refused.add(e.effectiveDirective));
	const add = (name, set) => { const e = document.createElement(name); set(e); document.body.append(e); };
	add("img", e => e.src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=");
	add("script", e => e.textContent = "document.title = 'script'");
	add("style", e => e.textContent = "body { color: red }");
	add("p", e => e.setAttribute("style", "color: red"));
	await fetch("data:,").catch(() => {});
	await new Promise(done => setTimeout(done, 200));
	return [...refused].sort().join(" ");
})()`

// allPages returns a page of every kind, by a name for its file.
func allPages(t *testing.T) map[string]string {
	pages := otherPages(t)
	pages["run-hostile"] = reporttest.Draw(t, WriteRun, hostile(t))
	pages["run-long"] = reporttest.Draw(t, WriteRun, longRun(t, 2, 1000))
	for _, name := range []string{"control", "many", "inconclusive"} {
		pages["run-"+name] = reporttest.Draw(t, WriteRun, readResult(t, "../testdata/"+name+".json"))
	}
	return pages
}
