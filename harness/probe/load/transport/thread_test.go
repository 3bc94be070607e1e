package transport

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A thread sends each datagram once, whether it sleeps meanwhile or not, and ends.
func TestThread(t *testing.T) {
	t.Parallel()
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: receiver.LocalAddr().(*net.UDPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	thread := StartThread()
	receiver.SetReadDeadline(time.Now().Add(time.Minute))
	buffer := make([]byte, 10)
	for i := range 200 {
		if i%50 == 49 {
			time.Sleep(3 * restless) // it falls asleep, or is about to
		}
		if i%3 == 0 {
			thread.wake()
		}
		thread.send(fd, []byte{byte(i)})
		if errno := thread.await(); errno != 0 {
			t.Fatal(errno)
		}
		if n, err := receiver.Read(buffer); err != nil || n != 1 || buffer[0] != byte(i) {
			t.Fatalf("datagram %d: %v, %v", i, buffer[:n], err)
		}
	}
	thread.send(1<<30, []byte{0})
	if errno := thread.await(); errno != unix.EBADF {
		t.Errorf("from no socket: %v", errno)
	}
	thread.End()
}
