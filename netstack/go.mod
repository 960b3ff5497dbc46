module tpbox.dev/netstack

go 1.24.0

require (
	github.com/gorilla/websocket v1.5.3
	github.com/libp2p/go-yamux/v5 v5.1.0
	github.com/moby/spdystream v0.5.1
	golang.org/x/crypto v0.45.0
	golang.org/x/sys v0.38.0
	gvisor.dev/gvisor v0.0.0-20250503011706-39ed1f5ac29c
)

require (
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/google/btree v1.1.2 // indirect
	github.com/libp2p/go-buffer-pool v0.0.2 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.23.0 // indirect
	golang.org/x/sync v0.11.0 // indirect
	golang.org/x/time v0.7.0 // indirect
	golang.org/x/tools v0.30.0 // indirect
	honnef.co/go/tools v0.6.1 // indirect
)

tool honnef.co/go/tools/cmd/staticcheck
