// A SIP server over Go's crypto/tls: it answers every request with 200 OK, and keepalives.
//
//	go_sip PORT CERTIFICATE KEY [CAS OF CLIENTS]
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"log"
	"net"
	"os"
	"strings"
)

func main() {
	pair, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if len(os.Args) > 4 {
		pem, err := os.ReadFile(os.Args[4])
		if err != nil {
			log.Fatal(err)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(pem)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:"+os.Args[1], config)
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReader(connection)
	var head []string
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if line != "" {
			head = append(head, line)
			continue
		}
		answer := "\r\n"
		if len(head) > 0 {
			answer = "SIP/2.0 200 OK\r\n"
			for _, field := range head[1:] {
				name := strings.ToLower(strings.SplitN(field, ":", 2)[0])
				switch name {
				case "via", "from", "call-id", "cseq":
					answer += field + "\r\n"
				case "to":
					answer += field + ";tag=go\r\n"
				}
			}
			answer += "Server: Go\r\nContent-Length: 0\r\n\r\n"
			head = nil
		} else if next, err := reader.ReadString('\n'); err != nil || strings.TrimSpace(next) != "" {
			// A keepalive is a double CRLF.
			return
		}
		if _, err := connection.Write([]byte(answer)); err != nil {
			return
		}
	}
}
