package portforward

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Cluster is how the API server is reached, and who asks.
type Cluster struct {
	Server string // https://ADDRESS:PORT
	token  string
	tls    *tls.Config
}

// kubeconfig is what the launcher writes (tpbox/plan/kubeconfig.py): one cluster and one user, as JSON.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server     string
			Authority  []byte `json:"certificate-authority-data"`
			ServerName string `json:"tls-server-name"`
			Insecure   bool   `json:"insecure-skip-tls-verify"`
		}
	}
	Users []struct {
		User struct {
			Token       string
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
		}
	}
}

// ParseCluster reads a kubeconfig of one cluster and one user, in JSON.
func ParseCluster(text []byte) (Cluster, error) {
	var config kubeconfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Cluster{}, fmt.Errorf("kubeconfig: %w", err)
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return Cluster{}, errors.New("kubeconfig: one cluster and one user are needed")
	}
	cluster, user := config.Clusters[0].Cluster, config.Users[0].User
	if server, err := url.Parse(cluster.Server); err != nil || server.Scheme != "https" {
		return Cluster{}, fmt.Errorf("kubeconfig: %q is no https server", cluster.Server)
	}
	settings := &tls.Config{
		ServerName:                  cluster.ServerName,
		InsecureSkipVerify:          cluster.Insecure, // the user's own kubeconfig says so
		NextProtos:                  []string{"http/1.1"},
		DynamicRecordSizingDisabled: true,
	}
	if len(cluster.Authority) > 0 {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(cluster.Authority) {
			return Cluster{}, errors.New("kubeconfig: certificate-authority-data holds no certificate")
		}
	}
	if len(user.Certificate) > 0 {
		pair, err := tls.X509KeyPair(user.Certificate, user.Key)
		if err != nil {
			return Cluster{}, fmt.Errorf("kubeconfig: client certificate: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return Cluster{cluster.Server, user.Token, settings}, nil
}

func (c Cluster) header() http.Header {
	header := http.Header{}
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
	return header
}
