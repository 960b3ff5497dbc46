package near

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// MTU of the device, in bytes: nothing of it ever meets a wire, and each packet costs the same.
const MTU = 65000

// OpenTUN attaches to a TUN device that is there. Its packets are the kernel's own: their checksums are right. gone is
// called when there are no more of them: somebody has removed the device.
func OpenTUN(name string, gone func(error)) (stack.LinkEndpoint, error) {
	device, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(device, unix.TUNSETIFF, request); err != nil {
		return nil, fmt.Errorf("the TUN device %s: %w", name, err)
	}
	closed := func(err tcpip.Error) { gone(fmt.Errorf("the TUN device %s: %s", name, err)) }
	return fdbased.New(&fdbased.Options{FDs: []int{device}, MTU: MTU, RXChecksumOffload: true, ClosedFunc: closed})
}
