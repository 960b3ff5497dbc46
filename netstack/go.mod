module tpbox.dev/netstack

go 1.24.0

require (
	github.com/gorilla/websocket v1.5.3
	github.com/libp2p/go-yamux/v5 v5.1.0
	github.com/moby/spdystream v0.5.1
	golang.org/x/crypto v0.45.0
	golang.org/x/net v0.47.0
	golang.org/x/sys v0.38.0
	gvisor.dev/gvisor v0.0.0-20250503011706-39ed1f5ac29c
)

require (
	github.com/google/btree v1.1.2 // indirect
	github.com/libp2p/go-buffer-pool v0.0.2 // indirect
	golang.org/x/time v0.7.0 // indirect
)
