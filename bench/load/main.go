// load: one program for every figure and load test of tpbox, so that all paths are measured alike.
//
//	load server                                    answers on -listen: echo, sink, source, hold;
//	                                               HTTP/2 without TLS on the port above: /N is N bytes
//	load up   -addr HOST:PORT -streams 4           MB/s towards the server; its count and checksum are compared
//	load down -addr HOST:PORT -bytes 200000000     MB/s from the server; the content is compared
//	load get  -url URL -count 200 [-keep-alive]    milliseconds a request, p50 and p95
//	load dns  -suffix svc.cluster.local -count 200 milliseconds for a name that nobody has asked for
//	load connect -url URL -clients 50 -seconds 4   new connections a second, how many failed or stalled
//	load series -addr HOST:PORT -count 10000       connections one after another
//	load parallel -addr HOST:PORT -count 500       connections at the same time
//	load idle -addr HOST:PORT -seconds 600         a connection that says nothing for a while
//	load stall -addr HOST:PORT -direction up       a sender whose reader has stopped
//	load files -path DIR                           every file read once
//
// A client prints one line of JSON. Exit code: 0, 1 when something went wrong (said on stderr), 2 for wrong usage.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

const timeLimit = 10 * time.Second // for one connection, request or answer

// options are those of all clients; each reads its own.
type options struct {
	listen, addr, url, suffix, direction, path string
	streams, clients, count                    int
	bytes                                      int64
	seconds                                    float64
	keepAlive                                  bool
}

func (o options) duration() time.Duration { return time.Duration(o.seconds * float64(time.Second)) }

// result is what a client measured, by name: printed as JSON.
type result map[string]any

var clients = map[string]func(options) (result, error){
	"up":       up,
	"down":     down,
	"get":      get,
	"dns":      dns,
	"connect":  connect,
	"series":   series,
	"parallel": parallel,
	"idle":     idle,
	"stall":    stall,
	"files":    files,
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	command, o := os.Args[1], parse(os.Args[2:])
	if command == "server" {
		fail(serve(o.listen))
	}
	client, known := clients[command]
	if !known {
		usage()
	}
	measured, err := client(o)
	if err != nil {
		fail(fmt.Errorf("%s: %w", command, err))
	}
	json.NewEncoder(os.Stdout).Encode(measured)
}

func parse(words []string) (o options) {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	flags.StringVar(&o.listen, "listen", ":7000", "where the server listens")
	flags.StringVar(&o.addr, "addr", "", "the server's HOST:PORT")
	flags.StringVar(&o.url, "url", "", "what to get")
	flags.StringVar(&o.suffix, "suffix", "svc.cluster.local", "the domain of names that are not there")
	flags.StringVar(&o.direction, "direction", "up", "which way the stalled data goes: up or down")
	flags.StringVar(&o.path, "path", "", "the folder or file to read")
	flags.IntVar(&o.streams, "streams", 1, "streams side by side")
	flags.IntVar(&o.clients, "clients", 8, "clients side by side")
	flags.IntVar(&o.count, "count", 100, "requests or connections")
	flags.Int64Var(&o.bytes, "bytes", 0, "bytes for each stream; 0: as many as -seconds allow")
	flags.Float64Var(&o.seconds, "seconds", 3, "how long")
	flags.BoolVar(&o.keepAlive, "keep-alive", false, "all requests over one connection")
	flags.Parse(words)
	return o
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: load server|up|down|get|dns|connect|series|parallel|idle|stall|files [-option value]…")
	os.Exit(2)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "load:", err)
	os.Exit(1)
}
