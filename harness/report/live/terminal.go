package live

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"snatlab/harness/result/watched"
)

// Escape sequences of every terminal that is not dumb.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the alternate screen, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	goHome      = "\x1b[H"
	eraseRow    = "\x1b[2K"
	eraseBelow  = "\x1b[J"
)

// Terminal shows screens on a terminal. It is repainted when its size changes.
type Terminal struct {
	out, in *os.File
	colour  bool
	before  *unix.Termios // of in; nil if it is no terminal
	wait    sync.WaitGroup
	cancel  context.CancelFunc

	mutex sync.Mutex
	last  *watched.State
}

// OpenTerminal takes over a terminal. End is called when a key ends the watch: q. Ctrl-C
// stays a signal. The terminal must be closed.
func OpenTerminal(out, in *os.File, colour bool, end func()) (*Terminal, error) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Terminal{out: out, in: in, colour: colour, cancel: cancel}
	if term.IsTerminal(int(in.Fd())) {
		if err := t.quietKeys(); err != nil {
			cancel()
			return nil, err
		}
		t.wait.Go(func() { t.readKeys(ctx, end) })
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	t.wait.Go(func() {
		defer signal.Stop(resized)
		for {
			select {
			case <-ctx.Done():
				return
			case <-resized:
				_ = t.repaint() // the next screen reports the error
			}
		}
	})
	_, err := out.WriteString(enterScreen)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// quietKeys makes keys readable one by one, and invisible. Ctrl-Z does nothing: a stopped
// program would leave its screen behind.
func (t *Terminal) quietKeys() error {
	fd := int(t.in.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	now := *before
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Cc[unix.VMIN], now.Cc[unix.VTIME], now.Cc[unix.VSUSP] = 1, 0, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &now); err != nil {
		return err
	}
	t.before = before
	return nil
}

// readKeys waits for the key that ends the watch.
func (t *Terminal) readKeys(ctx context.Context, end func()) {
	const pollInterval = 200 // ms
	keys := make([]byte, 64)
	for ctx.Err() == nil {
		ready := []unix.PollFd{{Fd: int32(t.in.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, pollInterval)
		switch {
		case errors.Is(err, unix.EINTR), err == nil && n == 0:
			continue
		case err != nil:
			return
		}
		n, err = unix.Read(int(t.in.Fd()), keys)
		if err != nil || n == 0 {
			return
		}
		if strings.ContainsAny(string(keys[:n]), "qQ") {
			end()
			return
		}
	}
}

// Show shows a screen.
func (t *Terminal) Show(w *watched.State) error {
	t.mutex.Lock()
	t.last = w
	t.mutex.Unlock()
	return t.repaint()
}

// repaint draws the last screen. The line is erased before it is written: after a line of
// full width, the cursor still stands on its last character.
func (t *Terminal) repaint() error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.last == nil {
		return nil
	}
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := Screen(t.last, Size{width, max(1, height-1)}, t.colour)
	if len(lines) < height {
		lines = append(lines, cutText("q ends", width))
	}
	// Below the last line the screen is erased first, for the same reason.
	text := goHome
	for i, l := range lines {
		if i > 0 {
			text += "\n"
		}
		if i == len(lines)-1 {
			text += eraseBelow
		}
		text += eraseRow + l
	}
	_, err = t.out.WriteString(text)
	return err
}

func cutText(text string, width int) string { return line{text: text}.cut(width).text }

// Close gives the terminal back as it was.
func (t *Terminal) Close() error {
	t.cancel()
	t.wait.Wait()
	_, err := t.out.WriteString(leaveScreen)
	if t.before != nil {
		err = errors.Join(err, unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, t.before))
	}
	return err
}
