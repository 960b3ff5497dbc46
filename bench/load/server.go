package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serve answers connections for ever. The first line says what a connection wants:
//
//	echo                     every line comes back
//	sink                     blocks, each behind its length, are answered by the count of bytes and their checksum
//	source BYTES SECONDS     that many bytes, or for so long
//	hold                     nothing is read any more
func serve(listen string) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	go func() { fail(serveHTTP2(listener.Addr().(*net.TCPAddr).Port + 1)) }()
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go answer(connection.(*net.TCPConn))
	}
}

// serveHTTP2 answers /N with N bytes of a stream's content.
func serveHTTP2(port int) error {
	server := http.Server{Addr: fmt.Sprint(":", port), Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	server.Handler = http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if bytes, err := strconv.ParseInt(request.URL.Path[1:], 10, 64); err == nil && bytes > 0 {
			send(answer, bytes, 0)
		}
	})
	return server.ListenAndServe()
}

func answer(connection *net.TCPConn) {
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 64<<10)
	line, err := reader.ReadString('\n')
	if err != nil {
		return
	}
	switch words := strings.Fields(line); words[0] {
	case "echo":
		io.Copy(connection, reader)
	case "sink":
		got := newSum()
		if err := receive(reader, got); err == nil {
			fmt.Fprintf(connection, "%d %d\n", got.count, got.crc)
		}
	case "source":
		var bytes int64
		var seconds float64
		fmt.Sscan(words[1], &bytes)
		fmt.Sscan(words[2], &seconds)
		send(connection, bytes, time.Duration(seconds*float64(time.Second)))
		connection.CloseWrite()
		io.Copy(io.Discard, reader)
	case "hold":
		time.Sleep(10 * time.Minute)
	}
}
