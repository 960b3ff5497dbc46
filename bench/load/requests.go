package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"sort"
	"sync"
	"time"
)

const stalled = time.Second // a request that takes longer counts as stalled

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// percentiles of what took so long.
func percentiles(took []time.Duration) result {
	sort.Slice(took, func(a, b int) bool { return took[a] < took[b] })
	at := func(share float64) float64 { return milliseconds(took[int(share*float64(len(took)-1))]) }
	return result{"p50": at(0.5), "p95": at(0.95), "count": len(took)}
}

func fetch(client *http.Client, url string) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

func newClient(keepAlive bool) *http.Client {
	return &http.Client{Timeout: timeLimit, Transport: &http.Transport{DisableKeepAlives: !keepAlive}}
}

// get asks -count times, one after another. The first request, which warms caches, does not count.
func get(o options) (result, error) {
	client, took := newClient(o.keepAlive), []time.Duration{}
	for n := range o.count + 1 {
		began := time.Now()
		if err := fetch(client, o.url); err != nil {
			return nil, err
		}
		if n > 0 {
			took = append(took, time.Since(began))
		}
	}
	return percentiles(took), nil
}

// dns asks for names that are not there and that nobody has asked for: no cache can answer.
func dns(o options) (result, error) {
	resolver, took := net.Resolver{PreferGo: true}, []time.Duration{}
	for n := range o.count + 1 {
		name := fmt.Sprintf("fresh-%08x-%d.%s.", rand.Uint32(), n, o.suffix)
		ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
		began := time.Now()
		_, err := resolver.LookupNetIP(ctx, "ip4", name)
		cancel()
		var missing *net.DNSError
		if !errors.As(err, &missing) || !missing.IsNotFound {
			return nil, fmt.Errorf("%s should not be there: %v", name, err)
		}
		if n > 0 {
			took = append(took, time.Since(began))
		}
	}
	return percentiles(took), nil
}

// connect asks over a new connection each, with -clients clients side by side for -seconds.
func connect(o options) (result, error) {
	var all sync.WaitGroup
	var lock sync.Mutex
	answered, failed, stalls := 0, 0, 0
	began := time.Now()
	for range o.clients {
		all.Add(1)
		go func() {
			defer all.Done()
			client := newClient(false)
			for time.Since(began) < o.duration() {
				one := time.Now()
				err := fetch(client, o.url)
				lock.Lock()
				if err != nil {
					failed++
				} else {
					answered++
				}
				if time.Since(one) > stalled {
					stalls++
				}
				lock.Unlock()
			}
		}()
	}
	all.Wait()
	rate := float64(answered) / time.Since(began).Seconds()
	return result{"perSecond": rate, "failed": failed, "stalled": stalls}, nil
}
