package live

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPTY returns both ends of a pseudo-terminal of a size.
func openPTY(t *testing.T, width, height uint16) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { terminal.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		t.Fatal(err)
	}
	return master, terminal
}

// readUntil reads what was written to a terminal, up to an end. One read may return a part
// of it.
func readUntil(master *os.File, end string) (text string, err error) {
	out := make([]byte, 1<<16)
	for !strings.HasSuffix(text, end) {
		n, err := master.Read(out)
		if err != nil {
			return text, err
		}
		text += string(out[:n])
	}
	return text, nil
}

// A terminal is given back as it was, after the key that ends the watch.
func TestTerminal(t *testing.T) {
	t.Parallel()
	master, file := openPTY(t, 60, 20)
	before, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	terminal, err := OpenTerminal(file, file, false, func() { close(ended) })
	if err != nil {
		t.Fatal(err)
	}
	if err := terminal.Show(losing()); err != nil {
		t.Error(err)
	}
	if _, err := master.WriteString("xq"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the key q does not end it")
	}
	if err := terminal.Close(); err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("%v: the terminal has other settings than before", err)
	}
	text, err := readUntil(master, leaveScreen)
	if err != nil || !strings.HasPrefix(text, enterScreen) || !strings.HasSuffix(text, leaveScreen) || strings.Count(text, "\n") != 19 {
		t.Errorf("%v: %q", err, text)
	}
}

// A screen has a line for each row of the terminal at most, the last one of them with the
// key that ends it.
func TestTerminalResized(t *testing.T) {
	t.Parallel()
	master, file := openPTY(t, 80, 24)
	none, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	terminal, err := OpenTerminal(file, none, true, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for _, height := range []uint16{24, 5, 2} {
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 33, Row: height}); err != nil {
			t.Fatal(err)
		}
		if err := terminal.Show(losing()); err != nil {
			t.Error(err)
		}
		text, err := readUntil(master, "q ends")
		if err != nil || strings.Count(text, "\n") >= int(height) || !strings.HasSuffix(text, "q ends") {
			t.Errorf("height %d, %v: %q", height, err, text)
		}
	}
	if err := terminal.Close(); err != nil {
		t.Error(err)
	}
}
