// fetch-go URL: resolves the host, gets the page, prints the body.
//
// Exit code: 0 for status 200, 1 when the name does not resolve, 2 when there is no answer, 3 for another status.
// Built without cgo, so that Go's own resolver reads /etc/resolv.conf and nothing of libc is in the way.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	unresolved  = 1
	unanswered  = 2
	otherStatus = 3
	usage       = 64
	timeLimit   = 5 * time.Second
)

func main() {
	if len(os.Args) != 2 {
		fail(usage, "usage: fetch-go URL")
	}
	target, err := url.Parse(os.Args[1])
	if err != nil {
		fail(usage, err)
	}
	if _, err := net.LookupHost(target.Hostname()); err != nil {
		fail(unresolved, err)
	}
	client := http.Client{Timeout: timeLimit}
	answer, err := client.Get(target.String())
	if err != nil {
		fail(unanswered, err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		fail(unanswered, err)
	}
	if answer.StatusCode != http.StatusOK {
		fail(otherStatus, answer.Status)
	}
}

func fail(code int, reason any) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(code)
}
