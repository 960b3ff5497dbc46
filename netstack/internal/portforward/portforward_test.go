package portforward

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/moby/spdystream"
)

// server is an API server that forwards a port to a program: SPDY's server side is somebody else's implementation.
type server struct {
	post, get int // the status that each is refused with; 0 takes the upgrade
	words     string
	program   func(data, problems *spdystream.Stream)

	lock    sync.Mutex
	asked   []string
	headers http.Header // of the data stream
	pings   func(*spdystream.Connection)
}

func (s *server) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	s.lock.Lock()
	s.asked = append(s.asked, request.Method+" "+request.URL.Path+" "+request.Header.Get("Authorization"))
	s.lock.Unlock()
	if status := map[string]int{http.MethodPost: s.post, http.MethodGet: s.get}[request.Method]; status != 0 {
		writer.WriteHeader(status)
		json.NewEncoder(writer).Encode(map[string]string{"kind": "Status", "message": request.Method + ": " + s.words})
		return
	}
	if request.Method == http.MethodGet {
		s.websocket(writer, request)
		return
	}
	conn, _, err := writer.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"+
		"X-Stream-Protocol-Version: %s\r\n\r\n", request.Header.Get("X-Stream-Protocol-Version"))
	s.spdy(conn)
}

func (s *server) websocket(writer http.ResponseWriter, request *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"SPDY/3.1+portforward.k8s.io"}}
	socket, err := upgrader.Upgrade(writer, request, nil)
	if err != nil {
		return
	}
	s.spdy(&framed{Conn: socket.NetConn(), messages: &messages{socket: socket}})
}

// framed is a websocket as a connection: each write is a message.
type framed struct {
	net.Conn
	messages *messages
}

func (f *framed) Read(buffer []byte) (int, error) { return f.messages.Read(buffer) }

func (f *framed) Write(data []byte) (int, error) {
	return len(data), f.messages.socket.WriteMessage(websocket.BinaryMessage, data)
}

func (s *server) spdy(conn net.Conn) {
	session, err := spdystream.NewConnection(conn, true)
	if err != nil {
		panic(err)
	}
	streams := make(chan *spdystream.Stream, 2)
	go session.Serve(func(stream *spdystream.Stream) {
		stream.SendReply(http.Header{}, false)
		streams <- stream
	})
	problems, data := <-streams, <-streams
	if data.Headers().Get("Streamtype") == "error" { // spdystream tells of them in any order
		problems, data = data, problems
	}
	s.lock.Lock()
	s.headers = data.Headers()
	s.lock.Unlock()
	if s.pings != nil {
		s.pings(session)
	}
	s.program(data, problems)
}

func echo(data, _ *spdystream.Stream) {
	io.Copy(data, data)
	data.Close()
}

// cluster starts the server, and returns what a kubeconfig says of it.
func cluster(t *testing.T, handler http.Handler, path string) Cluster {
	t.Helper()
	served := httptest.NewTLSServer(handler)
	t.Cleanup(served.CloseClientConnections)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: served.Certificate().Raw})
	text, err := json.Marshal(map[string]any{
		"clusters": []any{map[string]any{"cluster": map[string]any{
			"server": served.URL + path, "certificate-authority-data": authority,
		}}},
		"users": []any{map[string]any{"user": map[string]any{"token": "secret"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	made, err := ParseCluster(text)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

var pod = Port{Namespace: "shop", Pod: "web-1", Number: 20023}

func dial(t *testing.T, served *server) (*Conn, error) {
	t.Helper()
	conn, err := Dial(context.Background(), cluster(t, served, ""), pod)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return conn, err
}

// echoes sends bytes, and wants them back.
func echoes(t *testing.T, conn *Conn, size int) {
	t.Helper()
	sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	go func() {
		for part := sent; len(part) > 0; {
			count := min(len(part), 100_000)
			conn.Write(part[:count])
			part = part[count:]
		}
		conn.Flush()
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("not what was sent came back: %v", err)
	}
}

func TestSPDY(t *testing.T) {
	served := &server{program: echo}
	conn, err := dial(t, served)
	if err != nil {
		t.Fatal(err)
	}
	echoes(t, conn, 4<<20)
	if want := "POST /api/v1/namespaces/shop/pods/web-1/portforward Bearer secret"; served.asked[0] != want {
		t.Errorf("it asked %q", served.asked)
	}
	if served.headers.Get("Port") != "20023" || served.headers.Get("Streamtype") != "data" {
		t.Errorf("the stream has %v", served.headers)
	}
}

func TestWebsocketWhereSPDYDoesNotPass(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusBadGateway, http.StatusOK} {
		conn, err := dial(t, &server{post: status, words: "no SPDY here", program: echo})
		if err != nil {
			t.Fatalf("%d: %v", status, err)
		}
		echoes(t, conn, 1<<20)
	}
}

func TestWebsocketWhereSPDYIsAnsweredByNothing(t *testing.T) {
	served := &server{program: echo}
	hangsUp := http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPost {
			conn, _, _ := writer.(http.Hijacker).Hijack()
			conn.Close()
			return
		}
		served.ServeHTTP(writer, request)
	})
	conn, err := Dial(context.Background(), cluster(t, hangsUp, ""), pod)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echoes(t, conn, 1<<10)
}

func TestRefusalsAreInTheServersWords(t *testing.T) {
	for name, test := range map[string]struct {
		post, get int
		want      string
		asked     int
	}{
		"not found":    {404, 0, "the API server answered 404 Not Found: POST: pods is", 1},
		"unauthorized": {401, 0, "the API server answered 401 Unauthorized: POST: pods is", 1},
		// `create` is SPDY's verb, `get` the websocket's: a role may have either.
		"forbidden": {403, 403, "the API server answered 403 Forbidden: POST: pods is " +
			"(and by a websocket: the API server answered 403 Forbidden: GET: pods is)", 2},
		"not running": {400, 500, "the API server answered 400 Bad Request: POST: pods is " +
			"(and by a websocket: the API server answered 500 Internal Server Error: GET: pods is)", 2},
	} {
		served := &server{post: test.post, get: test.get, words: "pods is", program: echo}
		_, err := dial(t, served)
		if err == nil || err.Error() != test.want || len(served.asked) != test.asked {
			t.Errorf("%s: %v\nasked %q", name, err, served.asked)
		}
	}
}

func TestTheSameWordsAreSaidOnce(t *testing.T) {
	same := http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		http.Error(writer, "maintenance", http.StatusServiceUnavailable)
	})
	_, err := Dial(context.Background(), cluster(t, same, ""), pod)
	if err == nil || err.Error() != "the API server answered 503 Service Unavailable: maintenance" {
		t.Error(err)
	}
}

func TestThePathOfTheServersAddressIsKept(t *testing.T) {
	served := &server{post: 404, words: "x"}
	Dial(context.Background(), cluster(t, served, "/k8s/clusters/c-1/"), pod)
	want := "POST /k8s/clusters/c-1/api/v1/namespaces/shop/pods/web-1/portforward Bearer secret"
	if len(served.asked) != 1 || served.asked[0] != want {
		t.Errorf("it asked %q", served.asked)
	}
}

func TestASilentServerIsLeftWhenTheContextEnds(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	silent := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	if _, err := Dial(ctx, cluster(t, silent, ""), pod); err != context.Canceled {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTheErrorStreamsWordsAreTheError(t *testing.T) {
	conn, err := dial(t, &server{program: func(_, problems *spdystream.Stream) {
		problems.Write([]byte("nobody listens on 20023"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || err.Error() != "port-forward: nobody listens on 20023" {
		t.Error(err)
	}
}

func TestTheEndOfTheDataIsAnEnd(t *testing.T) {
	for name, program := range map[string]func(data, problems *spdystream.Stream){
		"by itself": func(data, problems *spdystream.Stream) {
			data.Write([]byte("last words"))
			problems.Close() // of no importance
			data.Close()
		},
		"with the last bytes": func(data, _ *spdystream.Stream) { data.WriteData([]byte("last words"), true) },
	} {
		conn, err := dial(t, &server{program: program})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != "last words" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestAResetIsAnError(t *testing.T) {
	conn, err := dial(t, &server{program: func(data, _ *spdystream.Stream) { data.Reset() }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "stream 3 was reset") {
		t.Error(err)
	}
}

func TestPingsAreAnswered(t *testing.T) {
	answered := make(chan error, 1)
	conn, err := dial(t, &server{program: echo, pings: func(session *spdystream.Connection) {
		go func() {
			_, err := session.Ping()
			answered <- err
		}()
	}})
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, conn)
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("no answer")
	}
}

func TestKubeconfigsThatCannotBeUsed(t *testing.T) {
	const one = `{"clusters":[{"cluster":{"server":"https://x"%s}}],"users":[{"user":{%s}}]}`
	for want, text := range map[string]string{
		"kubeconfig: invalid":                       `{`,
		"kubeconfig: one cluster and one user":      `{}`,
		"no https server":                           strings.Replace(fmt.Sprintf(one, "", ""), "https", "http", 1),
		"certificate-authority-data holds":          fmt.Sprintf(one, `,"certificate-authority-data":"eA=="`, ""),
		"kubeconfig: client certificate: tls: fail": fmt.Sprintf(one, "", `"client-certificate-data":"eA=="`),
	} {
		if _, err := ParseCluster([]byte(text)); err == nil || !strings.Contains(err.Error(), strings.SplitN(want, "invalid", 2)[0]) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
